// SPDX-License-Identifier: GPL-2.0
#include <linux/sort.h>
#include <linux/string.h>

#include "decode/ranges.h"

/**
 * kvmmem_ranges_put - add a slot's
 * @ranges: which are not finished yet
 * @max: room there
 * @hva: where the slot lies in the process
 * @npages: its pages
 * @gfn: its first guest page
 *
 * Slots that go on where the last one has ended, in the process and in the guest, are
 * one range.
 *
 * Return: how many ranges there are; 0 when there is no room for one more.
 */
unsigned int kvmmem_ranges_put(struct kvmmem_ranges *ranges, unsigned int max,
			       unsigned long hva, u64 npages, u64 gfn)
{
	struct kvmmem_range *last = ranges->nr ? &ranges->at[ranges->nr - 1] : NULL;

	if (last && last->end == hva && last->gfn + kvmmem_pages_of(hva - last->start) == gfn) {
		last->end += npages << PAGE_SHIFT;
		return ranges->nr;
	}
	if (ranges->nr == max)
		return 0;
	ranges->at[ranges->nr++] = (struct kvmmem_range) {
		.start = hva, .end = hva + (npages << PAGE_SHIFT), .gfn = gfn,
	};
	return ranges->nr;
}

static int ranges_compare(const void *a, const void *b)
{
	const struct kvmmem_range *one = a, *other = b;

	return one->start < other->start ? -1 : one->start > other->start;
}

/**
 * kvmmem_ranges_finish - make them fit to be looked up
 * @ranges: which are all there
 *
 * Memory that several slots show is the first one's.
 */
void kvmmem_ranges_finish(struct kvmmem_ranges *ranges)
{
	unsigned long end = 0;
	unsigned int i, n = 0;
	u64 pages = 0;

	memset(&ranges->largest, 0, sizeof(ranges->largest));
	sort(ranges->at, ranges->nr, sizeof(ranges->at[0]), ranges_compare, NULL);
	for (i = 0; i < ranges->nr; i++) {
		struct kvmmem_range range = ranges->at[i];

		if (range.end <= end)
			continue;
		if (range.start < end) {
			range.gfn += kvmmem_pages_of(end - range.start);
			range.start = end;
		}
		range.before = pages;
		pages += kvmmem_pages_of(range.end - range.start);
		end = range.end;
		ranges->at[n++] = range;
		if (range.end - range.start > ranges->largest.end - ranges->largest.start)
			ranges->largest = range;
	}
	ranges->nr = n;
}

/**
 * kvmmem_ranges_find - the first range that ends behind an address
 * @ranges: the VM's
 * @addr: the address
 *
 * Return: its index, or ranges->nr.
 */
unsigned int kvmmem_ranges_find(const struct kvmmem_ranges *ranges, unsigned long addr)
{
	unsigned int low = 0, high = ranges->nr;

	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (ranges->at[middle].end <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The pages of ranges that touch several of the VM's, from @first on. */
static u64 ranges_across(const struct kvmmem_ranges *ranges, unsigned int first,
			 unsigned long start, unsigned long end)
{
	const struct kvmmem_range *one = &ranges->at[first], *last;
	unsigned int i = kvmmem_ranges_find(ranges, end - 1);
	u64 skipped = start > one->start ? (start - one->start) >> PAGE_SHIFT : 0;

	if (i == ranges->nr || ranges->at[i].start >= end)
		i--;
	last = &ranges->at[i];
	return last->before + kvmmem_pages_of(min(end, last->end) - last->start) -
	       one->before - skipped;
}

/**
 * kvmmem_ranges_look - the rest of kvmmem_ranges_hit()
 * @ranges: the VM's
 * @start: first address
 * @end: the first one behind it
 * @pages: where to put how many of the VM's are there
 *
 * Return: as kvmmem_ranges_hit().
 */
const struct kvmmem_range *kvmmem_ranges_look(const struct kvmmem_ranges *ranges,
					      unsigned long start, unsigned long end,
					      u64 *pages)
{
	unsigned int i = kvmmem_ranges_find(ranges, start);
	const struct kvmmem_range *range = &ranges->at[i];

	if (i == ranges->nr || range->start >= end)
		return NULL;
	*pages = end <= range->end ? kvmmem_pages_of(end - max(start, range->start)) :
				     ranges_across(ranges, i, start, end);
	return range;
}
