// SPDX-License-Identifier: GPL-2.0
/*
 * The inval and inval_kb rows of /proc/kvmmem.
 */
#include <linux/seq_file.h>
#include <linux/string.h>

#include "count/inval.h"
#include "show/procfs_inval.h"
#include "show/table.h"

KVMMEM_TABLE(inval_table, "inval",
	     { "vm", -10 }, { "calls", 7 }, { "vmm", 6 }, { "reclaim", 7 }, { "ksm", 5 },
	     { "thp", 5 }, { "migrate", 7 }, { "numa_scan", 9 }, { "in_run", 6 },
	     { "fork", 5 }, { "protect", 7 }, { "other", 6 }, { "refaults", 8 },
	     { "discard", 7 });

KVMMEM_TABLE(inval_kb_table, "inval_kb",
	     { "vm", -10 }, { "calls", 7 }, { "vmm", 6 }, { "reclaim", 7 }, { "ksm", 5 },
	     { "thp", 5 }, { "migrate", 7 }, { "numa_scan", 9 }, { "in_run", 6 },
	     { "fork", 5 }, { "protect", 7 }, { "other", 6 }, { "refaults", 8 },
	     { "discard", 7 });

/* Both tables have the same columns; of pages, in KiB. */
static void inval_row(struct seq_file *seq, const struct kvmmem_table *table,
		      struct kvmmem_vm *vm, bool pages)
{
	unsigned int shift = pages ? PAGE_SHIFT - 10 : 0, n = 0;
	struct kvmmem_inval_sum sum;
	enum kvmmem_inval who;
	u64 values[13], refaults;

	if (!kvmmem_inval_of_vm(vm, pages, &sum)) {
		memset(values, 0xff, sizeof(values));
		kvmmem_table_row(seq, table, vm->padded_id, vm->id_len, values);
		return;
	}
	refaults = kvmmem_inval_refaults(vm);
	values[n++] = sum.all << shift;
	values[n++] = (sum.by[KVMMEM_INVAL_DISCARD] + sum.by[KVMMEM_INVAL_UNMAP]) << shift;
	for (who = KVMMEM_INVAL_RECLAIM; who < KVMMEM_NR_INVALS; who++)
		values[n++] = sum.by[who] << shift;
	values[n++] = refaults == KVMMEM_UNKNOWN ? refaults : refaults << shift;
	values[n++] = sum.by[KVMMEM_INVAL_DISCARD] << shift;
	kvmmem_table_row(seq, table, vm->padded_id, vm->id_len, values);
}

/**
 * kvmmem_proc_inval_head - print the header of the inval rows
 * @seq: where to
 *
 * Return: 0.
 */
int kvmmem_proc_inval_head(struct seq_file *seq)
{
	kvmmem_table_header(seq, &inval_table);
	return 0;
}

/**
 * kvmmem_proc_inval_row - print how often memory was taken away from a VM
 * @seq: where to
 * @vm: its record
 *
 * Context: a reference on the record.
 *
 * Return: 0.
 */
int kvmmem_proc_inval_row(struct seq_file *seq, struct kvmmem_vm *vm)
{
	inval_row(seq, &inval_table, vm, false);
	return 0;
}

/**
 * kvmmem_proc_inval_kb_head - print the header of the inval_kb rows
 * @seq: where to
 *
 * Return: 0.
 */
int kvmmem_proc_inval_kb_head(struct seq_file *seq)
{
	kvmmem_table_header(seq, &inval_kb_table);
	return 0;
}

/**
 * kvmmem_proc_inval_kb_row - print how much memory was taken away from a VM
 * @seq: where to
 * @vm: its record
 *
 * Context: a reference on the record.
 *
 * Return: 0.
 */
int kvmmem_proc_inval_kb_row(struct seq_file *seq, struct kvmmem_vm *vm)
{
	inval_row(seq, &inval_kb_table, vm, true);
	return 0;
}
