/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Ticks of this machine's TSC as time.
 */
#ifndef _KVMMEM_TICKS_H
#define _KVMMEM_TICKS_H

#include "decode/bucket.h"

extern u32 kvmmem_ticks_mult;

bool kvmmem_ticks_init(void);
void kvmmem_ticks_exit(void);
const char *kvmmem_ticks_why_not(void);

/**
 * kvmmem_ticks_to_ns - a sum of TSC differences as time
 * @ticks: the sum
 *
 * Return: nanoseconds.
 */
static __always_inline u64 kvmmem_ticks_to_ns(u64 ticks)
{
	return kvmmem_tsc_to_ns(ticks, kvmmem_ticks_mult);
}

/**
 * kvmmem_ticks_to_us - the same, in microseconds
 * @ticks: the sum
 *
 * Return: microseconds.
 */
static inline u64 kvmmem_ticks_to_us(u64 ticks)
{
	return div_u64(kvmmem_ticks_to_ns(ticks), NSEC_PER_USEC);
}

#endif /* _KVMMEM_TICKS_H */
