/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From ticks of the TSC to a bucket of service times: pure functions, for the
 * probes and for KUnit.
 */
#ifndef _KVMMEM_BUCKET_H
#define _KVMMEM_BUCKET_H

#include <linux/bitops.h>
#include <linux/math64.h>
#include <linux/minmax.h>

#include "decode/value.h"

/* Buckets of service times, each twice as wide as the one before. */
#define KVMMEM_LATENCY_BUCKETS	24

/* The first bucket ends at 2^8 ns, the last one begins at 2^30 ns. */
#define KVMMEM_LATENCY_SHIFT	7

/**
 * kvmmem_latency_bucket - the bucket of a time
 * @ns: the time
 *
 * Return: its number, below KVMMEM_LATENCY_BUCKETS.
 */
static inline unsigned int kvmmem_latency_bucket(u64 ns)
{
	return min_t(unsigned int, __fls(ns | BIT(KVMMEM_LATENCY_SHIFT)) - KVMMEM_LATENCY_SHIFT,
		     KVMMEM_LATENCY_BUCKETS - 1);
}

/**
 * kvmmem_latency_from - where a bucket begins, in ns
 * @bucket: up to KVMMEM_LATENCY_BUCKETS
 *
 * Return: the least time of the bucket; KVMMEM_UNKNOWN behind the last one.
 */
static inline u64 kvmmem_latency_from(unsigned int bucket)
{
	if (bucket == KVMMEM_LATENCY_BUCKETS)
		return KVMMEM_UNKNOWN;
	return bucket ? BIT_ULL(bucket + KVMMEM_LATENCY_SHIFT) : 0;
}

#define KVMMEM_TSC_SHIFT	24

/**
 * kvmmem_tsc_mult - the factor for kvmmem_tsc_to_ns()
 * @khz: frequency of the TSC
 *
 * Return: the factor, or 0 if there is none for so slow a TSC.
 */
static inline u32 kvmmem_tsc_mult(unsigned int khz)
{
	u64 mult = khz ? div_u64((1000000ULL << KVMMEM_TSC_SHIFT) + khz / 2, khz) : 0;

	return mult > U32_MAX ? 0 : mult;
}

/**
 * kvmmem_tsc_to_ns - a difference of TSC values as time
 * @ticks: the difference
 * @mult: the factor
 *
 * Return: nanoseconds.
 */
static __always_inline u64 kvmmem_tsc_to_ns(u64 ticks, u32 mult)
{
	return mul_u64_u32_shr(ticks, mult, KVMMEM_TSC_SHIFT);
}

/**
 * kvmmem_tsc_short_to_ns - the same for a short time, in fewer instructions
 * @ticks: the difference
 * @mult: the factor
 *
 * Return: nanoseconds.
 */
static __always_inline u64 kvmmem_tsc_short_to_ns(u32 ticks, u32 mult)
{
	return (u64)ticks * mult >> KVMMEM_TSC_SHIFT;
}

/**
 * kvmmem_tsc_short - how many ticks are short for those two
 * @mult: the factor
 *
 * Return: the most whose time is not in the last bucket, or of 32 bits.
 */
static inline u32 kvmmem_tsc_short(u32 mult)
{
	u64 ns = kvmmem_latency_from(KVMMEM_LATENCY_BUCKETS - 1) - 1;

	return mult ? min_t(u64, div_u64(ns << KVMMEM_TSC_SHIFT, mult), U32_MAX) : 0;
}

/**
 * kvmmem_latency_short_bucket - the bucket of a time that is not in the last one
 * @ns: the time
 *
 * Return: its number.
 */
static __always_inline unsigned long kvmmem_latency_short_bucket(u64 ns)
{
	return __fls(ns | BIT(KVMMEM_LATENCY_SHIFT)) - KVMMEM_LATENCY_SHIFT;
}

#endif /* _KVMMEM_BUCKET_H */
