// SPDX-License-Identifier: GPL-2.0
#include <linux/bitops.h>
#include <linux/kernel.h>
#include <linux/math64.h>

#include "decode/sample.h"

/* The square of so many bits, and a sum of some of them, fits. */
#define SAMPLE_BITS	28

/**
 * kvmmem_sample_error - how far a mean may be off
 * @batch: what each batch of a sample says
 * @n: how many batches, at least 2 and at most 256
 *
 * Context: any.
 *
 * Return: two standard errors of their mean; to one part in 2^27.
 */
u64 kvmmem_sample_error(const u64 *batch, unsigned int n)
{
	u64 mean = 0, rest = 0, most = 0, sum = 0;
	unsigned int i, shift;
	u32 part;

	/* The sum of all may be too large. */
	for (i = 0; i < n; i++) {
		mean += div_u64_rem(batch[i], n, &part);
		rest += part;
	}
	mean += div_u64(rest, n);
	for (i = 0; i < n; i++)
		most = max(most, batch[i] > mean ? batch[i] - mean : mean - batch[i]);
	shift = max(fls64(most), SAMPLE_BITS) - SAMPLE_BITS;
	for (i = 0; i < n; i++) {
		u64 off = (batch[i] > mean ? batch[i] - mean : mean - batch[i]) >> shift;

		sum += off * off;
	}
	return (u64)int_sqrt(div_u64(sum * 4, n * (n - 1))) << shift;
}
