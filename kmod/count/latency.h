/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Service time: from a VM exit for a fault to the next VM entry of that vCPU.
 */
#ifndef _KVMMEM_LATENCY_H
#define _KVMMEM_LATENCY_H

#include <linux/jump_label.h>

#include "registry/vm.h"

/* Of so many faults one is looked at more closely, see stuck.c; a power of two. */
#define KVMMEM_SAMPLE	256

/**
 * struct kvmmem_latency - service times of a VM or of a vCPU
 * @bucket: faults by the bucket of their service time
 * @under_way: faults whose VM entry is still to come
 * @clock: faults that ended before they began, by the TSC
 * @count: faults that were served, by access
 * @access_ns: time that they took, by access
 * @access_max_ns: the longest time of one, by access
 * @huge: of them, those that installed a huge mapping; KVMMEM_UNKNOWN, as the next, where
 *	KVM does not count mappings by size
 * @huge_ns: time that they took
 * @served: of all kinds
 * @total_ns: likewise
 * @max_ns: likewise
 * @kvm_ns: time in KVM, of all; KVMMEM_UNKNOWN, as the next two, where nobody tells it
 *	from the rest
 * @asleep_ns: time without a processor, waiting or preempted
 * @user_ns: time in user space
 *
 * All of them are KVMMEM_UNKNOWN while nobody measures. Buckets, @under_way, @clock and
 * kvmmem_latency_no_exit() sum to the number of faults while somebody did.
 */
struct kvmmem_latency {
	u64 bucket[KVMMEM_LATENCY_BUCKETS];
	u64 under_way;
	u64 clock;
	u64 count[KVMMEM_NR_ACCESSES];
	u64 access_ns[KVMMEM_NR_ACCESSES];
	u64 access_max_ns[KVMMEM_NR_ACCESSES];
	u64 huge;
	u64 huge_ns;
	u64 served;
	u64 total_ns;
	u64 max_ns;
	u64 kvm_ns;
	u64 asleep_ns;
	u64 user_ns;
};

DECLARE_STATIC_KEY_FALSE(kvmmem_latency_key);

void kvmmem_latency_init(void);
void kvmmem_latency_served(struct kvmmem_vcpu *rec);
bool kvmmem_latency_on(void);
void kvmmem_latency_of_vcpu(struct kvmmem_vcpu *rec, struct kvmmem_latency *sum);
void kvmmem_latency_of_vm(struct kvmmem_vm *vm, struct kvmmem_latency *sum);
u64 kvmmem_latency_no_exit(struct kvmmem_vm *vm);
u64 kvmmem_latency_quantile(const struct kvmmem_latency *sum, unsigned int percent);

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
 * @class: of the fault
 */
static __always_inline void kvmmem_latency_fault(struct kvmmem_vcpu *rec, unsigned int class)
{
	if (static_branch_likely(&kvmmem_latency_key)) {
		rec->fault_class = class;
		rec->fault_tsc = rec->exit_tsc;
	}
}

/**
 * kvmmem_latency_open - is a fault under way that is being measured?
 * @rec: the vCPU's record
 *
 * Context: its thread.
 *
 * Return: true if so. What was begun before the switch is not.
 */
static __always_inline bool kvmmem_latency_open(const struct kvmmem_vcpu *rec)
{
	return static_branch_likely(&kvmmem_latency_key) && rec->fault_tsc;
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
