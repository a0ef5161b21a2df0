/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Quantiles of times that were counted in buckets (bucket.h).
 */
#ifndef _KVMMEM_QUANTILE_H
#define _KVMMEM_QUANTILE_H

#include <linux/types.h>

u64 kvmmem_quantile(const u64 *buckets, u64 total, unsigned int percent, u64 longest);

#endif /* _KVMMEM_QUANTILE_H */
