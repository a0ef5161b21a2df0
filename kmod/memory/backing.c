// SPDX-License-Identifier: GPL-2.0
/*
 * What backs a VM's memory: see backing.h.
 *
 * Walks are done by whoever reads, in chunks, with nothing held in between but
 * the VM's walk_lock and a reference on its mm. The mm's pages would outlive
 * their process for as long as a walk, so one whose VM is gone stops.
 *
 * The totals of a VM are by memory slots: what two slots share is counted
 * twice, as it is in mem_kb.
 */
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "decode/param.h"
#include "memory/backing.h"
#include "registry/info.h"

static unsigned int backing_max_age_ms = 1000;
module_param_cb(backing_max_age_ms, &kvmmem_param_ms_ops, &backing_max_age_ms, 0644);
MODULE_PARM_DESC(backing_max_age_ms, "readers get what a walk over a VM's memory has found while it is not older, 0 to 3600000 milliseconds (default 1000)");

#define PAGE_KB		(PAGE_SIZE >> 10)
#define SLOTS		8

/* The VM's mm with its page tables, to be given back by mmput_async(). */
static struct mm_struct *backing_get_mm(struct kvmmem_vm *vm)
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

static unsigned int backing_next_slots(struct kvmmem_vm *vm, u64 gfn, struct kvmmem_slot *slots,
				       unsigned int max)
{
	unsigned int n = 0;

	raw_spin_lock(&vm->lock);
	if (vm->kvm)
		n = kvmmem_slots_from(vm->kvm, gfn, slots, max);
	raw_spin_unlock(&vm->lock);
	return n;
}

/* 1 when the walk goes on, 0 when it is over. */
static int backing_host_chunk(struct kvmmem_vm *vm, struct kvmmem_hostwalk *walk)
{
	int err;

	if (walk->addr >= walk->end)
		return 0;
	if (!kvmmem_vm_alive(vm))
		return -ESRCH;
	err = kvmmem_hostwalk_chunk(walk);
	cond_resched();
	return err ?: 1;
}

static struct kvmmem_hostwalk backing_host_walk(struct mm_struct *mm,
						const struct kvmmem_slot *slot,
						struct kvmmem_hostmem *sum)
{
	return (struct kvmmem_hostwalk) {
		.mm = mm,
		.addr = slot->hva,
		.end = slot->hva + (slot->npages << PAGE_SHIFT),
		.sum = sum,
	};
}

static int backing_walk_slots(struct kvmmem_vm *vm, struct mm_struct *mm,
			      struct kvmmem_hostmem *sum)
{
	struct kvmmem_slot slots[SLOTS];
	unsigned int i, n;
	u64 gfn = 0;
	int ret;

	do {
		n = backing_next_slots(vm, gfn, slots, SLOTS);
		for (i = 0; i < n; i++) {
			struct kvmmem_hostwalk walk = backing_host_walk(mm, &slots[i], sum);

			while ((ret = backing_host_chunk(vm, &walk)) > 0)
				;
			if (ret)
				return ret;
			gfn = slots[i].base_gfn + slots[i].npages;
		}
	} while (n == SLOTS);
	return kvmmem_vm_alive(vm) ? 0 : -ESRCH;
}

static u64 backing_walk_tables(struct kvmmem_vm *vm)
{
	struct kvmmem_eptwalk walk = { .end = KVMMEM_EPT_ALL_GFNS, .count_tables = true };

	if (kvmmem_eptwalk(vm, &walk) != KVMMEM_EPT_WALKED)
		return KVMMEM_UNKNOWN;
	return walk.tables * PAGE_KB;
}

static int backing_refresh(struct kvmmem_vm *vm)
{
	struct kvmmem_hostmem sum = {};
	struct kvmmem_backing backing;
	struct mm_struct *mm;
	int err, i;

	mm = backing_get_mm(vm);
	if (!mm)
		return -ESRCH;
	err = backing_walk_slots(vm, mm, &sum);
	mmput_async(mm);
	if (err)
		return err;

	for (i = 0; i < KVMMEM_NR_SIZES; i++)
		backing.host_kb[i] = sum.mapped[i] * PAGE_KB;
	backing.swap_kb = sum.swap * PAGE_KB;
	backing.ksm_kb = sum.ksm * PAGE_KB;
	backing.table_kb = backing_walk_tables(vm);
	backing.walked = ktime_get_ns();
	raw_spin_lock(&vm->lock);
	vm->backing = backing;
	raw_spin_unlock(&vm->lock);
	return 0;
}

/* Only @walked is looked at, and only as a hint. */
static bool backing_young(const struct kvmmem_vm *vm, u64 now)
{
	u64 walked = READ_ONCE(vm->backing.walked);

	return walked && walked + READ_ONCE(backing_max_age_ms) * (u64)NSEC_PER_MSEC > now;
}

/**
 * kvmmem_backing_due - would kvmmem_backing_refresh() walk?
 * @vm: the record
 *
 * Context: any; a hint, and cheap.
 *
 * Return: true if it would.
 */
bool kvmmem_backing_due(const struct kvmmem_vm *vm)
{
	return !backing_young(vm, ktime_get_ns());
}

/**
 * kvmmem_backing_refresh - walk a VM's memory unless the last walk will do
 * @vm: the record, which the caller has a reference on
 *
 * Of several callers one walks, the others wait and take its result. A walk that
 * comes to nothing leaves the last result as it was.
 *
 * Context: may sleep.
 *
 * Return: 0, or -EINTR when the caller was killed.
 */
int kvmmem_backing_refresh(struct kvmmem_vm *vm)
{
	u64 now = ktime_get_ns();
	int err = 0;

	if (backing_young(vm, now))
		return 0;
	if (mutex_lock_killable(&vm->walk_lock))
		return -EINTR;
	if (READ_ONCE(vm->backing.walked) <= now && !backing_young(vm, now))
		err = backing_refresh(vm);
	mutex_unlock(&vm->walk_lock);
	return err == -EINTR ? err : 0;
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
	u64 shadow = 0, now = ktime_get_ns();
	bool alive;
	int i;

	raw_spin_lock(&vm->lock);
	alive = vm->kvm;
	levels->host = vm->backing;
	for (i = 0; alive && i < KVMMEM_NR_SIZES; i++)
		levels->ept_kb[i] = kvmmem_ept_leaves(vm->kvm, i);
	if (alive)
		shadow = kvmmem_shadow_tables(vm->kvm);
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
	/* The older MMU counts its tables; where it has none, there is a walk. */
	levels->table_kb = levels->host.table_kb;
	if (levels->table_kb == KVMMEM_UNKNOWN)
		levels->table_kb = shadow ? shadow * PAGE_KB : KVMMEM_UNKNOWN;
	else
		levels->table_kb += shadow * PAGE_KB;
	return true;
}

/**
 * kvmmem_join_begin - begin a walk over a VM's slots
 * @vm: the record; it must stay until the walk is over
 *
 * Return: to be freed by kfree(), or NULL for want of memory.
 */
struct kvmmem_join *kvmmem_join_begin(struct kvmmem_vm *vm)
{
	struct kvmmem_join *join;

	join = kzalloc(struct_size(join, nodes, nr_node_ids), GFP_KERNEL);
	if (!join)
		return NULL;
	join->vm = vm;
	raw_spin_lock(&vm->lock);
	if (vm->kvm)
		join->nx_left = kvmmem_nx_splits(vm->kvm);
	raw_spin_unlock(&vm->lock);
	return join;
}

static bool join_huge_disallowed(struct kvmmem_vm *vm, u64 gfn)
{
	bool disallowed = false;

	raw_spin_lock(&vm->lock);
	if (vm->kvm)
		disallowed = kvmmem_huge_disallowed(vm->kvm, gfn);
	raw_spin_unlock(&vm->lock);
	return disallowed;
}

/* One mapping of 2M of the host, or the part of it that lies in the slot. */
static void join_region(struct kvmmem_join *join, u64 gfn, u64 pages)
{
	struct kvmmem_slot_backing *sb = &join->slot;
	const struct kvmmem_slot *slot = &sb->slot;
	struct kvmmem_eptwalk walk = { .gfn = gfn, .end = gfn + pages };
	struct kvmmem_region region = {
		.gfn = gfn,
		.hva = slot->hva + ((gfn - slot->base_gfn) << PAGE_SHIFT),
		.base = slot->base_gfn,
		.end = slot->base_gfn + slot->npages,
		.dirty_log = slot->flags & KVM_MEM_LOG_DIRTY_PAGES,
		.nx_left = join->nx_left,
	};
	enum kvmmem_gap cause;
	u64 mapped;

	if (kvmmem_eptwalk(join->vm, &walk) != KVMMEM_EPT_WALKED)
		return;
	mapped = walk.mapped[KVMMEM_4K] + walk.mapped[KVMMEM_2M] + walk.mapped[KVMMEM_1G];
	sb->unfaulted += pages - min(mapped, pages);
	if (!walk.mapped[KVMMEM_4K])
		return;
	region.disallowed = join_huge_disallowed(join->vm, gfn);
	cause = kvmmem_gap_cause(&region);
	sb->gap[cause] += walk.mapped[KVMMEM_4K];
	if (cause == KVMMEM_GAP_NX)
		join->nx_left--;
}

/* The huge mappings that the last chunk met. */
static void join_runs(struct kvmmem_join *join, const struct kvmmem_hostwalk *walk)
{
	const struct kvmmem_slot *slot = &join->slot.slot;
	unsigned int i;

	for (i = 0; i < walk->nr_runs && join->slot.ept == KVMMEM_EPT_WALKED; i++) {
		u64 at = walk->runs[i].hva >> PAGE_SHIFT;
		u64 end = at + walk->runs[i].pages;
		u64 base = slot->base_gfn - (slot->hva >> PAGE_SHIFT), next;

		for (; at < end; at = next) {
			next = min((at | 511) + 1, end);
			join_region(join, base + at, next - at);
			if (fatal_signal_pending(current) || !kvmmem_vm_alive(join->vm))
				return;
		}
	}
}

static int join_slot(struct kvmmem_join *join, struct mm_struct *mm)
{
	struct kvmmem_slot_backing *sb = &join->slot;
	struct kvmmem_hostwalk host = backing_host_walk(mm, &sb->slot, &sb->host);
	struct kvmmem_eptwalk ept = {
		.gfn = sb->slot.base_gfn,
		.end = sb->slot.base_gfn + sb->slot.npages,
	};
	int ret;

	sb->ept = kvmmem_eptwalk(join->vm, &ept);
	memcpy(sb->ept_mapped, ept.mapped, sizeof(ept.mapped));
	host.nodes = join->nodes;
	host.runs = join->runs;
	while ((ret = backing_host_chunk(join->vm, &host)) > 0)
		join_runs(join, &host);
	return ret;
}

/**
 * kvmmem_join_next - walk the next slot
 * @join: the walk
 *
 * Context: may sleep.
 *
 * Return: 1, and the slot in @join->slot; 0 when there is no further slot or no
 * VM any more; -EINTR when the caller was killed.
 */
int kvmmem_join_next(struct kvmmem_join *join)
{
	struct kvmmem_vm *vm = join->vm;
	struct mm_struct *mm;
	int err;

	memset(&join->slot, 0, sizeof(join->slot));
	memset(join->nodes, 0, array_size(nr_node_ids, sizeof(join->nodes[0])));
	if (!backing_next_slots(vm, join->gfn, &join->slot.slot, 1))
		return 0;
	mm = backing_get_mm(vm);
	if (!mm)
		return 0;
	err = mutex_lock_killable(&vm->walk_lock);
	if (!err) {
		err = join_slot(join, mm);
		mutex_unlock(&vm->walk_lock);
	}
	mmput_async(mm);
	join->gfn = join->slot.slot.base_gfn + join->slot.slot.npages;
	if (err)
		return err == -ESRCH ? 0 : -EINTR;
	return 1;
}
