/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What backs a VM's memory: the host's page tables, KVM's, and how they differ.
 */
#ifndef _KVMMEM_BACKING_H
#define _KVMMEM_BACKING_H

#include "compat/memory.h"
#include "decode/gap.h"
#include "memory/eptwalk.h"
#include "memory/hostwalk.h"

/**
 * struct kvmmem_levels - what backs a VM's memory, for readers; KiB
 * @host: of the last walk; all unknown if there was none yet
 * @age_ms: of @host
 * @ept_kb: mapped in KVM's tables now, by size, as KVM counts
 * @table_kb: what KVM's tables take
 */
struct kvmmem_levels {
	struct kvmmem_backing host;
	u64 age_ms;
	u64 ept_kb[KVMMEM_NR_SIZES];
	u64 table_kb;
};

bool kvmmem_backing_due(const struct kvmmem_vm *vm);
int kvmmem_backing_refresh(struct kvmmem_vm *vm);
bool kvmmem_backing_host(struct kvmmem_vm *vm, struct kvmmem_backing *host);
bool kvmmem_backing_levels(struct kvmmem_vm *vm, struct kvmmem_levels *levels);

/**
 * struct kvmmem_slot_backing - what backs one memory slot, in 4K pages
 * @slot: the slot
 * @host: the host's side
 * @ept: can KVM's side be told?
 * @ept_mapped: mapped in KVM's tables, by size of the leaf
 * @gap: mapped huge by the host and as 4K by KVM, by cause
 * @unfaulted: mapped huge by the host and not at all by KVM
 */
struct kvmmem_slot_backing {
	struct kvmmem_slot slot;
	struct kvmmem_hostmem host;
	enum kvmmem_ept_state ept;
	u64 ept_mapped[KVMMEM_NR_SIZES];
	u64 gap[KVMMEM_NR_GAPS];
	u64 unfaulted;
};

/**
 * struct kvmmem_join - a walk over the slots of a VM, one after the other
 * @vm: the VM
 * @gfn: the next slot begins here or above
 * @nx_left: see struct kvmmem_region
 * @runs: see struct kvmmem_hostwalk
 * @slot: the slot that was walked last
 * @nodes: its pages in memory, by NUMA node
 */
struct kvmmem_join {
	struct kvmmem_vm *vm;
	u64 gfn;
	u64 nx_left;
	struct kvmmem_run runs[KVMMEM_RUNS];
	struct kvmmem_slot_backing slot;
	u64 nodes[];
};

struct kvmmem_join *kvmmem_join_begin(struct kvmmem_vm *vm);
int kvmmem_join_next(struct kvmmem_join *join);

#endif /* _KVMMEM_BACKING_H */
