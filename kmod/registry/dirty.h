/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a VM's record keeps of dirty logging; count/dirty.c works on it.
 */
#ifndef _KVMMEM_REGISTRY_DIRTY_H
#define _KVMMEM_REGISTRY_DIRTY_H

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/types.h>

/* vCPUs share so many sets of counters: a logged guest's vCPUs fault all at once. */
#define KVMMEM_DIRTY_CELLS	8

/**
 * struct kvmmem_dirty_cell - counts of some of a VM's vCPUs
 * @write_faults: writes to pages that were write-protected for logging
 * @ticks: of the TSC, from the VM exits for those to the next VM entries
 * @ring_full: exits to user space since a vCPU's ring was full
 * @pml_full: exits since the processor's log of dirty pages was full
 */
struct kvmmem_dirty_cell {
	atomic64_t write_faults;
	atomic64_t ticks;
	atomic64_t ring_full;
	atomic64_t pml_full;
} ____cacheline_aligned;

/**
 * struct kvmmem_dirty - dirty logging of a VM
 * @on: some slot is logged; vm->lock to change
 * @ring: by the dirty ring; vm->lock to change
 * @ever: it is, or was; vm->lock to change
 * @counted: @slots is right; vm->lock
 * @coming_back: the last change was a slot that ceased to be logged; vm->lock to change
 * @put_back: the same, and KVM may have put back what was split; vm->lock to change
 * @slots: that are logged; vm->lock
 * @generation: KVM's of the slots when they were counted; vm->lock
 * @again: when they may be counted again, if that failed; jiffies
 * @tries: how often it did, up to a limit; vm->lock
 * @since: when @on changed last, ktime_get_ns(); vm->lock
 * @ceased: when a slot ceased to be logged last, likewise
 * @split_2m: 2M mappings that were split for it, or as many as one of 1G would have been
 * @begun_2m: KVM's count of 2M mappings when the first of them did, one of 1G being as
 *	many as it holds; vm->lock
 * @back_2m: the most it has grown by since; vm->lock
 * @back_before: the same of earlier times; vm->lock
 * @kb: memory that was dirty at @looked
 * @looked: when somebody has looked at all of it last, ktime_get_ns()
 * @cells: by a vCPU's number
 */
struct kvmmem_dirty {
	bool on;
	bool ring;
	bool ever;
	bool counted;
	bool coming_back;
	bool put_back;
	unsigned int tries;
	unsigned int slots;
	u64 generation;
	unsigned long again;
	u64 since;
	u64 ceased;
	atomic64_t split_2m;
	u64 begun_2m;
	u64 back_2m;
	u64 back_before;
	u64 kb;
	u64 looked;
	struct kvmmem_dirty_cell cells[KVMMEM_DIRTY_CELLS];
};

#endif /* _KVMMEM_REGISTRY_DIRTY_H */
