/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Service time: from a VM exit for a fault to the next VM entry of that vCPU.
 */
#ifndef _KVMMEM_LATENCY_H
#define _KVMMEM_LATENCY_H

#include <linux/bitops.h>
#include <linux/jump_label.h>
#include <linux/math64.h>
#include <linux/minmax.h>

#include "decode/value.h"
#include "registry/vm.h"

/* The first bucket ends at 2^8 ns, the last one begins at 2^30 ns. */
#define KVMMEM_LATENCY_SHIFT	7

/**
 * kvmmem_latency_bucket - the bucket of a time
 * @ns: the time
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
 */
static __always_inline u64 kvmmem_tsc_to_ns(u64 ticks, u32 mult)
{
	return mul_u64_u32_shr(ticks, mult, KVMMEM_TSC_SHIFT);
}

/**
 * struct kvmmem_latency - service times of a VM
 * @served: faults by the bucket of their service time
 * @under_way: faults whose VM entry is still to come
 * @no_exit: faults whose VM exit was not seen
 * @clock: faults that ended before they began, by the TSC
 *
 * All of them are KVMMEM_UNKNOWN while nobody measures. The sum is the number
 * of faults while somebody did.
 */
struct kvmmem_latency {
	u64 served[KVMMEM_LATENCY_BUCKETS];
	u64 under_way;
	u64 no_exit;
	u64 clock;
};

DECLARE_STATIC_KEY_FALSE(kvmmem_latency_key);

void kvmmem_latency_init(void);
void kvmmem_latency_served(struct kvmmem_vcpu *rec);
void kvmmem_latency_of_vm(struct kvmmem_vm *vm, struct kvmmem_latency *sum);

/**
 * kvmmem_latency_exit - the vCPU has left the guest, for the probe on kvm_exit
 * @rec: its record
 */
static __always_inline void kvmmem_latency_exit(struct kvmmem_vcpu *rec)
{
	if (static_branch_likely(&kvmmem_latency_key))
		rec->exit_tsc = rdtsc();
}

/**
 * kvmmem_latency_fault - it was for a fault, for the fault probe
 * @rec: its record
 */
static __always_inline void kvmmem_latency_fault(struct kvmmem_vcpu *rec)
{
	if (static_branch_likely(&kvmmem_latency_key)) {
		rec->begun++;
		rec->fault_tsc = rec->exit_tsc;
	}
}

/**
 * kvmmem_latency_entry - the vCPU enters the guest, for the probe on kvm_entry
 * @rec: its record
 */
static __always_inline void kvmmem_latency_entry(struct kvmmem_vcpu *rec)
{
	if (static_branch_likely(&kvmmem_latency_key) && unlikely(rec->fault_tsc))
		kvmmem_latency_served(rec);
}

#endif /* _KVMMEM_LATENCY_H */
