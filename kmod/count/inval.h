/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counting what is taken away from guests, and what comes back by a fault.
 */
#ifndef _KVMMEM_INVAL_H
#define _KVMMEM_INVAL_H

#include <linux/atomic.h>
#include <linux/build_bug.h>
#include <linux/cache.h>
#include <linux/mmu_notifier.h>

#include "decode/inval.h"
#include "decode/ranges.h"
#include "decode/sketch.h"
#include "registry/vm.h"

/**
 * struct kvmmem_pace - how long something took, in a second
 * @since: when the second began, the low bits of jiffies
 * @us: how long, in us
 */
struct kvmmem_pace {
	u32 since;
	u32 us;
};

/**
 * struct kvmmem_inval_counts - what was taken away from a VM
 * @vm: its record
 * @looked: its slots have been looked at; the notifier's mutex
 * @pace: how long it has been looked at lately; likewise
 * @lately: what was taken away just now
 * @by: by enum kvmmem_inval
 * @by.calls: how many
 * @by.pages: pages of memory slots
 * @bits: the filters of @lately
 *
 * It lasts as long as the record. One set of counters for all processors: KVM writes to a
 * line of the VM in each call of its own notifier, under a lock, so more would gain
 * nothing; and a reader would have to sum them up.
 */
struct kvmmem_inval_counts {
	struct kvmmem_vm *vm;
	bool looked;
	struct kvmmem_pace pace;
	struct kvmmem_sketch lately;
	struct {
		atomic64_t calls;
		atomic64_t pages;
	} by[KVMMEM_NR_INVALS] ____cacheline_aligned;
	unsigned long bits[2 * KVMMEM_SKETCH_LONGS];
};

static_assert(sizeof(struct kvmmem_inval_counts) <= 2048);

/**
 * struct kvmmem_inval_sum - what was taken away from a VM, or by enum kvmmem_inval
 * @all: in all
 * @by: of it
 */
struct kvmmem_inval_sum {
	u64 all;
	u64 by[KVMMEM_NR_INVALS];
};

struct kvmmem_inval_counts *kvmmem_inval_make(struct kvmmem_vm *vm);
void kvmmem_inval_range(const struct kvm *kvm, const struct mmu_notifier_range *range);
void kvmmem_inval_came_back(struct kvmmem_vcpu *rec, u64 gfn);
void kvmmem_inval_gone(struct kvmmem_vcpu *rec);
bool kvmmem_inval_of_vm(struct kvmmem_vm *vm, bool pages, struct kvmmem_inval_sum *sum);
u64 kvmmem_inval_refaults(struct kvmmem_vm *vm);
bool kvmmem_inval_counts_vm(struct kvmmem_vm *vm);

/**
 * kvmmem_inval_fault - does a fault bring back what was taken away? For the fault probe
 * @rec: record of the vCPU
 * @gpa: guest-physical address
 */
static __always_inline void kvmmem_inval_fault(struct kvmmem_vcpu *rec, u64 gpa)
{
	if (unlikely(data_race(rec->vm->taken)))	/* one instruction less than READ_ONCE() */
		kvmmem_inval_came_back(rec, gpa >> PAGE_SHIFT);
}

#endif /* _KVMMEM_INVAL_H */
