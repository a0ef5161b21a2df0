// SPDX-License-Identifier: GPL-2.0
/*
 * Dirty logging: what a migration does to a VM.
 *
 * KVM write-protects what it logs, splits huge mappings, and serves a fault for the
 * first write to each page. That it is switched is heard where KVM commits a change
 * of a slot. A fault in a logged slot takes the fault probe's other path, since the
 * straight one knows no such slot (mmio.c, kvmmem_mmio_is()), so a VM that is not
 * logged pays nothing.
 *
 * 2M mappings are split in two ways. KVM splits a slot's eagerly when logging begins,
 * or when the log is cleared; a tracepoint tells. A fault splits the one that the
 * guest wrote to; huge.c sees that. One of 1G is split into 2M mappings first.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <asm/tsc.h>

#include "attach/hooks.h"
#include "compat/dirty.h"
#include "compat/probe.h"
#include "count/dirty.h"
#include "count/fault.h"
#include "count/huge.h"
#include "count/run.h"
#include "count/ticks.h"
#include "decode/value.h"
#include "registry/info.h"
#include "registry/process.h"
#include "registry/records.h"

/* PG_LEVEL_* */
#define LEVEL_2M	2
#define LEVEL_1G	3

/* The last pause between two attempts to count a VM's slots is a second times 2^this. */
#define DIRTY_TRIES	6U

/* So long one reading counts slots; a user's VMs may have millions when kvmmem comes. */
#define DIRTY_MEET_NS	(20 * NSEC_PER_MSEC)

static struct kvmmem_hook_group dirty_group;

static struct kvmmem_dirty_cell *dirty_cell(struct kvmmem_vcpu *rec)
{
	return &rec->vm->dirty.cells[rec->id % KVMMEM_DIRTY_CELLS];
}

/* Under vm->lock. */
static void dirty_switch(struct kvmmem_dirty *dirty, struct kvm *kvm, bool on)
{
	if (dirty->on == on)
		return;
	WRITE_ONCE(dirty->on, on);
	dirty->since = ktime_get_ns();
	if (!on)
		return;
	dirty->ever = true;
	dirty->ring = kvmmem_has_dirty_ring(kvm);
}

/* KVM's huge mappings, as 2M. */
static u64 dirty_huge(const struct kvm *kvm)
{
	u64 of_2m = kvmmem_ept_leaves(kvm, 1);

	return of_2m == KVMMEM_UNKNOWN ? KVMMEM_UNKNOWN :
					 of_2m + kvmmem_ept_leaves(kvm, 2) * KVMMEM_2M_OF_1G;
}

/* Under vm->lock: what came since slots ceased to be logged. */
static void dirty_note_back(struct kvmmem_dirty *dirty, u64 now)
{
	if (dirty->coming_back && now > dirty->begun_2m)
		dirty->back_2m = max(dirty->back_2m, now - dirty->begun_2m);
}

/*
 * Under vm->lock: a slot begins to be logged. Mappings are split from here on; one that
 * comes meanwhile need not be one that was split.
 */
static void dirty_begins(struct kvmmem_dirty *dirty, struct kvm *kvm)
{
	dirty_note_back(dirty, dirty_huge(kvm));
	dirty->back_before += dirty->back_2m;
	dirty->back_2m = 0;
	WRITE_ONCE(dirty->coming_back, false);
	WRITE_ONCE(dirty->put_back, false);
}

/*
 * Under vm->lock: a slot ceases to be logged. What it lost comes back, though another,
 * as that of a display, may be logged for as long as the VM lives.
 */
static void dirty_ceases(struct kvmmem_dirty *dirty, struct kvm *kvm)
{
	u64 now = dirty_huge(kvm);

	dirty->begun_2m = dirty->coming_back ? min(dirty->begun_2m, now) : now;
	WRITE_ONCE(dirty->coming_back, true);
	WRITE_ONCE(dirty->ceased, ktime_get_ns());
	WRITE_ONCE(dirty->put_back, KVMMEM_KVM_PUTS_BACK);
}

/*
 * A slot begins or ceases to be logged; it was there before, and @stays, or it comes or
 * goes with what it has.
 */
static void dirty_slot_changed(struct kvmmem_vm *vm, bool is, bool stays)
{
	struct kvmmem_dirty *dirty = &vm->dirty;

	raw_spin_lock(&vm->lock);
	if (vm->kvm) {
		/* Unless whoever counted them has seen this change already. */
		if (dirty->counted && dirty->generation != kvmmem_slots_generation(vm->kvm))
			dirty->slots += is ? 1 : -1;
		if (stays && is)
			dirty_begins(dirty, vm->kvm);
		else if (stays)
			dirty_ceases(dirty, vm->kvm);
		if (is)
			dirty_switch(dirty, vm->kvm, true);
		else if (dirty->counted && !dirty->slots)
			dirty_switch(dirty, vm->kvm, false);
	}
	raw_spin_unlock(&vm->lock);
}

static KVMMEM_FTRACE_FUNC(dirty_on_commit)
{
	const struct kvm *kvm = (const struct kvm *)kvmmem_ftrace_arg(0);
	const struct kvm_memory_slot *old = (void *)kvmmem_ftrace_arg(KVMMEM_COMMIT_OLD_ARG);
	const struct kvm_memory_slot *new = (void *)kvmmem_ftrace_arg(KVMMEM_COMMIT_OLD_ARG + 1);
	bool was = kvmmem_slot_is_logged(old), is = kvmmem_slot_is_logged(new);
	struct kvmmem_vm *vm;

	kvmmem_hook_seen(KVMMEM_HOOK_SLOT_COMMIT);
	rcu_read_lock();
	vm = kvmmem_record_find(kvm);
	if (vm)
		kvmmem_huge_look(vm, true);	/* what the old slot had is gone by now */
	if (vm && was != is)
		dirty_slot_changed(vm, is, old && old->npages && new && new->npages);
	rcu_read_unlock();
}

static struct kvmmem_hook commit_hook = {
	.id = KVMMEM_HOOK_SLOT_COMMIT,
	.name = "kvm_arch_commit_memory_region",
	.module = "kvm",
	.purpose = "dirty-logging",
	.func = dirty_on_commit,
	.group = &dirty_group,
	.state = KVMMEM_HOOK_WAITING,
};

/* A huge mapping was split; in the thread of a vCPU that is the fault's doing. */
static __always_inline void dirty_split(u64 gfn, int level, int err)
{
	struct kvmmem_vm *vm;

	kvmmem_hook_seen(KVMMEM_HOOK_SPLIT);
	if (err || level > LEVEL_1G || kvmmem_running_vcpu() || !current->mm)
		return;
	rcu_read_lock();
	vm = kvmmem_vm_of_mm(current->mm);
	if (vm && READ_ONCE(vm->dirty.on)) {
		if (level == LEVEL_2M)
			kvmmem_huge_look(vm, false);
		else
			kvmmem_huge_apart(vm);
	}
	rcu_read_unlock();
}

KVMMEM_SPLIT_PROBES(dirty_split);

static __always_inline void dirty_ring_exit(struct kvm_vcpu *vcpu)
{
	struct kvmmem_vcpu *rec = kvmmem_vcpu_find(vcpu);

	kvmmem_hook_seen(KVMMEM_HOOK_RING_EXIT);
	if (rec)
		atomic64_inc(&dirty_cell(rec)->ring_full);
}

KVMMEM_RING_EXIT_PROBES(dirty_ring_exit);

static __always_inline void dirty_pml_full(struct kvm_vcpu *vcpu)
{
	struct kvmmem_vcpu *rec = vcpu ? kvmmem_vcpu_find(vcpu) : NULL;

	kvmmem_hook_seen(KVMMEM_HOOK_PML_FULL);
	if (rec)
		atomic64_inc(&dirty_cell(rec)->pml_full);
}

KVMMEM_PML_FULL_PROBES(dirty_pml_full);

#define DIRTY_HOOK(_id, _name, _probes)						\
	{ .id = _id, .name = _name, .module = "kvm", .purpose = "dirty-logging", \
	  .probes = _probes, .state = KVMMEM_HOOK_WAITING }

static struct kvmmem_hook split_hook =
	DIRTY_HOOK(KVMMEM_HOOK_SPLIT, "kvm_mmu_split_huge_page", dirty_split_probes);
static struct kvmmem_hook ring_hook =
	DIRTY_HOOK(KVMMEM_HOOK_RING_EXIT, "kvm_dirty_ring_exit", dirty_ring_exit_probes);
static struct kvmmem_hook pml_hook =
	DIRTY_HOOK(KVMMEM_HOOK_PML_FULL, "kvm_pml_full", dirty_pml_full_probes);

/**
 * kvmmem_dirty_init - add the hooks
 *
 * Context: may sleep.
 */
void kvmmem_dirty_init(void)
{
	kvmmem_hook_add(&commit_hook);
	kvmmem_hook_add(&split_hook);
	kvmmem_hook_add(&ring_hook);
	kvmmem_hook_add(&pml_hook);
}

/**
 * kvmmem_dirty_fault - the guest has written to a page that it may not write to
 * @rec: record of the vCPU, of a VM of which some slot is logged
 * @vcpu: the vCPU
 * @gfn: the page
 * @timed: is its service time measured?
 *
 * For the fault probe's other path, after kvmmem_latency_fault().
 */
void kvmmem_dirty_fault(struct kvmmem_vcpu *rec, struct kvm_vcpu *vcpu, u64 gfn, bool timed)
{
	/* A nested guest's addresses are not L1's. */
	if (kvmmem_vcpu_is_nested_tdp(vcpu) ||
	    !kvmmem_slot_is_logged(kvmmem_slots_find(kvmmem_vcpu_slots(vcpu), gfn)))
		return;
	atomic64_inc(&dirty_cell(rec)->write_faults);
	/* When service time is not measured nobody says when it is served. */
	if (!timed)
		return;
	rec->fault_tsc |= KVMMEM_TSC_RARE;
	rec->logged = true;
}

/**
 * kvmmem_dirty_served - such a fault is over
 * @rec: record of the vCPU, with @logged
 * @ticks: of the TSC that it took
 *
 * Context: a hook in the vCPU's thread.
 */
void kvmmem_dirty_served(struct kvmmem_vcpu *rec, u64 ticks)
{
	rec->logged = false;
	atomic64_add(ticks, &dirty_cell(rec)->ticks);
}

/*
 * Of a VM that is older than kvmmem, once: is it logged? If its slots change
 * meanwhile, a later reader tries again; also while KVM is changing them, when they
 * show the change and its hook is still to come. A change can take as long as a vCPU
 * stays in a fault, so nobody looks at thousands of slots for that.
 */
static void dirty_count_slots(struct kvmmem_vm *vm)
{
	u64 generation = KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS;
	struct kvmmem_vm_slots some = {};
	unsigned int i, logged = 0;

	raw_spin_lock(&vm->lock);
	if (vm->kvm)
		generation = kvmmem_slots_generation(vm->kvm);
	if (!(generation & KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS)) {
		/* One that changes its slots all the while is looked at more and more seldom. */
		WRITE_ONCE(vm->dirty.again, jiffies + (HZ << vm->dirty.tries));
		vm->dirty.tries = min(vm->dirty.tries + 1, DIRTY_TRIES);
	}
	raw_spin_unlock(&vm->lock);
	if (generation & KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS)
		return;
	while (kvmmem_vm_next_slots(vm, &some)) {
		for (i = 0; i < some.nr; i++)
			logged += !!(some.slot[i].flags & KVM_MEM_LOG_DIRTY_PAGES);
		if (fatal_signal_pending(current))
			return;
		cond_resched();
	}

	raw_spin_lock(&vm->lock);
	if (vm->kvm && !vm->dirty.counted && kvmmem_slots_generation(vm->kvm) == generation) {
		vm->dirty.counted = true;
		vm->dirty.slots = logged;
		vm->dirty.generation = generation;
		dirty_switch(&vm->dirty, vm->kvm, logged);
	}
	raw_spin_unlock(&vm->lock);
}

/* Under vm->lock, the VM alive. */
static u64 dirty_recovered(struct kvmmem_dirty *dirty, const struct kvm *kvm, u64 split)
{
	u64 now = dirty_huge(kvm);

	if (now == KVMMEM_UNKNOWN || split == KVMMEM_UNKNOWN)
		return KVMMEM_UNKNOWN;
	dirty_note_back(dirty, now);
	return min(dirty->back_before + dirty->back_2m, split);
}

static void dirty_add_cells(const struct kvmmem_dirty *dirty, struct kvmmem_dirty_sum *sum)
{
	u64 ticks = 0;
	int i;

	for (i = 0; i < KVMMEM_DIRTY_CELLS; i++) {
		sum->write_faults += atomic64_read(&dirty->cells[i].write_faults);
		sum->ring_full += atomic64_read(&dirty->cells[i].ring_full);
		sum->pml_full += atomic64_read(&dirty->cells[i].pml_full);
		ticks += atomic64_read(&dirty->cells[i].ticks);
	}
	sum->time_us = div_u64(kvmmem_ticks_to_ns(ticks), NSEC_PER_USEC);
}

/* What nobody counts is unknown. */
static void dirty_mask(const struct kvmmem_vm *vm, struct kvmmem_dirty_sum *sum)
{
	bool timed = kvmmem_run_attached(KVMMEM_RUN_TIME) && !check_tsc_unstable();
	bool faults = kvmmem_fault_on() && vm->mode != KVMMEM_MODE_SHADOW;

	if (!faults)
		sum->write_faults = KVMMEM_UNKNOWN;
	if (!faults || !timed)
		sum->time_us = KVMMEM_UNKNOWN;
	if (!faults || !timed || !kvmmem_hook_attached(&split_hook))
		sum->split_2m = KVMMEM_UNKNOWN;
	if (!kvmmem_hook_attached(&ring_hook))
		sum->ring_full = KVMMEM_UNKNOWN;
	if (!kvmmem_hook_attached(&pml_hook))
		sum->pml_full = KVMMEM_UNKNOWN;
}

static noinline bool dirty_sum(struct kvmmem_vm *vm, struct kvmmem_dirty_sum *sum)
{
	struct kvmmem_dirty *dirty = &vm->dirty;
	u64 now = ktime_get_ns();
	bool alive;

	memset(sum, 0, sizeof(*sum));
	sum->split_2m = atomic64_read(&dirty->split_2m);
	dirty_add_cells(dirty, sum);
	dirty_mask(vm, sum);
	raw_spin_lock(&vm->lock);
	alive = vm->kvm;
	if (alive)
		sum->recovered_2m = dirty_recovered(dirty, vm->kvm, sum->split_2m);
	if (dirty->on)
		sum->mode = dirty->ring ? KVMMEM_DIRTY_RING : KVMMEM_DIRTY_LOG;
	sum->since_ms = now > dirty->since ? div_u64(now - dirty->since, NSEC_PER_MSEC) : 0;
	raw_spin_unlock(&vm->lock);
	return alive;
}

static bool dirty_is_unmet(unsigned int slot)
{
	const struct kvmmem_vm *vm;
	bool unmet;

	rcu_read_lock();
	vm = kvmmem_vm_at(slot);
	unmet = vm && !READ_ONCE(vm->dirty.counted) &&
		time_after_eq(jiffies, READ_ONCE(vm->dirty.again));
	rcu_read_unlock();
	return unmet;
}

/* Those in the slots from @from to @to; where it stopped, as there is no time left. */
static unsigned int dirty_meet(unsigned int from, unsigned int to, u64 end)
{
	struct kvmmem_vm *vm;
	unsigned int slot;

	for (slot = kvmmem_vm_next(from); slot < to; slot = kvmmem_vm_next(slot + 1)) {
		if (!dirty_is_unmet(slot))
			continue;
		if (ktime_get_ns() > end)
			return slot;
		vm = kvmmem_vm_get(slot);
		if (!vm)
			continue;
		dirty_count_slots(vm);
		kvmmem_vm_put(vm);
		cond_resched();
	}
	return to;
}

/**
 * kvmmem_dirty_meet_all - find out which VMs that are older than kvmmem are logged
 *
 * For some milliseconds; the next reading goes on where there was no time left.
 *
 * Context: may sleep.
 */
void kvmmem_dirty_meet_all(void)
{
	static unsigned int turn;
	unsigned int from = READ_ONCE(turn), end = kvmmem_vm_slots(), to;
	u64 until = ktime_get_ns() + DIRTY_MEET_NS;

	to = dirty_meet(from, end, until);
	if (to == end)
		to = dirty_meet(0, from, until);
	WRITE_ONCE(turn, to);
}

/**
 * kvmmem_dirty_of_vm - the scorecard of a VM
 * @vm: its record
 * @sum: where to
 *
 * Context: a reference on the record.
 *
 * Return: false when it was never logged, or is gone.
 */
bool kvmmem_dirty_of_vm(struct kvmmem_vm *vm, struct kvmmem_dirty_sum *sum)
{
	return READ_ONCE(vm->dirty.ever) && dirty_sum(vm, sum);
}
