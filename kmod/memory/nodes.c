// SPDX-License-Identifier: GPL-2.0
/*
 * What lies on which NUMA node: see nodes.h.
 *
 * The walk of backing.c counts by node as it goes, into the first half of the
 * arrays; when it has come to its end the numbers move to the second half, for
 * readers. On a host with one node nobody counts: all is there.
 */
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/slab.h>
#include <linux/topology.h>

#include "compat/guest.h"
#include "decode/value.h"
#include "memory/nodes.h"

#define PAGE_KB		(PAGE_SIZE >> 10)

/* vCPUs that are looked at in one go. */
#define BATCH		128

/* Counts of pages, nr_node_ids each time: of the walk under way, and of the last one. */
enum nodes_part { NOW_PAGES, NOW_TABLES, PAGES, TABLES, NR_PARTS };

static u64 *nodes_part(u64 *nodes, enum nodes_part part)
{
	return nodes + part * nr_node_ids;
}

/**
 * kvmmem_nodes_begin - a walk over a VM's memory begins
 * @vm: its record
 *
 * Context: @vm->walk_lock; may sleep.
 */
void kvmmem_nodes_begin(struct kvmmem_vm *vm)
{
	u64 *nodes = vm->nodes;

	if (!nodes && nr_online_nodes > 1) {
		nodes = kcalloc(NR_PARTS * nr_node_ids, sizeof(u64), GFP_KERNEL);
		if (nodes)	/* nothing is known until a walk has ended */
			memset(nodes_part(nodes, PAGES), 0xff, 2 * nr_node_ids * sizeof(u64));
		raw_spin_lock(&vm->lock);
		vm->nodes = nodes;
		raw_spin_unlock(&vm->lock);
	}
	if (nodes)
		memset(nodes, 0, 2 * nr_node_ids * sizeof(u64));
}

/**
 * kvmmem_nodes_pages - where a walk counts memory
 * @vm: the record
 *
 * Context: @vm->walk_lock.
 *
 * Return: a count for each node, or NULL if none are wanted.
 */
u64 *kvmmem_nodes_pages(struct kvmmem_vm *vm)
{
	return vm->nodes ? nodes_part(vm->nodes, NOW_PAGES) : NULL;
}

/**
 * kvmmem_nodes_tables - where a walk counts KVM's tables
 * @vm: the record
 *
 * Context: @vm->walk_lock.
 *
 * Return: as kvmmem_nodes_pages().
 */
u64 *kvmmem_nodes_tables(struct kvmmem_vm *vm)
{
	return vm->nodes ? nodes_part(vm->nodes, NOW_TABLES) : NULL;
}

/**
 * kvmmem_nodes_publish - the walk has come to its end
 * @vm: the record
 *
 * Context: @vm->walk_lock and @vm->lock.
 */
void kvmmem_nodes_publish(struct kvmmem_vm *vm)
{
	if (vm->nodes)
		memcpy(nodes_part(vm->nodes, PAGES), vm->nodes, 2 * nr_node_ids * sizeof(u64));
}

/**
 * kvmmem_nodes_get - what the last walk has found on a node
 * @vm: the record
 * @nid: the node
 * @node: where to
 *
 * Context: @vm->lock.
 *
 * Return: false if it did not count by node.
 */
bool kvmmem_nodes_get(struct kvmmem_vm *vm, int nid, struct kvmmem_node *node)
{
	u64 pages;

	if (!vm->nodes)
		return false;
	pages = nodes_part(vm->nodes, PAGES)[nid];
	if (pages == KVMMEM_UNKNOWN)
		return false;
	node->mem_kb = pages * PAGE_KB;
	node->table_kb = nodes_part(vm->nodes, TABLES)[nid] * PAGE_KB;
	return true;
}

/* Those of some vCPUs from @rec on; the first one that is left, or NULL. */
static struct kvmmem_vcpu *nodes_add_vcpus(struct kvmmem_vm *vm, struct kvmmem_vcpu *rec,
					   unsigned int *vcpus, unsigned int *sum)
{
	unsigned int n;

	raw_spin_lock(&vm->lock);
	if (!vm->kvm)
		rec = NULL;
	for (n = 0; rec && n < BATCH; n++, rec = kvmmem_vm_next_vcpu(vm, rec)) {
		int cpu = READ_ONCE(rec->vcpu->cpu);

		/* KVM loads a vCPU that it makes; this one has not run yet. */
		if (cpu < 0 || kvmmem_vcpu_is_fresh(rec->vcpu))
			continue;
		vcpus[cpu_to_node(cpu)]++;
		++*sum;
	}
	raw_spin_unlock(&vm->lock);
	return rec;
}

/**
 * kvmmem_nodes_vcpus - on which nodes a VM's vCPUs run
 * @vm: its record
 * @vcpus: how many there are on each node, nr_node_ids of them; added to
 *
 * Where each of them runs now, or ran last. Context: a reference on the record.
 *
 * Return: how many there are in all.
 */
unsigned int kvmmem_nodes_vcpus(struct kvmmem_vm *vm, unsigned int *vcpus)
{
	struct kvmmem_vcpu *rec = kvmmem_vm_next_vcpu(vm, NULL);
	unsigned int sum = 0;

	while (rec)
		rec = nodes_add_vcpus(vm, rec, vcpus, &sum);
	return sum;
}
