// SPDX-License-Identifier: GPL-2.0
/*
 * The way through KVM's tables to one guest page: what eptwalk.c does for ranges,
 * with each entry noted. What makes that safe is told there.
 */
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>

#include "compat/memory.h"
#include "memory/eptpath.h"

#define LEVEL_PAGES(level)	(1ULL << (9 * ((level) - 1)))

/**
 * kvmmem_eptpath_from - the way to a guest page
 * @root: from kvmmem_ept_find_root()
 * @level: likewise
 * @gfn: the page
 * @path: where to
 *
 * Context: the RCU section in which the root was found.
 */
void kvmmem_eptpath_from(const u64 *root, int level, u64 gfn, struct kvmmem_eptpath *path)
{
	const u64 *table = root;
	u64 spte;

	path->state = KVMMEM_EPT_WALKED;
	path->nr = 0;
	path->mapped = false;
	path->span = 1;
	if (!root || level > KVMMEM_PAGING_LEVELS || gfn >= LEVEL_PAGES(level + 1))
		return;
	for (;; level--) {
		const u64 *at = &table[(gfn / LEVEL_PAGES(level)) & 511];

		spte = READ_ONCE(*at);
		path->step[path->nr++] = (struct kvmmem_step) {
			.level = level, .at = __pa(at), .entry = spte,
		};
		path->span = LEVEL_PAGES(level) - (gfn & (LEVEL_PAGES(level) - 1));
		if (!(spte & KVMMEM_SPTE_PRESENT))
			return;
		if (level == 1 || (spte & KVMMEM_SPTE_HUGE))
			break;
		if (!pfn_valid((spte & KVMMEM_SPTE_ADDR) >> PAGE_SHIFT))
			return;
		table = __va(spte & KVMMEM_SPTE_ADDR);
	}
	if (level > KVMMEM_NR_SIZES)
		return;
	path->mapped = true;
	path->size = level - 1;
	path->hpa = (spte & KVMMEM_SPTE_ADDR & ~((LEVEL_PAGES(level) << PAGE_SHIFT) - 1)) +
		    ((gfn & (LEVEL_PAGES(level) - 1)) << PAGE_SHIFT);
}

/**
 * kvmmem_eptpath - the way to a guest page
 * @vm: the record
 * @gfn: the page
 * @path: where to
 *
 * Context: may sleep.
 */
void kvmmem_eptpath(struct kvmmem_vm *vm, u64 gfn, struct kvmmem_eptpath *path)
{
	struct kvmmem_eptwalk walk = {};
	const u64 *root = NULL;
	int level = 0;

	memset(path, 0, sizeof(*path));
	do {
		rcu_read_lock();
		path->state = kvmmem_ept_find_root(vm, &walk, &root, &level);
		if (path->state == KVMMEM_EPT_WALKED)
			kvmmem_eptpath_from(root, level, gfn, path);
		rcu_read_unlock();
		cond_resched();
	} while (path->state == KVMMEM_EPT_UNFINISHED && !fatal_signal_pending(current));
	path->no_tables = walk.no_tables;
}
