/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the sizes of a guest's mappings are for the TLB.
 */
#ifndef _KVMMEM_REACH_H
#define _KVMMEM_REACH_H

#include <linux/types.h>

#include "decode/size.h"

/* Of KVM's layer and the host's: nothing is mapped there. */
#define KVMMEM_ALIGN_NONE	KVMMEM_NR_SIZES
#define KVMMEM_ALIGN_CELLS	(KVMMEM_NR_SIZES + 1)

/**
 * struct kvmmem_alignment - the sizes of a guest's mappings, in 4K pages
 * @pages: memory, by the size of the guest's mapping, of KVM's and of the host's
 * @no_slot: what the guest maps where it has no memory
 * @kvm_known: could KVM's tables be walked?
 * @kvm_why: if not, why
 * @sampled: there were too many tables: this is an estimate
 * @error: then, two standard errors of whichever sum is least certain
 * @tables: the guest's tables that were looked at
 * @unread: of them, those that could not be read
 */
struct kvmmem_alignment {
	u64 pages[KVMMEM_NR_SIZES][KVMMEM_ALIGN_CELLS][KVMMEM_ALIGN_CELLS];
	u64 no_slot;
	bool kvm_known;
	const char *kvm_why;
	bool sampled;
	u64 error;
	u64 tables;
	u64 unread;
};

/**
 * struct kvmmem_align_sum - what follows for the TLB, in 4K pages
 * @mapped: memory that the guest maps
 * @reach: of it, huge in the guest and in KVM: an entry covers 2M or more
 * @lost: huge in the guest and small in KVM
 * @wasted: huge in KVM and small in the guest
 * @small: small in both
 * @not_yet: not mapped by KVM
 */
struct kvmmem_align_sum {
	u64 mapped;
	u64 reach;
	u64 lost;
	u64 wasted;
	u64 small;
	u64 not_yet;
};

void kvmmem_align_divide(struct kvmmem_alignment *it, unsigned int by);
void kvmmem_align_add(struct kvmmem_align_sum *to, const struct kvmmem_align_sum *before,
		      const struct kvmmem_align_sum *after);
u64 kvmmem_align_error(const struct kvmmem_align_sum *batch, unsigned int n, unsigned int ways);
void kvmmem_align_sum(const struct kvmmem_alignment *alignment, struct kvmmem_align_sum *sum);

#endif /* _KVMMEM_REACH_H */
