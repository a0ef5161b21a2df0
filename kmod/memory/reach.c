// SPDX-License-Identifier: GPL-2.0
/*
 * What follows from the sizes of mappings.
 */
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/string.h>

#include "decode/sample.h"
#include "memory/reach.h"

#define SUMS		(sizeof(struct kvmmem_align_sum) / sizeof(u64))
#define BATCHES_MOST	16

/**
 * kvmmem_align_divide - make a mean of a sum
 * @it: the sum
 * @by: of how many
 */
void kvmmem_align_divide(struct kvmmem_alignment *it, unsigned int by)
{
	u64 *cell = &it->pages[0][0][0];
	unsigned int i;

	for (i = 0; i < sizeof(it->pages) / sizeof(*cell); i++)
		cell[i] = div_u64(cell[i], by);
	it->no_slot = div_u64(it->no_slot, by);
}

/**
 * kvmmem_align_sum - what follows for the TLB
 * @alignment: the sizes
 * @sum: where to
 */
void kvmmem_align_sum(const struct kvmmem_alignment *alignment, struct kvmmem_align_sum *sum)
{
	unsigned int guest, kvm, host;

	memset(sum, 0, sizeof(*sum));
	for (guest = 0; guest < KVMMEM_NR_SIZES; guest++)
		for (kvm = 0; kvm < KVMMEM_ALIGN_CELLS; kvm++)
			for (host = 0; host < KVMMEM_ALIGN_CELLS; host++) {
				u64 pages = alignment->pages[guest][kvm][host];

				sum->mapped += pages;
				if (kvm == KVMMEM_ALIGN_NONE)
					sum->not_yet += pages;
				else if (guest == KVMMEM_4K)
					*(kvm == KVMMEM_4K ? &sum->small : &sum->wasted) += pages;
				else
					*(kvm == KVMMEM_4K ? &sum->lost : &sum->reach) += pages;
			}
}

/**
 * kvmmem_align_add - add what some more of a walk has found
 * @to: where to
 * @before: what was found before
 * @after: what is found now
 */
void kvmmem_align_add(struct kvmmem_align_sum *to, const struct kvmmem_align_sum *before,
		      const struct kvmmem_align_sum *after)
{
	const u64 *old = (const u64 *)before, *new = (const u64 *)after;
	unsigned int i;

	for (i = 0; i < SUMS; i++)
		((u64 *)to)[i] += new[i] - old[i];
}

/**
 * kvmmem_align_error - how far an estimate may be off
 * @batch: what the ways of each batch have found together
 * @n: batches, at most 16
 * @ways: of each
 *
 * Return: two standard errors of whichever sum is least certain.
 */
u64 kvmmem_align_error(const struct kvmmem_align_sum *batch, unsigned int n, unsigned int ways)
{
	u64 means[BATCHES_MOST], most = 0;
	unsigned int i, sum;

	for (sum = 0; sum < SUMS; sum++) {
		for (i = 0; i < min(n, BATCHES_MOST); i++)
			means[i] = div_u64(((const u64 *)&batch[i])[sum], ways);
		most = max(most, kvmmem_sample_error(means, min(n, BATCHES_MOST)));
	}
	return most;
}
