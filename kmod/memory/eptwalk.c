// SPDX-License-Identifier: GPL-2.0
/*
 * Walking KVM's second-level tables: see eptwalk.h.
 *
 * Only the tables of KVM's newer MMU (the TDP MMU), without its lock and
 * without stopping anybody, under RCU:
 *
 * - A table other than a root is unlinked from its parent before it is handed
 *   to call_rcu() (handle_removed_pt() and its callers in
 *   arch/x86/kvm/mmu/tdp_mmu.c), so what an RCU reader reaches from a root
 *   stays until the reader's end, and so it does for KVM's own lockless
 *   walkers.
 * - A root leaves the RCU list kvm->arch.tdp_mmu_roots before it is handed to
 *   call_rcu() (kvm_tdp_mmu_put_root()). So a root that is found in that list
 *   inside an RCU section stays until the section's end.
 *
 * A vCPU names its root by physical address, the list holds struct
 * kvm_mmu_page, which is private. The two meet in page_private() of the table,
 * which points to the struct kvm_mmu_page, and this begins with its link in
 * the list. It is compared, never followed, so nothing depends on the layout
 * but whether we find a root at all: a root of the older MMU is not in the
 * list, nor is one whose link KVM has moved elsewhere.
 *
 * The address may have been read just before its root was freed, and the
 * struct kvm_mmu_page, not the table, may be in use as another root's by the
 * time it is compared. KVM clears the vCPU's address in the same critical
 * section that puts the root (kvm_mmu_free_roots()), that is before RCU can
 * free it. So an address that is still there after the root was found in the
 * list belongs to that root.
 */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/rculist.h>
#include <linux/sched/signal.h>

#include "compat/hostpage.h"
#include "compat/memory.h"
#include "memory/eptwalk.h"

/* Entries that are looked at in one RCU section; one takes some 25 instructions. */
#define CHUNK	1024
#define TABLE_NODE	2	/* the same as so many: to ask for a table's node */

/* A VM has a root or two; more than this is none of our business. */
#define MAX_ROOTS	64

/* vCPUs that are looked at in one go. */
#define ROOT_BATCH	8

#define LEVEL_SHIFT(level)	(9 * ((level) - 1))

static bool ept_root_listed(const struct list_head *roots, const void *sp)
{
	const struct list_head *pos;
	unsigned int n = 0;

	for (pos = rcu_dereference(list_next_rcu(roots)); pos && pos != roots;
	     pos = rcu_dereference(list_next_rcu(pos))) {
		if (pos == sp)
			return true;
		if (++n == MAX_ROOTS)
			break;
	}
	return false;
}

/* Are there tables below more than one root? Under RCU. */
static bool ept_more_roots(const struct list_head *roots)
{
	const struct list_head *first = rcu_dereference(list_next_rcu(roots));

	return first && first != roots && rcu_dereference(list_next_rcu(first)) != roots;
}

static const u64 *ept_table_at(u64 address)
{
	return pfn_valid(address >> PAGE_SHIFT) ? __va(address) : NULL;
}

/* The root that a vCPU runs on, if it is one of @roots. Under RCU and vm->lock. */
static const u64 *ept_root_of(struct kvmmem_vcpu *rec, const struct list_head *roots,
			      struct kvmmem_eptwalk *walk, int *level)
{
	hpa_t address = kvmmem_tdp_root(rec->vcpu, level);
	const void *sp;

	if (address == INVALID_PAGE || !pfn_valid(address >> PAGE_SHIFT))
		return NULL;
	sp = (void *)page_private(pfn_to_page(address >> PAGE_SHIFT));
	if (!sp || !ept_root_listed(roots, sp)) {
		walk->other_mmu = true;
		return NULL;
	}
	smp_rmb(); /* found in the list, then still the vCPU's */
	if (kvmmem_tdp_root(rec->vcpu, level) != address)
		return NULL;
	return ept_table_at(address & KVMMEM_SPTE_ADDR);
}

/* The next vCPU, the first one after the last. */
static struct kvmmem_vcpu *ept_next_vcpu(struct kvmmem_vm *vm, struct kvmmem_vcpu *rec)
{
	return kvmmem_vm_next_vcpu(vm, rec) ?: kvmmem_vm_next_vcpu(vm, NULL);
}

/**
 * kvmmem_ept_find_root - a root that some vCPU of a VM has
 * @vm: the record
 * @walk: the walk
 * @root: where to put the table
 * @level: where to put its level
 *
 * That of the vCPU that had one last time, or of the next that has one. A VM can have
 * more vCPUs than should be looked at with its lock held; then the search goes on in
 * the next call. Context: RCU, which keeps the table.
 *
 * Return: as kvmmem_eptwalk_chunk().
 */
enum kvmmem_ept_state kvmmem_ept_find_root(struct kvmmem_vm *vm, struct kvmmem_eptwalk *walk,
					   const u64 **root, int *level)
{
	enum kvmmem_ept_state state = KVMMEM_EPT_GONE;
	const struct list_head *roots;
	struct kvmmem_vcpu *rec;
	int i;

	raw_spin_lock(&vm->lock);
	if (!vm->kvm)
		goto out;
	state = KVMMEM_EPT_NO_ROOT;
	/* Of its two tables a bit of the address chooses; neither has been seen at work. */
	if (vm->is_tdx)
		goto out;
	state = KVMMEM_EPT_SHADOW_MMU;
	roots = kvmmem_tdp_roots(vm->kvm);
	if (!roots || vm->mode == KVMMEM_MODE_SHADOW)
		goto out;
	walk->more_roots |= ept_more_roots(roots);
	walk->no_tables = list_empty(roots);
	state = KVMMEM_EPT_UNFINISHED;
	/* None, and then one is born: it is met in the next call. */
	rec = vm->root_vcpu ?: ept_next_vcpu(vm, NULL);
	for (i = 0; rec && i < ROOT_BATCH && walk->tried < READ_ONCE(vm->nr_vcpus); i++) {
		*root = ept_root_of(rec, roots, walk, level);
		if (*root) {
			state = KVMMEM_EPT_WALKED;
			walk->tried = 0;
			break;
		}
		walk->tried++;
		rec = ept_next_vcpu(vm, rec);
	}
	vm->root_vcpu = rec;
	if (state != KVMMEM_EPT_WALKED && walk->tried >= READ_ONCE(vm->nr_vcpus))
		state = walk->other_mmu ? KVMMEM_EPT_SHADOW_MMU : KVMMEM_EPT_NO_ROOT;
out:
	raw_spin_unlock(&vm->lock);
	return state;
}

static void ept_add_table(struct kvmmem_eptwalk *walk, u64 address, int *budget)
{
	walk->tables++;
	if (!walk->table_nodes)
		return;
	*budget -= TABLE_NODE;
	if (pfn_valid(address >> PAGE_SHIFT))
		walk->table_nodes[kvmmem_page_node(pfn_to_page(address >> PAGE_SHIFT))]++;
}

/*
 * The entries of one table from @gfn to @end, and what is below them. Returns the
 * guest page where it stopped, which is before @end when the budget is used up. Each
 * walk gets on, since only what is passed on the way down is paid for above.
 */
static u64 ept_walk_table(struct kvmmem_eptwalk *walk, const u64 *table, int level,
			  u64 gfn, u64 end, int *budget)
{
	unsigned int shift = LEVEL_SHIFT(level);
	unsigned int first = (gfn >> shift) & 511;
	unsigned int n = first + ((end - 1) >> shift) - (gfn >> shift) + 1;
	u64 base = gfn & ~((512ULL << shift) - 1);
	unsigned int i;

	for (i = first; i < n; i++) {
		u64 spte = READ_ONCE(table[i]), from, next, to;
		const u64 *child;

		if (--*budget < 0)
			return max(base + ((u64)i << shift), gfn);
		if (!(spte & KVMMEM_SPTE_PRESENT))
			continue;
		from = max(base + ((u64)i << shift), gfn);
		next = min(base + ((u64)(i + 1) << shift), end);
		if (level == 1 || (spte & KVMMEM_SPTE_HUGE)) {
			if (level <= KVMMEM_NR_SIZES)
				walk->mapped[level - 1] += next - from;
			continue;
		}
		if (level > 2 || !walk->count_tables) {
			child = ept_table_at(spte & KVMMEM_SPTE_ADDR);
			to = child ? ept_walk_table(walk, child, level - 1, from, next, budget) :
				     next;
			if (to < next)
				return to;
		}
		/* Once a table, when it is done with. */
		ept_add_table(walk, spte & KVMMEM_SPTE_ADDR, budget);
	}
	return end;
}

/**
 * kvmmem_eptwalk_chunk - go on with a walk for a while
 * @vm: the record
 * @walk: the walk
 *
 * Context: any in which vm->lock can be taken.
 *
 * Return: KVMMEM_EPT_WALKED; the walk is over when @walk->gfn has reached
 * @walk->end. KVMMEM_EPT_UNFINISHED when it has not found out yet where to begin.
 * Or why it cannot be done.
 */
enum kvmmem_ept_state kvmmem_eptwalk_chunk(struct kvmmem_vm *vm, struct kvmmem_eptwalk *walk)
{
	enum kvmmem_ept_state state;
	const u64 *root = NULL;
	int budget = CHUNK;
	int level = 0;

	rcu_read_lock();
	state = kvmmem_ept_find_root(vm, walk, &root, &level);
	if (state == KVMMEM_EPT_WALKED) {
		/* Guest pages beyond what these tables reach are not mapped. */
		u64 end = min(walk->end, 1ULL << LEVEL_SHIFT(level + 1));

		if (root && walk->gfn < end)
			walk->gfn = ept_walk_table(walk, root, level, walk->gfn, end, &budget);
		if (walk->gfn >= end || !root) {
			walk->gfn = walk->end;
			if (root)
				ept_add_table(walk, __pa(root), &budget);
		}
	}
	rcu_read_unlock();
	return state;
}

/**
 * kvmmem_eptwalk - do a walk to its end
 * @vm: the record
 * @walk: the walk
 * @budget: what may be spent on it
 *
 * Context: may sleep.
 *
 * Return: as kvmmem_eptwalk_chunk(); KVMMEM_EPT_UNFINISHED when the budget is spent
 * or the caller was killed.
 */
enum kvmmem_ept_state kvmmem_eptwalk(struct kvmmem_vm *vm, struct kvmmem_eptwalk *walk,
				     struct kvmmem_budget *budget)
{
	enum kvmmem_ept_state state;
	u64 begun;

	do {
		if (!kvmmem_budget_left(budget) || fatal_signal_pending(current))
			return KVMMEM_EPT_UNFINISHED;
		begun = ktime_get_ns();
		state = kvmmem_eptwalk_chunk(vm, walk);
		kvmmem_budget_spend(budget, begun);
		cond_resched();
	} while (state == KVMMEM_EPT_UNFINISHED ||
		 (state == KVMMEM_EPT_WALKED && walk->gfn < walk->end));
	return state;
}
