/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Service time: from a VM exit for a fault to the next VM entry of that vCPU.
 */
#ifndef _KVMMEM_LATENCY_H
#define _KVMMEM_LATENCY_H

#include <linux/jump_label.h>

#include "registry/vm.h"

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
