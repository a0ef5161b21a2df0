// SPDX-License-Identifier: GPL-2.0
/*
 * Counting what is taken away from guests: on the way of whoever takes it, which may
 * neither sleep nor fail, and of a vCPU that brings it back.
 */
#include <linux/jiffies.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "compat/taker.h"
#include "count/fault.h"
#include "count/huge.h"
#include "count/inval.h"
#include "decode/value.h"
#include "registry/records.h"
#include "registry/tally.h"
#include "registry/trace.h"

/* Slots of one range that are remembered for refaults; all are counted. */
#define REMEMBERED	4

static __always_inline void inval_remember(struct kvmmem_inval_counts *counts,
					   const struct kvmmem_range *range,
					   unsigned long start, u64 pages)
{
	u64 gfn = range->gfn + ((start - range->start) >> PAGE_SHIFT);

	/* The flag goes out only when all has been forgotten, and then a filter is begun. */
	if (unlikely(kvmmem_sketch_put(&counts->lately, gfn, pages, jiffies)))
		WRITE_ONCE(counts->vm->taken, true);
}

static noinline void inval_remember_several(struct kvmmem_inval_counts *counts,
					    const struct kvmmem_ranges *ranges,
					    unsigned long start, unsigned long end)
{
	unsigned int i = kvmmem_ranges_find(ranges, start), n;

	for (n = 0; n < REMEMBERED && i < ranges->nr && ranges->at[i].start < end; n++, i++) {
		const struct kvmmem_range *range = &ranges->at[i];
		unsigned long from = max(start, range->start);

		inval_remember(counts, range, from,
			       kvmmem_pages_of(min(end, range->end) - from));
	}
}

static __always_inline enum kvmmem_inval inval_whose(const struct mmu_notifier_range *range,
						     u64 pages)
{
	struct kvmmem_taker taker;

	kvmmem_taker_now(range, &taker);
	taker.pages = pages;
	return kvmmem_decode_inval(&taker);
}

/* Of the guest's addresses the first one. */
static noinline void inval_observed(const struct kvmmem_vm *vm, enum kvmmem_inval who,
				    const struct kvmmem_range *first, unsigned long start,
				    u64 pages)
{
	u64 offset = max(start, first->start) - first->start;

	kvmmem_tally(vm, KVMMEM_TALLY_INVAL + who, 1);
	kvmmem_tally(vm, KVMMEM_TALLY_INVAL_PAGES, pages);
	trace_invalidate(vm, kvmmem_inval_word(who),
			 ((u64)first->gfn << PAGE_SHIFT) + (offset & PAGE_MASK),
			 pages << PAGE_SHIFT);
}

static void inval_count(struct kvmmem_inval_counts *counts,
			const struct mmu_notifier_range *range)
{
	const struct kvmmem_ranges *ranges = rcu_dereference(counts->vm->ranges);
	unsigned long start = range->start, end = range->end;
	const struct kvmmem_range *first;
	enum kvmmem_inval who;
	u64 pages;

	if (unlikely(!ranges))
		return;
	first = kvmmem_ranges_hit(ranges, start, end, &pages);
	if (!first)
		return;
	who = inval_whose(range, pages);
	atomic64_inc(&counts->by[who].calls);
	atomic64_add(pages, &counts->by[who].pages);
	if (kvmmem_observed())
		inval_observed(counts->vm, who, first, start, pages);
	if (likely(start >= first->start && end <= first->end))
		inval_remember(counts, first, start, pages);
	else
		inval_remember_several(counts, ranges, start, end);
}

/**
 * kvmmem_inval_range - a range of the memory of a VM's process is taken away
 * @kvm: the VM
 * @range: what KVM's notifier is told
 *
 * Context: KVM's invalidate_range_start; any thread, several at once.
 */
void kvmmem_inval_range(const struct kvm *kvm, const struct mmu_notifier_range *range)
{
	struct kvmmem_inval_counts *counts;
	struct kvmmem_vm *vm;

	rcu_read_lock();
	vm = kvmmem_record_find(kvm);
	/* Pairs with kvmmem_inval_make(). */
	counts = vm ? smp_load_acquire(&vm->inval) : NULL;
	if (counts)
		inval_count(counts, range);
	rcu_read_unlock();
}

/* Was nothing taken away lately after all? */
static bool inval_is_over(struct kvmmem_vm *vm, const struct kvmmem_inval_counts *counts)
{
	if (!kvmmem_sketch_is_old(&counts->lately, jiffies))
		return false;
	WRITE_ONCE(vm->taken, false);
	smp_mb(); /* the flag, then whether it is needed after all */
	if (!kvmmem_sketch_is_old(&counts->lately, jiffies))
		WRITE_ONCE(vm->taken, true);
	return true;
}

/**
 * kvmmem_inval_gone - a fault at an address that is not L1's, while something was taken away
 * @rec: the vCPU's record
 *
 * It brings nothing back that is known, but tells what is gone. Context: the fault probe.
 */
void kvmmem_inval_gone(struct kvmmem_vcpu *rec)
{
	struct kvmmem_vm *vm = rec->vm;

	kvmmem_huge_taken(rec);
	inval_is_over(vm, smp_load_acquire(&vm->inval));	/* as below */
}

/**
 * kvmmem_inval_came_back - a fault while something was taken away lately
 * @rec: the vCPU's record
 * @gfn: the guest page
 *
 * Context: the fault probe.
 */
noinline void kvmmem_inval_came_back(struct kvmmem_vcpu *rec, u64 gfn)
{
	struct kvmmem_vm *vm = rec->vm;
	/* Pairs with kvmmem_inval_make(). */
	struct kvmmem_inval_counts *counts = smp_load_acquire(&vm->inval);

	kvmmem_huge_taken(rec);
	if (inval_is_over(vm, counts))
		return;
	if (kvmmem_sketch_has(&counts->lately, gfn, jiffies)) {
		WRITE_ONCE(rec->refaults, rec->refaults + 1);
		kvmmem_tally(vm, KVMMEM_TALLY_REFAULT, 1);
	}
}

/**
 * kvmmem_inval_make - counters for a VM
 * @vm: its record, which has none yet
 *
 * Context: may sleep.
 *
 * Return: the counters, which the record now has, or NULL.
 */
struct kvmmem_inval_counts *kvmmem_inval_make(struct kvmmem_vm *vm)
{
	struct kvmmem_inval_counts *counts = kzalloc(sizeof(*counts), GFP_KERNEL);

	if (!counts)
		return NULL;
	counts->vm = vm;
	counts->lately.bits[0] = counts->bits;
	counts->lately.bits[1] = counts->bits + KVMMEM_SKETCH_LONGS;
	counts->lately.begun = jiffies - 4 * KVMMEM_SKETCH_TICKS;
	smp_store_release(&vm->inval, counts);	/* whole */
	return counts;
}

/* NULL while the VM is not counted. */
static struct kvmmem_inval_counts *inval_known(struct kvmmem_vm *vm)
{
	/* Pairs with kvmmem_inval_make(). */
	struct kvmmem_inval_counts *counts = smp_load_acquire(&vm->inval);

	return counts && rcu_access_pointer(vm->ranges) ? counts : NULL;
}

/**
 * kvmmem_inval_of_vm - what was taken away from a VM
 * @vm: its record
 * @pages: pages are wanted, not calls
 * @sum: where to; all is KVMMEM_UNKNOWN if nobody counts
 *
 * Context: a reference on the record.
 *
 * Return: false if nobody counts.
 */
bool kvmmem_inval_of_vm(struct kvmmem_vm *vm, bool pages, struct kvmmem_inval_sum *sum)
{
	struct kvmmem_inval_counts *counts = inval_known(vm);
	const atomic64_t *from;
	unsigned int who;
	u64 all = 0;

	if (!counts) {
		memset(sum, 0xff, sizeof(*sum));
		return false;
	}
	/* Every reader does this for every VM, twice: a step from one initiator to the next. */
	from = pages ? &counts->by[0].pages : &counts->by[0].calls;
	for (who = 0; who < KVMMEM_NR_INVALS; who++) {
		u64 n = atomic64_read(from);

		sum->by[who] = n;
		all += n;
		from += sizeof(counts->by[0]) / sizeof(*from);
	}
	sum->all = all;
	return true;
}

/**
 * kvmmem_inval_refaults - violations that brought back what was taken away lately
 * @vm: the VM's record
 *
 * Context: a reference on the record.
 *
 * Return: how many; KVMMEM_UNKNOWN if nobody counts, or violations say no guest page.
 */
u64 kvmmem_inval_refaults(struct kvmmem_vm *vm)
{
	struct kvmmem_vcpu *rec;
	u64 sum = 0;

	if (!inval_known(vm) || !kvmmem_fault_on() || vm->mode == KVMMEM_MODE_SHADOW ||
	    vm->is_tdx)
		return KVMMEM_UNKNOWN;
	kvmmem_vm_for_each_vcpu(rec, vm)
		sum += READ_ONCE(rec->refaults);
	return sum;
}

/**
 * kvmmem_inval_counts_vm - is what is taken away from a VM counted?
 * @vm: the VM's record
 *
 * Context: a reference on the record.
 *
 * Return: true if so.
 */
bool kvmmem_inval_counts_vm(struct kvmmem_vm *vm)
{
	return inval_known(vm);
}
