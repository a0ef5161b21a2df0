// SPDX-License-Identifier: GPL-2.0
/*
 * The outcome rows of /proc/kvmmem.
 */
#include <linux/seq_file.h>

#include "count/fault.h"
#include "count/outcome.h"
#include "show/procfs_outcome.h"
#include "show/table.h"
#include "show/vmrow.h"

KVMMEM_TABLE(outcome_table, "outcome",
	     { "vm", -10 }, { "fixed", 10 }, { "fast", 9 }, { "spurious", 9 },
	     { "emulated", 9 }, { "mmio", 9 }, { "retried", 9 }, { "l2", 9 },
	     { "reflected", 9 });

/**
 * kvmmem_outcome_head - print the header
 * @seq: where to
 *
 * Return: 0.
 */
int kvmmem_outcome_head(struct seq_file *seq)
{
	kvmmem_table_header(seq, &outcome_table);
	return 0;
}

/**
 * kvmmem_outcome_row - print a VM's row
 * @seq: where to
 * @vm: its record
 *
 * Context: a reference on the record; may sleep.
 *
 * Return: 0, or SEQ_SKIP when the VM is gone.
 */
int kvmmem_outcome_row(struct seq_file *seq, struct kvmmem_vm *vm)
{
	u64 sums[KVMMEM_NR_OUTCOMES], retried, l2, reflected;

	if (!kvmmem_outcome_of_vm(vm, sums, &retried))
		return SEQ_SKIP;
	kvmmem_fault_nested(vm, &l2, &reflected);
	kvmmem_vm_row(seq, outcome_table, vm, sums[KVMMEM_OUTCOME_FIXED],
		      sums[KVMMEM_OUTCOME_FAST], sums[KVMMEM_OUTCOME_SPURIOUS],
		      sums[KVMMEM_OUTCOME_EMULATED], sums[KVMMEM_OUTCOME_MMIO], retried, l2,
		      reflected);
	return 0;
}
