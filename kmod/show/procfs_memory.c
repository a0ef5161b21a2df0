// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/kvmmem: where a VM's memory lies, which huge mappings come and go, and what the
 * older MMU has to do for it.
 */
#include <linux/math64.h>
#include <linux/nodemask.h>
#include <linux/slab.h>

#include "count/huge.h"
#include "count/inval.h"
#include "count/latency.h"
#include "memory/backing.h"
#include "memory/older.h"
#include "show/procfs_memory.h"
#include "show/table.h"
#include "show/vmrow.h"

/* So many nodes need no memory of their own. */
#define FEW_NODES	8

KVMMEM_TABLE(huge_table, "huge",
	     { "vm", -10 }, { "installed", 10 }, { "nx_split", 10 },
	     { "dirty_log_split", 15 }, { "recovered", 10 }, { "zapped", 10 },
	     { "table_zapped", 12 });

KVMMEM_TABLE(numa_table, "numa",
	     { "vm", -10 }, { "node", 4 }, { "mem_kb", 11 }, { "table_kb", 9 },
	     { "vcpu_pct", 8 });

KVMMEM_TABLE(older_table, "older",
	     { "vm", -10 }, { "unsync", 8 }, { "pte_write", 10 }, { "flooded", 8 },
	     { "recycled", 8 }, { "zapped", 10 }, { "rmap_kb", 9 });

/**
 * kvmmem_proc_huge_head - print the header of the huge rows
 * @seq: where to
 *
 * Return: 0.
 */
int kvmmem_proc_huge_head(struct seq_file *seq)
{
	kvmmem_table_header(seq, &huge_table);
	return 0;
}

/**
 * kvmmem_proc_huge_row - print which huge mappings of a VM came and went
 * @seq: where to
 * @vm: which
 *
 * Return: 0.
 */
int kvmmem_proc_huge_row(struct seq_file *seq, struct kvmmem_vm *vm)
{
	u64 flows[KVMMEM_NR_FLOWS];

	static_assert(ARRAY_SIZE(flows) == ARRAY_SIZE(huge_table_columns) - 1);
	/* To know what a change of KVM's count is about takes all of these. */
	if (!kvmmem_huge_of_vm(vm, flows) &&
	    !(KVMMEM_KVM_COUNTS_LEAVES && kvmmem_latency_on() && kvmmem_inval_counts_vm(vm)))
		memset(flows, 0xff, sizeof(flows));	/* every one is unknown */
	kvmmem_table_row(seq, &huge_table, vm->padded_id, vm->id_len, flows);
	return 0;
}

/**
 * kvmmem_proc_numa_head - print the header of the numa rows
 * @seq: where to
 *
 * Return: 0.
 */
int kvmmem_proc_numa_head(struct seq_file *seq)
{
	kvmmem_table_header(seq, &numa_table);
	return 0;
}

/**
 * kvmmem_proc_numa_rows - print a row for each of the host's nodes
 * @seq: where to
 * @vm: whose
 *
 * Context: a reference on the record; may sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int kvmmem_proc_numa_rows(struct seq_file *seq, struct kvmmem_vm *vm)
{
	unsigned int few[FEW_NODES] = {}, *vcpus = few, left = nr_online_nodes, sum;
	int nid;

	if (nr_node_ids > FEW_NODES)
		vcpus = kcalloc(nr_node_ids, sizeof(*vcpus), GFP_KERNEL);
	if (!vcpus)
		return -ENOMEM;
	sum = kvmmem_nodes_vcpus(vm, vcpus);
	for_each_online_node(nid) {
		struct kvmmem_node node;

		kvmmem_backing_node(vm, nid, &node);
		kvmmem_vm_row(seq, numa_table, vm, nid, node.mem_kb, node.table_kb,
			      sum ? DIV_ROUND_CLOSEST_ULL(100ULL * vcpus[nid], sum) :
				    KVMMEM_UNKNOWN);
		/* The rest of the mask is long, and empty. */
		if (!--left)
			break;
	}
	if (vcpus != few)
		kfree(vcpus);
	return 0;
}

/**
 * kvmmem_proc_older_head - print the header of the older rows
 * @seq: where to
 *
 * Return: 0.
 */
int kvmmem_proc_older_head(struct seq_file *seq)
{
	kvmmem_table_header(seq, &older_table);
	return 0;
}

/**
 * kvmmem_proc_older_row - print what the older MMU has to do for a VM
 * @seq: where to
 * @vm: which
 *
 * Return: 0, or SEQ_SKIP when the VM is gone.
 */
int kvmmem_proc_older_row(struct seq_file *seq, struct kvmmem_vm *vm)
{
	struct kvmmem_older older;

	if (!kvmmem_older_of_vm(vm, &older))
		return SEQ_SKIP;
	kvmmem_vm_row(seq, older_table, vm, older.unsync, older.events[0], older.events[1],
		      older.events[2], older.events[3], older.rmap_kb);
	return 0;
}
