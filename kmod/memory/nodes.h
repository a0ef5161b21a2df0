/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What lies on which NUMA node.
 */
#ifndef _KVMMEM_NODES_H
#define _KVMMEM_NODES_H

#include "registry/vm.h"

/**
 * struct kvmmem_node - what a VM has on a node, for readers
 * @mem_kb: memory of its slots there
 * @table_kb: KVM's tables there
 */
struct kvmmem_node {
	u64 mem_kb;
	u64 table_kb;
};

void kvmmem_nodes_begin(struct kvmmem_vm *vm);
u64 *kvmmem_nodes_pages(struct kvmmem_vm *vm);
u64 *kvmmem_nodes_tables(struct kvmmem_vm *vm);
void kvmmem_nodes_publish(struct kvmmem_vm *vm);
bool kvmmem_nodes_get(struct kvmmem_vm *vm, int nid, struct kvmmem_node *node);
unsigned int kvmmem_nodes_vcpus(struct kvmmem_vm *vm, unsigned int *vcpus);

#endif /* _KVMMEM_NODES_H */
