// SPDX-License-Identifier: GPL-2.0
#include <linux/math64.h>

#include "decode/bucket.h"
#include "decode/quantile.h"

/**
 * kvmmem_quantile - the time that so many did not exceed
 * @buckets: how many there are of each bucket, KVMMEM_LATENCY_BUCKETS of them
 * @total: how many there are, or some less that were counted a moment before
 * @percent: how many
 * @longest: the longest of all, which nothing exceeds
 *
 * As if those of a bucket lay evenly in it; a bucket ends at twice its beginning, so
 * the result is wrong by less than a factor of two. The last one ends with @longest, and
 * is as wrong as it is wide.
 *
 * Return: the time; KVMMEM_UNKNOWN if there is none.
 */
u64 kvmmem_quantile(const u64 *buckets, u64 total, unsigned int percent, u64 longest)
{
	u64 rank, below = 0, from, until;
	unsigned int i;

	if (!total)
		return KVMMEM_UNKNOWN;
	rank = mul_u64_u64_div_u64(total, percent, 100);
	for (i = 0; i < KVMMEM_LATENCY_BUCKETS - 1; i++) {
		if (below + buckets[i] > rank)
			break;
		below += buckets[i];
	}
	from = kvmmem_latency_from(i);
	until = i < KVMMEM_LATENCY_BUCKETS - 1 ? kvmmem_latency_from(i + 1) : longest;
	if (buckets[i] && until > from)
		from += mul_u64_u64_div_u64(until - from, min(rank - below, buckets[i]),
					    buckets[i]);
	return min(from, longest);
}
