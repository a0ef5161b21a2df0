// SPDX-License-Identifier: GPL-2.0
/*
 * What backs a VM's memory: see backing.h.
 *
 * Walks are done by whoever reads, in chunks, with nothing held in between but
 * the VM's walk_lock and a reference on its mm. The mm's pages would outlive
 * their process for as long as a walk, so one whose VM is gone stops. A walk that
 * costs more than readers may spend now (budget.c) goes on with the next reader;
 * until it has come to its end, the last result stays.
 *
 * The totals of a VM are by memory slots: what two slots share is counted
 * twice, as it is in mem_kb.
 */
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "decode/param.h"
#include "memory/backing.h"
#include "memory/budget.h"
#include "memory/memfd.h"
#include "registry/info.h"
#include "registry/records.h"

static unsigned int backing_max_age_ms = 1000;
module_param_cb(backing_max_age_ms, &kvmmem_param_ms_ops, &backing_max_age_ms, 0644);
MODULE_PARM_DESC(backing_max_age_ms, "readers get what a walk over a VM's memory has found while it is not older, 0 to 3600000 milliseconds (default 1000)");

#define PAGE_KB		(PAGE_SIZE >> 10)

/* After so long it is the next VM's turn. */
#define QUANTUM		(5 * NSEC_PER_MSEC)

/* How often the first walk of a VM waits for the mmap lock in one reading. */
#define WAITS		2

/**
 * struct backing_walk - a walk over a VM's memory
 * @begun: when it began, ktime_get_ns(); 0: none is under way
 * @generation: KVM's of the slots then
 * @gfn: the next slot begins here or above
 * @in_slot: @host is in a slot
 * @host_done: all slots were walked, what is left is @ept
 * @slot: the slot
 * @host: the walk over the host's tables, in @slot
 * @memfd: page of @slot where to go on in its guest_memfd
 * @sum: what @host has found
 * @private: pages found in guest_memfds
 * @rmap_bytes: what the slots' reverse mappings take
 * @ept: the walk over KVM's tables
 */
struct backing_walk {
	u64 begun;
	u64 generation;
	u64 gfn;
	bool in_slot;
	bool host_done;
	struct kvmmem_slot slot;
	struct kvmmem_hostwalk host;
	u64 memfd;
	struct kvmmem_hostmem sum;
	u64 private;
	u64 rmap_bytes;
	struct kvmmem_eptwalk ept;
};

/**
 * kvmmem_backing_next_slot - the next memory slot of a VM
 * @vm: the record
 * @gfn: that begins here or above
 * @slot: where to
 *
 * Context: any in which vm->lock can be taken.
 *
 * Return: false when there is none, or the VM is gone.
 */
bool kvmmem_backing_next_slot(struct kvmmem_vm *vm, u64 gfn, struct kvmmem_slot *slot)
{
	bool found = false;

	raw_spin_lock(&vm->lock);
	if (vm->kvm)
		found = kvmmem_slots_from(vm->kvm, gfn, slot, 1);
	raw_spin_unlock(&vm->lock);
	return found;
}

static void backing_publish(struct kvmmem_vm *vm, const struct kvmmem_backing *backing)
{
	raw_spin_lock(&vm->lock);
	vm->backing = *backing;
	kvmmem_nodes_publish(vm);
	raw_spin_unlock(&vm->lock);
}

static u64 backing_generation(struct kvmmem_vm *vm)
{
	u64 generation = KVMMEM_UNKNOWN;

	raw_spin_lock(&vm->lock);
	if (vm->kvm)
		generation = kvmmem_slots_generation(vm->kvm);
	raw_spin_unlock(&vm->lock);
	return generation;
}

static void backing_finish(struct kvmmem_vm *vm, struct backing_walk *walk,
			   enum kvmmem_ept_state state)
{
	struct kvmmem_backing backing = {
		.walked = walk->begun,
		.swap_kb = walk->sum.swap * PAGE_KB,
		.ksm_kb = walk->sum.ksm * PAGE_KB,
		.table_kb = KVMMEM_UNKNOWN,
		.device_kb = walk->sum.device * PAGE_KB,
		.private_kb = KVMMEM_HAS_MEMFD ? walk->private * PAGE_KB : KVMMEM_UNKNOWN,
		.rmap_kb = DIV_ROUND_UP_ULL(walk->rmap_bytes, 1024),
		.generation = walk->generation,
	};
	int i;

	if (state == KVMMEM_EPT_WALKED && !walk->ept.more_roots)
		backing.table_kb = walk->ept.tables * PAGE_KB;
	if (backing_generation(vm) != walk->generation)
		backing.generation = KVMMEM_UNKNOWN;
	for (i = 0; i < KVMMEM_NR_SIZES; i++)
		backing.host_kb[i] = walk->sum.mapped[i] * PAGE_KB;
	backing_publish(vm, &backing);
	walk->begun = 0;
}

static void backing_begin(struct kvmmem_vm *vm, struct backing_walk *walk)
{
	memset(walk, 0, sizeof(*walk));
	walk->begun = ktime_get_ns();
	walk->generation = backing_generation(vm);
	kvmmem_nodes_begin(vm);
	walk->ept.table_nodes = kvmmem_nodes_tables(vm);
	walk->ept.end = KVMMEM_EPT_ALL_GFNS;
	walk->ept.count_tables = true;
}

/* Begin with the next slot, or note that there is none. */
static void backing_enter_slot(struct kvmmem_vm *vm, struct backing_walk *walk)
{
	walk->in_slot = kvmmem_backing_next_slot(vm, walk->gfn, &walk->slot);
	walk->host_done = !walk->in_slot;
	if (!walk->in_slot)
		return;
	walk->host = kvmmem_hostwalk_of_slot(NULL, &walk->slot, &walk->sum);
	walk->host.nodes = kvmmem_nodes_pages(vm);
	walk->memfd = kvmmem_slot_is_private(&walk->slot) ? 0 : walk->slot.npages;
	walk->rmap_bytes += walk->slot.rmap_bytes;
}

/* A slot, or a chunk of its host's tables; -EAGAIN when a lock was not to be had. */
static int backing_host_step(struct kvmmem_vm *vm, struct backing_walk *walk,
			     struct mm_struct *mm)
{
	int err = 0;

	if (!walk->in_slot) {
		backing_enter_slot(vm, walk);
		return 0;
	}
	if (walk->memfd < walk->slot.npages) {
		walk->private += kvmmem_memfd_chunk(vm, &walk->slot, &walk->memfd);
	} else {
		walk->host.mm = mm;
		err = kvmmem_hostwalk_chunk(&walk->host);
		walk->host.mm = NULL;
	}
	if (walk->host.addr >= walk->host.end) {
		walk->in_slot = false;
		walk->gfn = walk->slot.base_gfn + walk->slot.npages;
	}
	return err;
}

/* True when that was the end of it. */
static bool backing_ept_step(struct kvmmem_vm *vm, struct backing_walk *walk)
{
	enum kvmmem_ept_state state = kvmmem_eptwalk_chunk(vm, &walk->ept);

	if (state == KVMMEM_EPT_UNFINISHED ||
	    (state == KVMMEM_EPT_WALKED && walk->ept.gfn < walk->ept.end))
		return false;
	backing_finish(vm, walk, state);
	return true;
}

/*
 * For a quantum at most. True when nothing is left to be done in this reading: the
 * walk has come to its end, or somebody else has a lock that it needs.
 */
static bool backing_walk_on(struct kvmmem_vm *vm, struct backing_walk *walk,
			    struct mm_struct *mm, struct kvmmem_budget *budget)
{
	bool over = false;
	u64 spent = 0;
	int err = 0, waits = READ_ONCE(vm->backing.walked) ? WAITS : 0;

	if (!walk->begun)
		backing_begin(vm, walk);
	while (!over && spent < QUANTUM && kvmmem_budget_left(budget) && kvmmem_vm_alive(vm) &&
	       !fatal_signal_pending(current)) {
		u64 begun = ktime_get_ns();

		if (walk->host_done)
			over = backing_ept_step(vm, walk);
		else
			err = backing_host_step(vm, walk, mm);
		spent += kvmmem_budget_spend(budget, begun);
		if (err && (waits++ >= WAITS || !kvmmem_budget_wait(budget)))
			return true;
		cond_resched();
	}
	return over;
}

/* What is known of a process that is gone: nothing. */
static void backing_forget(struct kvmmem_vm *vm)
{
	static const struct kvmmem_backing nothing;

	if (kvmmem_vm_alive(vm))
		backing_publish(vm, &nothing);
}

/* Under vm->walk_lock. Return: as backing_walk_on(); true if there is nothing to walk. */
static bool backing_visit_locked(struct kvmmem_vm *vm, struct kvmmem_budget *budget)
{
	struct backing_walk *walk = vm->walk;
	struct mm_struct *mm;
	bool over;

	if (!walk) {
		walk = kzalloc(sizeof(*walk), GFP_KERNEL);
		vm->walk = walk;
	}
	if (!walk)
		return true;
	mm = kvmmem_vm_get_mm(vm);
	if (!mm) {
		backing_forget(vm);
		return true;
	}
	over = backing_walk_on(vm, walk, mm, budget);
	kvmmem_put_mm(mm);
	return over;
}

/*
 * Does what the last walk has found satisfy a reading that began at @since? Only
 * @walked is looked at, and only as a hint.
 */
static bool backing_young(const struct kvmmem_vm *vm, u64 since)
{
	u64 walked = READ_ONCE(vm->backing.walked);
	u64 max_age = READ_ONCE(backing_max_age_ms) * (u64)NSEC_PER_MSEC;

	return walked && walked + max_age >= since;
}

/*
 * One VM's turn. Of several readers one walks; the others do with the last result,
 * and wait a little if there is none yet. True when nothing is left to be done.
 */
static bool backing_visit(struct kvmmem_vm *vm, u64 since, struct kvmmem_budget *budget)
{
	bool over = true;

	while (!mutex_trylock(&vm->walk_lock))
		if (READ_ONCE(vm->backing.walked) || !kvmmem_budget_wait(budget))
			return true;
	if (!backing_young(vm, since))
		over = backing_visit_locked(vm, budget);
	mutex_unlock(&vm->walk_lock);
	return over;
}

static bool backing_due(unsigned int slot, u64 since)
{
	const struct kvmmem_vm *vm;
	bool due;

	rcu_read_lock();
	vm = kvmmem_vm_at(slot);
	due = vm && !backing_young(vm, since);
	rcu_read_unlock();
	return due;
}

/* A round over the slots from @from to @to; true when all are done with. */
static bool backing_round(unsigned int from, unsigned int to, u64 since,
			  struct kvmmem_budget *budget, unsigned int *stopped)
{
	unsigned int slot;
	bool over = true;

	for (slot = kvmmem_vm_next(from); slot < to; slot = kvmmem_vm_next(slot + 1)) {
		struct kvmmem_vm *vm;

		if (!backing_due(slot, since))
			continue;
		if (!kvmmem_budget_left(budget)) {
			*stopped = slot;
			return false;
		}
		vm = kvmmem_vm_get(slot);
		if (!vm)
			continue;
		over &= backing_visit(vm, since, budget);
		kvmmem_vm_put(vm);
		if (fatal_signal_pending(current))
			return false;
	}
	return over;
}

/**
 * kvmmem_backing_refresh - bring what is known of all VMs up to date
 * @budget: of the reading, which begins here
 *
 * As far as the budget goes. Where it ended is where the next reading begins, so
 * that every VM has its turn, however much others cost.
 *
 * Context: may sleep.
 *
 * Return: 0, or -EINTR when the caller was killed.
 */
int kvmmem_backing_refresh(struct kvmmem_budget *budget)
{
	static unsigned int turn;
	unsigned int from = READ_ONCE(turn), slots = kvmmem_vm_slots();
	u64 since = ktime_get_ns();
	bool over;

	kvmmem_budget_open(budget);
	do {
		unsigned int stopped = from;

		over = backing_round(from, slots, since, budget, &stopped);
		if (over || kvmmem_budget_left(budget))
			over &= backing_round(0, from, since, budget, &stopped);
		from = stopped;
		if (fatal_signal_pending(current))
			return -EINTR;
	} while (!over && kvmmem_budget_left(budget));
	WRITE_ONCE(turn, from);
	return 0;
}

/**
 * kvmmem_backing_host - what the last walk has found
 * @vm: the record
 * @host: where to; all unknown if there was none yet
 *
 * Context: any in which vm->lock can be taken.
 *
 * Return: false when the VM is gone.
 */
bool kvmmem_backing_host(struct kvmmem_vm *vm, struct kvmmem_backing *host)
{
	bool alive;

	raw_spin_lock(&vm->lock);
	alive = vm->kvm;
	*host = vm->backing;
	raw_spin_unlock(&vm->lock);
	if (!host->walked)
		memset(host, 0xff, sizeof(*host));
	return alive;
}

/*
 * Size of KVM's tables in KiB, or KVMMEM_UNKNOWN. The older MMU counts its own; those of
 * the newer one are walked, all or none. Under vm->lock, with the VM alive.
 */
static u64 backing_table_kb(const struct kvmmem_vm *vm)
{
	u64 shadow = kvmmem_shadow_tables(vm->kvm) * PAGE_KB;
	const struct list_head *roots;

	if (vm->backing.walked && vm->backing.table_kb != KVMMEM_UNKNOWN)
		return vm->backing.table_kb + shadow;
	roots = kvmmem_tdp_roots(vm->kvm);
	/* Without roots nothing is to be walked: no vCPU has run. */
	return (roots ? list_empty(roots) : shadow) ? shadow : KVMMEM_UNKNOWN;
}

/**
 * kvmmem_backing_levels - what backs a VM's memory, as far as it is known
 * @vm: the record
 * @levels: where to
 *
 * Context: any in which vm->lock can be taken.
 *
 * Return: false when the VM is gone.
 */
bool kvmmem_backing_levels(struct kvmmem_vm *vm, struct kvmmem_levels *levels)
{
	u64 now = ktime_get_ns();
	bool alive;
	int i;

	raw_spin_lock(&vm->lock);
	alive = vm->kvm;
	levels->host = vm->backing;
	for (i = 0; alive && i < KVMMEM_NR_SIZES; i++)
		levels->ept_kb[i] = kvmmem_ept_leaves(vm->kvm, i);
	if (alive)
		levels->table_kb = backing_table_kb(vm);
	raw_spin_unlock(&vm->lock);
	if (!alive)
		return false;

	for (i = 0; i < KVMMEM_NR_SIZES; i++)
		if (levels->ept_kb[i] != KVMMEM_UNKNOWN)
			levels->ept_kb[i] = (levels->ept_kb[i] * PAGE_KB) << (9 * i);
	if (!levels->host.walked) {
		memset(&levels->host, 0xff, sizeof(levels->host));
		levels->age_ms = KVMMEM_UNKNOWN;
	} else {
		levels->age_ms = now > levels->host.walked ?
				 div_u64(now - levels->host.walked, NSEC_PER_MSEC) : 0;
	}
	return true;
}

/**
 * kvmmem_backing_node - what a VM has on a node of the host
 * @vm: its record
 * @nid: the node
 * @node: where to; unknown before the first walk
 *
 * Context: any in which vm->lock can be taken.
 */
void kvmmem_backing_node(struct kvmmem_vm *vm, int nid, struct kvmmem_node *node)
{
	const struct kvmmem_backing *backing = &vm->backing;
	u64 table_kb;
	int i;

	node->mem_kb = KVMMEM_UNKNOWN;
	node->table_kb = KVMMEM_UNKNOWN;
	raw_spin_lock(&vm->lock);
	if (vm->kvm && backing->walked) {
		table_kb = backing_table_kb(vm);
		if (!kvmmem_nodes_get(vm, nid, node) && nr_online_nodes == 1) {
			node->mem_kb = 0;
			for (i = 0; i < KVMMEM_NR_SIZES; i++)
				node->mem_kb += backing->host_kb[i];
			node->table_kb = table_kb;
		} else if (table_kb == KVMMEM_UNKNOWN || table_kb != backing->table_kb) {
			/* Where the older MMU has tables, too, nobody knows on which node. */
			node->table_kb = KVMMEM_UNKNOWN;
		}
	}
	raw_spin_unlock(&vm->lock);
}
