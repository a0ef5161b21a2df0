// SPDX-License-Identifier: GPL-2.0
/*
 * Joining the host's page tables with KVM's: see join.h.
 *
 * A slot is walked for whoever reads its row, in chunks, with nothing held in
 * between but a reference on the mm. When the budget of the reading is spent the
 * rest of the slots is not walked, and says so.
 */
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "memory/backing.h"
#include "memory/join.h"
#include "memory/memfd.h"
#include "registry/info.h"

/**
 * kvmmem_join_begin - begin a walk over a VM's slots
 * @vm: the record; it must stay until the walk is over
 *
 * Context: may sleep.
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
	kvmmem_budget_open_long(&join->budget);
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

	sb->ept = kvmmem_eptwalk(join->vm, &walk, &join->budget);
	if (sb->ept != KVMMEM_EPT_WALKED)
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
			if (join->slot.ept != KVMMEM_EPT_WALKED)
				return;
		}
	}
}

/* A chunk of the host's side; 1 when the walk goes on. */
static int join_host_chunk(struct kvmmem_join *join, struct kvmmem_hostwalk *host)
{
	u64 begun = ktime_get_ns();
	int err;

	if (host->addr >= host->end)
		return 0;
	if (!kvmmem_vm_alive(join->vm))
		return -ESRCH;
	if (!kvmmem_budget_left(&join->budget))
		return -EBUSY;
	err = kvmmem_hostwalk_chunk(host);
	kvmmem_budget_spend(&join->budget, begun);
	cond_resched();
	if (err && !kvmmem_budget_wait(&join->budget))
		return -EBUSY;
	join_runs(join, host);
	return 1;
}

static int join_slot(struct kvmmem_join *join, struct mm_struct *mm)
{
	struct kvmmem_slot_backing *sb = &join->slot;
	struct kvmmem_hostwalk host = kvmmem_hostwalk_of_slot(mm, &sb->slot, &sb->host);
	struct kvmmem_eptwalk ept = {
		.gfn = sb->slot.base_gfn,
		.end = sb->slot.base_gfn + sb->slot.npages,
	};
	u64 memfd = 0;
	int ret;

	sb->ept = kvmmem_eptwalk(join->vm, &ept, &join->budget);
	memcpy(sb->ept_mapped, ept.mapped, sizeof(ept.mapped));
	host.nodes = join->nodes;
	host.runs = join->runs;
	while (kvmmem_slot_is_private(&sb->slot) && memfd < sb->slot.npages) {
		u64 begun = ktime_get_ns();

		if (fatal_signal_pending(current))
			return -EINTR;
		if (!kvmmem_budget_left(&join->budget)) {
			sb->ept = KVMMEM_EPT_UNFINISHED;
			return 0;
		}
		sb->private += kvmmem_memfd_chunk(join->vm, &sb->slot, &memfd);
		kvmmem_budget_spend(&join->budget, begun);
		cond_resched();
	}
	do {
		if (fatal_signal_pending(current))
			return -EINTR;
		ret = join_host_chunk(join, &host);
	} while (ret > 0);
	sb->host_known = !ret;
	if (ret == -EBUSY) {
		sb->ept = KVMMEM_EPT_UNFINISHED;
		return 0;
	}
	return ret;
}

/**
 * kvmmem_join_next - walk the next slot
 * @join: the walk
 *
 * Context: may sleep.
 *
 * Return: 1, and the slot in @join->slot; 0 when there is no further slot; -ESRCH when
 * the VM or its process is gone; -EINTR when the caller was killed.
 */
int kvmmem_join_next(struct kvmmem_join *join)
{
	struct mm_struct *mm;
	int err;

	memset(&join->slot, 0, sizeof(join->slot));
	memset(join->nodes, 0, array_size(nr_node_ids, sizeof(join->nodes[0])));
	mm = kvmmem_vm_get_mm(join->vm);
	if (!mm)
		return -ESRCH;
	if (!kvmmem_backing_next_slot(join->vm, join->gfn, &join->slot.slot)) {
		kvmmem_put_mm(mm);
		return kvmmem_vm_alive(join->vm) ? 0 : -ESRCH;
	}
	err = join_slot(join, mm);
	kvmmem_put_mm(mm);
	join->gfn = join->slot.slot.base_gfn + join->slot.slot.npages;
	return err ?: 1;
}
