// SPDX-License-Identifier: GPL-2.0
/*
 * What readers ask of a record.
 */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/pid.h>
#include <linux/rculist.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "attach/queue.h"
#include "compat/memory.h"
#include "compat/mm.h"
#include "decode/ranges.h"
#include "decode/value.h"
#include "registry/info.h"
#include "registry/records.h"

/**
 * kvmmem_vm_alive - has KVM not destroyed this VM yet?
 * @vm: its record
 *
 * Only a hint without @vm->lock. Context: any.
 *
 * Return: true if so.
 */
bool kvmmem_vm_alive(const struct kvmmem_vm *vm)
{
	return READ_ONCE(vm->kvm);
}

/**
 * kvmmem_vm_get_mm - a VM's mm with its page tables
 * @vm: the record
 *
 * Context: any in which vm->lock can be taken.
 *
 * Return: to be given back by kvmmem_put_mm(); NULL when the VM or its process is gone.
 */
struct mm_struct *kvmmem_vm_get_mm(struct kvmmem_vm *vm)
{
	struct mm_struct *mm = NULL;
	bool used;

	raw_spin_lock(&vm->lock);
	if (vm->kvm) {
		mm = vm->kvm->mm;
		mmgrab(mm);
	}
	raw_spin_unlock(&vm->lock);
	if (!mm)
		return NULL;
	used = mmget_not_zero(mm);
	mmdrop(mm);
	return used ? mm : NULL;
}

static void info_put_mm(struct work_struct *work)
{
	mmput(container_of(work, struct mm_struct, async_put_work));
}

/**
 * kvmmem_put_mm - give back what kvmmem_vm_get_mm() gave
 * @mm: the mm
 *
 * Whoever is the last takes all of the process's memory apart, as long as that may take:
 * a worker, not the caller. Context: any.
 */
void kvmmem_put_mm(struct mm_struct *mm)
{
	if (mmput_async) {
		mmput_async(mm);
	} else if (!atomic_add_unless(&mm->mm_users, -1, 1)) {
		INIT_WORK(&mm->async_put_work, info_put_mm);
		queue_work(kvmmem_queue, &mm->async_put_work);
	}
}

/**
 * kvmmem_vm_next_slots - the next few memory slots of a VM, in the order of their gfns
 * @vm: the record
 * @some: all 0 at first, as it was left thereafter
 *
 * There can be thousands, so that the lock is let go after each few. Slots that change
 * meanwhile may be missed; who cares compares kvmmem_slots_generation().
 *
 * Context: any in which vm->lock can be taken; a reference on the record.
 *
 * Return: false when there is none left, or the VM is gone.
 */
bool kvmmem_vm_next_slots(struct kvmmem_vm *vm, struct kvmmem_vm_slots *some)
{
	const struct kvmmem_slot *last;

	if (some->over)
		return false;
	some->nr = 0;
	raw_spin_lock(&vm->lock);
	if (vm->kvm)
		some->nr = kvmmem_slots_from(vm->kvm, some->gfn, some->slot,
					     ARRAY_SIZE(some->slot));
	raw_spin_unlock(&vm->lock);
	if (!some->nr)
		return false;
	last = &some->slot[some->nr - 1];
	some->gfn = last->base_gfn + last->npages;
	some->over = some->nr < ARRAY_SIZE(some->slot);
	return true;
}

/* Pieces of a process's address space that a VM's memory lies in. */
#define RANGES_MAX	1024

/* All of a VM's slots; false if they are too many. */
static bool info_read_ranges(struct kvmmem_vm *vm, struct kvmmem_ranges *ranges)
{
	struct kvmmem_vm_slots some = {};
	const struct kvmmem_slot *slot;
	unsigned int i;

	while (kvmmem_vm_next_slots(vm, &some)) {
		for (i = 0; i < some.nr; i++) {
			slot = &some.slot[i];
			if (!kvmmem_ranges_put(ranges, RANGES_MAX, slot->hva, slot->npages,
					       slot->base_gfn))
				return false;
		}
		cond_resched();
	}
	return true;
}

/**
 * kvmmem_vm_ranges - where a VM's memory lies in its process
 * @vm: the record
 *
 * Context: a reference on the record; may sleep.
 *
 * Return: to be given to kvfree(); -E2BIG: in too many pieces; -ENOMEM.
 */
struct kvmmem_ranges *kvmmem_vm_ranges(struct kvmmem_vm *vm)
{
	struct kvmmem_ranges *all, *ranges;

	all = kvmalloc(struct_size(all, at, RANGES_MAX), GFP_KERNEL);
	if (!all)
		return ERR_PTR(-ENOMEM);
	all->nr = 0;
	if (!info_read_ranges(vm, all)) {
		kvfree(all);
		return ERR_PTR(-E2BIG);
	}
	kvmmem_ranges_finish(all);
	ranges = kvmalloc(struct_size(ranges, at, all->nr), GFP_KERNEL);
	if (ranges)
		memcpy(ranges, all, struct_size(ranges, at, all->nr));
	kvfree(all);
	return ranges ?: ERR_PTR(-ENOMEM);
}

/*
 * Slots of a VM that changes them all the while are counted at each reading, if they are
 * few. To count many takes all VMs together one part in MANY_SHARE of a processor; for the
 * first time, one part in FIRST_SHARE, and of that AHEAD at once.
 */
#define SLOTS_FEW	128
#define MANY_SHARE	50
#define MANY_MOST	(20 * NSEC_PER_MSEC)	/* whoever took longer did not run meanwhile */
#define FIRST_SHARE	5
#define AHEAD		(20 * NSEC_PER_MSEC)

static atomic64_t slots_took = ATOMIC64_INIT(0);	/* the sum of all VMs' */

static DEFINE_SPINLOCK(first_lock);
static u64 first_paid;		/* until when the share is spent, ktime_get_ns(); first_lock */

static bool info_may_count(const struct kvmmem_vm *vm)
{
	u64 counted = READ_ONCE(vm->slots_counted), now = ktime_get_ns();

	if (counted)
		return now - counted >= MANY_SHARE * atomic64_read(&slots_took);
	return READ_ONCE(first_paid) <= now + FIRST_SHARE * AHEAD;
}

static void info_pay_first(u64 took)
{
	spin_lock(&first_lock);
	WRITE_ONCE(first_paid, max_t(u64, first_paid, ktime_get_ns()) + FIRST_SHARE * took);
	spin_unlock(&first_lock);
}

/* Under vm->lock. */
static void info_note_many(struct kvmmem_vm *vm, u64 took)
{
	u64 now = ktime_get_ns();

	atomic64_add(took - vm->slots_took, &slots_took);
	vm->slots_took = took;
	smp_store_release(&vm->slots_counted, now);	/* pairs with info_pages_known() */
}

/**
 * kvmmem_vm_forget_slots - how long it took to count a VM's slots matters no more
 * @vm: the record of a VM that is gone, so that nobody counts any more
 *
 * Once for each VM. Context: any.
 */
void kvmmem_vm_forget_slots(const struct kvmmem_vm *vm)
{
	atomic64_sub(vm->slots_took, &slots_took);
}

/* Pages as they were counted last. */
static u64 info_pages_known(const struct kvmmem_vm *vm)
{
	/* When, then how many: pairs with info_note_many(). */
	return smp_load_acquire(&vm->slots_counted) ? READ_ONCE(vm->slot_pages) : KVMMEM_UNKNOWN;
}

/*
 * Pages of all memory slots; as of when they were counted last when that is enough, and
 * KVMMEM_UNKNOWN when many were never counted and there is no time now.
 */
static u64 info_count_pages(struct kvmmem_vm *vm)
{
	u64 generation = 0, pages = 0, begun = ktime_get_ns(), took;
	struct kvmmem_vm_slots some = {};
	bool first = !READ_ONCE(vm->slots_counted);
	unsigned int i, n = 0;
	u64 now;

	raw_spin_lock(&vm->lock);
	if (vm->kvm)
		generation = kvmmem_slots_generation(vm->kvm);
	raw_spin_unlock(&vm->lock);

	while (kvmmem_vm_next_slots(vm, &some)) {
		for (i = 0; i < some.nr; i++)
			pages += some.slot[i].npages;
		if (n <= SLOTS_FEW && n + some.nr > SLOTS_FEW && !info_may_count(vm))
			return info_pages_known(vm);
		n += some.nr;
		if (fatal_signal_pending(current))
			return info_pages_known(vm);
		cond_resched();
	}

	took = min_t(u64, ktime_get_ns() - begun, MANY_MOST);
	if (first && n > SLOTS_FEW)
		info_pay_first(took);
	raw_spin_lock(&vm->lock);
	if (vm->kvm) {
		now = kvmmem_slots_generation(vm->kvm);
		/* Another reader may have counted them as they are now. */
		if (now == generation || now != vm->slot_generation)
			WRITE_ONCE(vm->slot_pages, pages);
		if (now == generation)
			vm->slot_generation = generation;
		if (n > SLOTS_FEW)
			info_note_many(vm, took);
	} else {
		pages = 0;
	}
	raw_spin_unlock(&vm->lock);
	return pages;
}

/* Under vm->lock. Known while slots are as they were walked, and as they were counted. */
static u64 info_device_kb(const struct kvmmem_vm *vm)
{
	u64 generation = vm->backing.generation;

	return vm->kvm && vm->backing.walked && generation == vm->slot_generation &&
	       generation == kvmmem_slots_generation(vm->kvm) ?
	       vm->backing.device_kb : KVMMEM_UNKNOWN;
}

/**
 * kvmmem_vm_mem_kb - memory of a VM: its memory slots but for those of devices
 * @vm: its record
 * @device_kb: where to put the size of the latter; KVMMEM_UNKNOWN, and part of the
 *	result, while no walk has seen the slots as they are now
 *
 * Address space 0 only: 1 is SMM's view of the same memory.
 *
 * Context: may sleep; a reference on the record.
 *
 * Return: KiB; KVMMEM_UNKNOWN when they are so many that there was no time to count them.
 * 0 when the VM is gone.
 */
u64 kvmmem_vm_mem_kb(struct kvmmem_vm *vm, u64 *device_kb)
{
	u64 pages, all_kb;
	bool known;

	raw_spin_lock(&vm->lock);
	/* They are counted when they have changed. 0 is the generation of no slots. */
	known = vm->slot_generation == (vm->kvm ? kvmmem_slots_generation(vm->kvm) : 0);
	pages = vm->slot_pages;
	*device_kb = info_device_kb(vm);
	raw_spin_unlock(&vm->lock);
	if (!known) {
		pages = info_count_pages(vm);
		raw_spin_lock(&vm->lock);
		*device_kb = info_device_kb(vm);
		raw_spin_unlock(&vm->lock);
	}

	if (pages == KVMMEM_UNKNOWN) {
		*device_kb = KVMMEM_UNKNOWN;
		return KVMMEM_UNKNOWN;
	}
	all_kb = pages << (PAGE_SHIFT - 10);
	if (*device_kb == KVMMEM_UNKNOWN)
		return all_kb;
	*device_kb = min(*device_kb, all_kb);
	return all_kb - *device_kb;
}

/**
 * kvmmem_vm_info - collect the facts of a VM
 * @vm: its record
 * @info: where to
 *
 * Context: a reference on the record; may sleep.
 *
 * Return: false when the VM is gone.
 */
bool kvmmem_vm_info(struct kvmmem_vm *vm, struct kvmmem_vm_info *info)
{
	struct task_struct *task;
	bool alive;

	info->mem_kb = kvmmem_vm_mem_kb(vm, &info->device_kb);
	/* Now, since it may have ended while its slots were counted. */
	raw_spin_lock(&vm->lock);
	alive = vm->kvm;
	if (alive)
		info->vcpus = atomic_read(&vm->kvm->online_vcpus);
	raw_spin_unlock(&vm->lock);
	if (!alive)
		return false;

	rcu_read_lock();
	task = pid_task(vm->pid, PIDTYPE_TGID);
	strscpy(info->comm, task ? task->comm : vm->comm, sizeof(info->comm));
	rcu_read_unlock();
	return true;
}

/**
 * kvmmem_vm_for_all - call a function for the record of each VM
 * @fn: called with a reference on the record
 *
 * Context: may sleep.
 */
void kvmmem_vm_for_all(void (*fn)(struct kvmmem_vm *vm))
{
	struct kvmmem_vm *vm;
	unsigned int slot;

	for (slot = kvmmem_vm_next(0); slot < kvmmem_vm_slots(); slot = kvmmem_vm_next(slot + 1)) {
		vm = kvmmem_vm_get(slot);
		if (!vm)
			continue;
		fn(vm);
		kvmmem_vm_put(vm);
		cond_resched();
	}
}
