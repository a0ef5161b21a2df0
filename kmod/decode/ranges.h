/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where in a process a VM's memory lies: sorted ranges, so that what of an address
 * range is the VM's is found in a few steps, however many there are.
 */
#ifndef _KVMMEM_RANGES_H
#define _KVMMEM_RANGES_H

#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/types.h>

/**
 * struct kvmmem_range - one range
 * @start: first address
 * @end: the first one behind it
 * @before: pages of all ranges in front of it
 * @gfn: guest page that is at @start
 */
struct kvmmem_range {
	unsigned long start;
	unsigned long end;
	u64 before;
	u64 gfn;
};

/**
 * struct kvmmem_ranges - all of a VM's
 * @next: to be freed together
 * @largest: a copy of the largest, which is nearly always the one that is meant
 * @nr: how many
 * @at: the ranges, in order, none across another
 */
struct kvmmem_ranges {
	struct kvmmem_ranges *next;
	struct kvmmem_range largest;
	unsigned int nr;
	struct kvmmem_range at[];
};

unsigned int kvmmem_ranges_put(struct kvmmem_ranges *ranges, unsigned int max,
			       unsigned long hva, u64 npages, u64 gfn);
void kvmmem_ranges_finish(struct kvmmem_ranges *ranges);
unsigned int kvmmem_ranges_find(const struct kvmmem_ranges *ranges, unsigned long addr);
const struct kvmmem_range *kvmmem_ranges_look(const struct kvmmem_ranges *ranges,
					      unsigned long start, unsigned long end,
					      u64 *pages);

static __always_inline u64 kvmmem_pages_of(unsigned long bytes)
{
	return (bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

/**
 * kvmmem_ranges_hit - how much of an address range is the VM's?
 * @ranges: the VM's
 * @start: first address
 * @end: the first one behind it
 * @pages: where to put that
 *
 * Return: the first of @ranges that is touched, or NULL if none is.
 */
static __always_inline const struct kvmmem_range *
kvmmem_ranges_hit(const struct kvmmem_ranges *ranges, unsigned long start, unsigned long end,
		  u64 *pages)
{
	if (unlikely(start < ranges->largest.start || end > ranges->largest.end))
		return kvmmem_ranges_look(ranges, start, end, pages);
	*pages = (end - start) >> PAGE_SHIFT;
	return &ranges->largest;
}

#endif /* _KVMMEM_RANGES_H */
