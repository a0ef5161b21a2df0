/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How the host's page tables and KVM's differ, memory slot by memory slot.
 */
#ifndef _KVMMEM_JOIN_H
#define _KVMMEM_JOIN_H

#include "compat/memory.h"
#include "decode/gap.h"
#include "memory/budget.h"
#include "memory/eptwalk.h"
#include "memory/hostwalk.h"

/**
 * struct kvmmem_slot_backing - what backs one memory slot, in 4K pages
 * @slot: the slot
 * @host_known: has the host's side been walked to the end?
 * @host: the host's side
 * @private: in its guest_memfd
 * @ept: can KVM's side be told?
 * @ept_mapped: mapped in KVM's tables, by size of the leaf
 * @gap: mapped huge by the host and as 4K by KVM, by cause
 * @unfaulted: mapped huge by the host and not at all by KVM
 */
struct kvmmem_slot_backing {
	struct kvmmem_slot slot;
	bool host_known;
	struct kvmmem_hostmem host;
	u64 private;
	enum kvmmem_ept_state ept;
	u64 ept_mapped[KVMMEM_NR_SIZES];
	u64 gap[KVMMEM_NR_GAPS];
	u64 unfaulted;
};

/**
 * struct kvmmem_join - a walk over the slots of a VM, one after the other
 * @vm: the VM
 * @budget: what may be spent on it
 * @gfn: the next slot begins here or above
 * @nx_left: see struct kvmmem_region
 * @runs: see struct kvmmem_hostwalk
 * @slot: the slot that was walked last
 * @nodes: its pages in memory, by NUMA node
 */
struct kvmmem_join {
	struct kvmmem_vm *vm;
	struct kvmmem_budget budget;
	u64 gfn;
	u64 nx_left;
	struct kvmmem_run runs[KVMMEM_RUNS];
	struct kvmmem_slot_backing slot;
	u64 nodes[];
};

struct kvmmem_join *kvmmem_join_begin(struct kvmmem_vm *vm);
int kvmmem_join_next(struct kvmmem_join *join);

#endif /* _KVMMEM_JOIN_H */
