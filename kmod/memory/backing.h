/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What backs a VM's memory: the host's page tables, and KVM's.
 */
#ifndef _KVMMEM_BACKING_H
#define _KVMMEM_BACKING_H

#include "compat/memory.h"
#include "memory/eptwalk.h"
#include "memory/hostwalk.h"
#include "memory/nodes.h"

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

bool kvmmem_backing_next_slot(struct kvmmem_vm *vm, u64 gfn, struct kvmmem_slot *slot);
int kvmmem_backing_refresh(struct kvmmem_budget *budget);
bool kvmmem_backing_host(struct kvmmem_vm *vm, struct kvmmem_backing *host);
bool kvmmem_backing_levels(struct kvmmem_vm *vm, struct kvmmem_levels *levels);
void kvmmem_backing_node(struct kvmmem_vm *vm, int nid, struct kvmmem_node *node);

#endif /* _KVMMEM_BACKING_H */
