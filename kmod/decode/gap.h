/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Why is memory that is huge in the host small in KVM's tables?
 */
#ifndef _KVMMEM_GAP_H
#define _KVMMEM_GAP_H

#include <linux/types.h>

/**
 * enum kvmmem_gap - causes of a gap
 * @KVMMEM_GAP_MISALIGNED: guest and host address differ modulo 2M, or the 2M
 *	reach over the slot's edge: no 2M mapping is possible, ever
 * @KVMMEM_GAP_DIRTY_LOG: the slot is being logged: KVM maps 4K to tell pages
 *	apart
 * @KVMMEM_GAP_WRITE_TRACKED: KVM write-protects a page in it (a guest's page
 *	table under shadow or nested paging, a device model's), or the guest's
 *	attributes of its pages differ
 * @KVMMEM_GAP_NX: split because the guest executed it and huge pages must not
 *	be executable (the iTLB multihit mitigation)
 * @KVMMEM_GAP_UNKNOWN: none of these: mapped before it became huge, perhaps
 * @KVMMEM_NR_GAPS: how many there are
 */
enum kvmmem_gap {
	KVMMEM_GAP_MISALIGNED,
	KVMMEM_GAP_DIRTY_LOG,
	KVMMEM_GAP_WRITE_TRACKED,
	KVMMEM_GAP_NX,
	KVMMEM_GAP_UNKNOWN,
	KVMMEM_NR_GAPS
};

/**
 * struct kvmmem_region - 2M of host memory that one entry maps, and its slot
 * @gfn: first guest page of it, or of the part that lies in the slot
 * @hva: host address of that page
 * @base: first guest page of the slot
 * @end: first guest page behind it
 * @dirty_log: the slot is being logged
 * @disallowed: KVM has noted that no huge mapping may be here
 * @nx_left: splits by the mitigation that KVM counts in this VM and that no
 *	region has been held responsible for yet
 */
struct kvmmem_region {
	u64 gfn;
	u64 hva;
	u64 base;
	u64 end;
	bool dirty_log;
	bool disallowed;
	u64 nx_left;
};

/**
 * kvmmem_gap_cause - the cause of the gap in a region that has one
 * @region: the facts
 *
 * What can never be huge comes first, then what somebody has switched on, then
 * what the guest does. KVM does not tell outside which of its tables the
 * mitigation has split, but how many there are: so many regions at most are
 * ascribed to it, and only those that have no other cause.
 *
 * Return: the cause.
 */
static inline enum kvmmem_gap kvmmem_gap_cause(const struct kvmmem_region *region)
{
	u64 first = region->gfn & ~511ULL;

	if ((region->gfn ^ (region->hva >> 12)) & 511)
		return KVMMEM_GAP_MISALIGNED;
	if (first < region->base || first + 512 > region->end)
		return KVMMEM_GAP_MISALIGNED;
	if (region->dirty_log)
		return KVMMEM_GAP_DIRTY_LOG;
	if (region->disallowed)
		return KVMMEM_GAP_WRITE_TRACKED;
	if (region->nx_left)
		return KVMMEM_GAP_NX;
	return KVMMEM_GAP_UNKNOWN;
}

#endif /* _KVMMEM_GAP_H */
