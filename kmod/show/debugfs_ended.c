// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs: the VMs that ended last.
 */
#include <linux/debugfs.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/seq_file.h>

#include "count/ticks.h"
#include "count/tlb.h"
#include "registry/ended.h"
#include "show/debugfs_ended.h"
#include "show/file.h"
#include "show/table.h"
#include "show/tagrow.h"

KVMMEM_TABLE(ended_table, "ended",
	     { "id", -10 }, { "comm", -15 }, { "lived_ms", 9 }, { "ago_ms", 9 },
	     { "vcpus", 5 }, { "ept_violations", 14 }, { "flushes", 11 }, { "read", 10 },
	     { "write", 10 }, { "exec", 8 }, { "protection", 10 }, { "page_walk", 9 },
	     { "mmio", 8 }, { "shadow", 8 }, { "entries", 11 }, { "remote", 8 },
	     { "guest", 8 }, { "nested", 6 }, { "tag", 6 }, { "other", 6 },
	     { "single", 6 }, { "range", 6 },
	     { "served", 9 }, { "time_us", 10 });

static void ended_row(struct seq_file *seq, const struct kvmmem_ended *one)
{
	struct kvmmem_fault_sum faults = one->total.faults;
	const struct kvmmem_tag *tags = &one->total.tags;
	u64 values[KVMMEM_TAG_VALUES], now = ktime_get_ns();
	char comm[4 * TASK_COMM_LEN + 1];
	bool flushes = one->counts & KVMMEM_COUNTS_FLUSHES;
	bool timed = one->counts & KVMMEM_COUNTS_TIME;
	struct kvmmem_row row;

	kvmmem_ended_mask(&faults, one->mode, one->is_tdx, one->counts);
	/* All bits: what nobody counted is unknown. */
	memset(values, 0xff, sizeof(values));
	if (flushes)
		kvmmem_tag_values(values, tags, 0, one->counts & KVMMEM_COUNTS_CAUSES);
	kvmmem_escape(comm, sizeof(comm), one->comm);

	row = kvmmem_row_begin(seq, &ended_table);
	kvmmem_row_text(&row, one->id);
	kvmmem_row_text(&row, comm);
	kvmmem_row_numbers(&row, div_u64(one->lived_ns, NSEC_PER_MSEC),
			   div_u64(now - one->at, NSEC_PER_MSEC), one->total.vcpus_ended,
			   faults.violations, values[2], faults.read, faults.write,
			   faults.exec, faults.protection, faults.walk, faults.mmio,
			   faults.shadow, values[1]);
	/* The causes, and single. */
	kvmmem_row_u64s(&row, values + 3, KVMMEM_NR_CAUSES + 1);
	kvmmem_row_numbers(&row, flushes && (one->counts & KVMMEM_COUNTS_RANGES) ?
				 one->total.range : KVMMEM_UNKNOWN,
			   timed ? one->total.served : KVMMEM_UNKNOWN,
			   timed ? kvmmem_ticks_to_us(one->total.ticks) : KVMMEM_UNKNOWN);
	kvmmem_row_end(&row);
}

/* The newest first. They may be overtaken by others that end meanwhile. */
static int ended_show(struct seq_file *seq, void *unused)
{
	u64 nr = kvmmem_ended_count();
	struct kvmmem_ended one;

	kvmmem_table_header(seq, &ended_table);
	while (nr-- && kvmmem_ended_get(nr, &one))
		ended_row(seq, &one);
	return 0;
}

KVMMEM_SHOW_FILE(ended);

/**
 * kvmmem_debugfs_ended - make the file
 * @dir: where
 *
 * Context: may sleep.
 */
void kvmmem_debugfs_ended(struct dentry *dir)
{
	debugfs_create_file("ended", 0400, dir, NULL, &ended_fops);
}
