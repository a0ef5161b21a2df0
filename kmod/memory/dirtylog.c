// SPDX-License-Identifier: GPL-2.0
/*
 * How much of a VM's memory is noted as dirty: in KVM's bitmaps of its slots, or in
 * the rings of its vCPUs.
 */
#include <linux/ktime.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "compat/dirty.h"
#include "decode/value.h"
#include "memory/backing.h"
#include "memory/budget.h"
#include "memory/dirtylog.h"
#include "registry/info.h"
#include "registry/records.h"

#define PAGE_KB		(PAGE_SIZE >> 10)

/* Words of a bitmap, and vCPUs, that are looked at in one go. */
#define WORDS		1024
#define BATCH		128

static u64 dirtylog_rings(struct kvmmem_vm *vm)
{
	struct kvmmem_vcpu *rec = kvmmem_vm_next_vcpu(vm, NULL);
	u64 pages = 0;
	unsigned int n;

	while (rec) {
		raw_spin_lock(&vm->lock);
		if (!vm->kvm)
			rec = NULL;
		for (n = 0; rec && n < BATCH; n++, rec = kvmmem_vm_next_vcpu(vm, rec))
			pages += kvmmem_ring_dirty(rec->vcpu);
		raw_spin_unlock(&vm->lock);
	}
	return pages;
}

/* Words of a slot's bitmap; KVMMEM_UNKNOWN when it is gone. */
static u64 dirtylog_chunk(struct kvmmem_vm *vm, const struct kvmmem_slot *slot, u64 word)
{
	u64 pages = KVMMEM_UNKNOWN;

	raw_spin_lock(&vm->lock);
	if (vm->kvm)
		pages = kvmmem_slot_dirty(vm->kvm, slot->base_gfn, word, WORDS);
	raw_spin_unlock(&vm->lock);
	return pages;
}

/* No VM takes more than half of what is left, so that something is left to the next. */
static bool dirtylog_goes_on(const struct kvmmem_budget *budget, s64 end_ns)
{
	return kvmmem_budget_left(budget) && budget->left_ns >= end_ns;
}

static u64 dirtylog_bitmaps(struct kvmmem_vm *vm, struct kvmmem_budget *budget)
{
	s64 end_ns = budget->left_ns - kvmmem_budget_rest(budget) / 2;
	struct kvmmem_slot slot;
	u64 gfn = 0, pages = 0, looked = ktime_get_ns();

	while (kvmmem_backing_next_slot(vm, gfn, &slot)) {
		u64 word, words = BITS_TO_LONGS(slot.npages);

		gfn = slot.base_gfn + slot.npages;
		if (!(slot.flags & KVM_MEM_LOG_DIRTY_PAGES)) {
			/* There may be tens of thousands that are not logged. */
			if (!dirtylog_goes_on(budget, end_ns))
				return KVMMEM_UNKNOWN;
			kvmmem_budget_spend(budget, looked);
			looked = ktime_get_ns();
			cond_resched();
			continue;
		}
		for (word = 0; word < words; word += WORDS) {
			u64 begun = ktime_get_ns(), chunk;

			if (!dirtylog_goes_on(budget, end_ns))
				return KVMMEM_UNKNOWN;
			chunk = dirtylog_chunk(vm, &slot, word);
			kvmmem_budget_spend(budget, begun);
			if (chunk == KVMMEM_UNKNOWN && word)	/* logged no more */
				return KVMMEM_UNKNOWN;
			if (chunk == KVMMEM_UNKNOWN)
				break;
			pages += chunk;
			cond_resched();
		}
		looked = ktime_get_ns();
		cond_resched();
	}
	return pages;
}

/* True if all of it was looked at. */
static bool dirtylog_look(struct kvmmem_vm *vm, struct kvmmem_budget *budget)
{
	u64 pages = READ_ONCE(vm->dirty.ring) ? dirtylog_rings(vm) :
						dirtylog_bitmaps(vm, budget);

	if (pages == KVMMEM_UNKNOWN)
		return false;
	WRITE_ONCE(vm->dirty.kb, pages * PAGE_KB);
	smp_store_release(&vm->dirty.looked, ktime_get_ns());	/* pairs with _kb() below */
	return true;
}

static bool dirtylog_due(unsigned int slot)
{
	const struct kvmmem_vm *vm;
	bool due;

	rcu_read_lock();
	vm = kvmmem_vm_at(slot);
	due = vm && READ_ONCE(vm->dirty.on);
	rcu_read_unlock();
	return due;
}

/*
 * The VMs from slot @from to @to, @looked of which this reading has looked at before.
 * @next: where the next reading begins, if not known yet: at the first VM that was too
 * large, or behind it if that had all there is.
 */
static void dirtylog_round(unsigned int from, unsigned int to, struct kvmmem_budget *budget,
			   unsigned int *looked, int *next)
{
	struct kvmmem_vm *vm;
	unsigned int slot;

	for (slot = kvmmem_vm_next(from); slot < to; slot = kvmmem_vm_next(slot + 1)) {
		if (!dirtylog_due(slot))
			continue;
		if (!kvmmem_budget_left(budget) || fatal_signal_pending(current)) {
			*next = *next < 0 ? slot : *next;
			return;
		}
		vm = kvmmem_vm_get(slot);
		if (!vm)
			continue;
		if (!dirtylog_look(vm, budget) && *next < 0)
			*next = *looked ? slot : slot + 1;
		++*looked;
		kvmmem_vm_put(vm);
		cond_resched();
	}
}

/**
 * kvmmem_dirtylog_refresh - look at what is dirty in all VMs that are logged
 * @budget: of the reading, which has come to its last walk
 *
 * As far as the budget goes. Each reading begins with the first VM that was too large for
 * what the one before had left to it, so that every VM comes first in its turn.
 *
 * Context: may sleep.
 */
void kvmmem_dirtylog_refresh(struct kvmmem_budget *budget)
{
	static unsigned int turn;
	unsigned int from = READ_ONCE(turn), looked = 0;
	int next = -1;

	dirtylog_round(from, kvmmem_vm_slots(), budget, &looked, &next);
	dirtylog_round(0, from, budget, &looked, &next);
	if (next >= 0)
		WRITE_ONCE(turn, next);
}

/**
 * kvmmem_dirtylog_kb - memory that is dirty and that nobody has fetched yet
 * @vm: the record of a VM that is logged
 * @since: when the reading asked for it, ktime_get_ns()
 *
 * Context: a reference on the record.
 *
 * Return: KiB; KVMMEM_UNKNOWN when nobody has looked since.
 */
u64 kvmmem_dirtylog_kb(const struct kvmmem_vm *vm, u64 since)
{
	u64 looked = smp_load_acquire(&vm->dirty.looked), kb;	/* when, then what */

	if (looked < since)
		return KVMMEM_UNKNOWN;
	kb = READ_ONCE(vm->dirty.kb);
	smp_rmb(); /* of a VM that went meanwhile it may be a part */
	return kvmmem_vm_alive(vm) ? kb : KVMMEM_UNKNOWN;
}
