/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Walking KVM's second-level tables of a VM.
 */
#ifndef _KVMMEM_EPTWALK_H
#define _KVMMEM_EPTWALK_H

#include <linux/types.h>

#include "memory/budget.h"
#include "registry/vm.h"

/**
 * struct kvmmem_eptwalk - a walk over guest pages
 * @gfn: where it is; set it before the first chunk
 * @end: where it ends
 * @count_tables: count @tables, and do not look at 4K entries
 * @mapped: pages mapped, by enum kvmmem_size of the leaf
 * @tables: tables that were met; all of them if all guest pages are walked and there
 *	are no @more_roots
 * @table_nodes: the same by NUMA node, nr_node_ids of them, or NULL
 * @more_roots: the VM has further tables, of SMM or obsolete ones for instance
 * @no_tables: the VM had none when they were looked for
 * @tried: vCPUs in a row that had no root to begin from
 * @other_mmu: one of them had a root of KVM's older MMU
 */
struct kvmmem_eptwalk {
	u64 gfn;
	u64 end;
	bool count_tables;
	u64 mapped[KVMMEM_NR_SIZES];
	u64 tables;
	u64 *table_nodes;
	bool more_roots;
	bool no_tables;
	unsigned int tried;
	bool other_mmu;
};

#define KVMMEM_EPT_ALL_GFNS	U64_MAX

/**
 * enum kvmmem_ept_state - can a VM's tables be walked?
 * @KVMMEM_EPT_WALKED: yes
 * @KVMMEM_EPT_SHADOW_MMU: no, they are KVM's older MMU's, which frees tables
 *	at once
 * @KVMMEM_EPT_NO_ROOT: no vCPU has any at the moment
 * @KVMMEM_EPT_GONE: the VM is gone
 * @KVMMEM_EPT_UNFINISHED: perhaps; nobody has walked to the end for now
 * @KVMMEM_EPT_DIFFERS: yes, but KVM counts other mappings than were found
 */
enum kvmmem_ept_state {
	KVMMEM_EPT_WALKED,
	KVMMEM_EPT_SHADOW_MMU,
	KVMMEM_EPT_NO_ROOT,
	KVMMEM_EPT_GONE,
	KVMMEM_EPT_UNFINISHED,
	KVMMEM_EPT_DIFFERS,
};

enum kvmmem_ept_state kvmmem_eptwalk_chunk(struct kvmmem_vm *vm, struct kvmmem_eptwalk *walk);
enum kvmmem_ept_state kvmmem_eptwalk(struct kvmmem_vm *vm, struct kvmmem_eptwalk *walk,
				     struct kvmmem_budget *budget);

enum kvmmem_ept_state kvmmem_ept_find_root(struct kvmmem_vm *vm, struct kvmmem_eptwalk *walk,
					   const u64 **root, int *level);

/* The address in an entry of KVM's tables, without what is reserved for memory encryption. */
#define KVMMEM_SPTE_ADDR	(__PHYSICAL_MASK & PAGE_MASK)

#endif /* _KVMMEM_EPTWALK_H */
