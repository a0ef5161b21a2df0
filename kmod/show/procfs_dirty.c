// SPDX-License-Identifier: GPL-2.0
/*
 * The dirty rows of /proc/kvmmem.
 */
#include <linux/ktime.h>
#include <linux/seq_file.h>

#include "count/dirty.h"
#include "memory/dirtylog.h"
#include "show/procfs_dirty.h"
#include "show/reading.h"
#include "show/table.h"

KVMMEM_TABLE(dirty_table, "dirty",
	     { "vm", -10 }, { "mode", -4 }, { "since_ms", 8 }, { "write_faults", 12 },
	     { "split_2m", 8 }, { "ring_full", 9 }, { "pml_full", 8 }, { "dirty_kb", 8 },
	     { "time_us", 8 }, { "recovered_2m", 12 });

static const char * const modes[] = {
	[KVMMEM_DIRTY_OFF] = "off",
	[KVMMEM_DIRTY_LOG] = "log",
	[KVMMEM_DIRTY_RING] = "ring",
};

/**
 * kvmmem_proc_dirty_head - look at all VMs that are logged, and print the header
 * @seq: where to
 *
 * Context: may sleep.
 *
 * Return: 0.
 */
int kvmmem_proc_dirty_head(struct seq_file *seq)
{
	struct kvmmem_reading *reading = seq->private;

	/* Not once more if there is no room for the header. */
	if (!reading->dirty_since) {
		kvmmem_budget_go_on(&reading->budget);
		reading->dirty_since = ktime_get_ns();
		kvmmem_dirty_meet_all();
		kvmmem_dirtylog_refresh(&reading->budget);
	}
	kvmmem_table_header(seq, &dirty_table);
	return 0;
}

/**
 * kvmmem_proc_dirty_row - print the row of a VM that is or was logged
 * @seq: where to
 * @vm: its record
 *
 * Context: a reference on the record; may sleep.
 *
 * Return: 0, or SEQ_SKIP when it never was, or is gone.
 */
int kvmmem_proc_dirty_row(struct seq_file *seq, struct kvmmem_vm *vm)
{
	struct kvmmem_reading *reading = seq->private;
	struct kvmmem_dirty_sum sum;
	struct kvmmem_row row;
	u64 dirty_kb;

	if (!kvmmem_dirty_of_vm(vm, &sum))
		return SEQ_SKIP;
	dirty_kb = sum.mode == KVMMEM_DIRTY_OFF ? 0 : kvmmem_dirtylog_kb(vm, reading->dirty_since);
	row = kvmmem_row_begin(seq, &dirty_table);
	kvmmem_row_text(&row, vm->id);
	kvmmem_row_text(&row, modes[sum.mode]);
	kvmmem_row_numbers(&row, sum.since_ms, sum.write_faults, sum.split_2m, sum.ring_full,
			   sum.pml_full, dirty_kb, sum.time_us, sum.recovered_2m);
	kvmmem_row_end(&row);
	return 0;
}
