// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/kvmmem: the row of all VMs since load.
 */
#include <linux/bits.h>
#include <linux/string.h>

#include "count/counted.h"
#include "count/ticks.h"
#include "count/tlb.h"
#include "registry/ended.h"
#include "registry/total.h"
#include "show/procfs_total.h"
#include "show/table.h"
#include "show/tagrow.h"

KVMMEM_TABLE(total_table, "total",
	     { "vms", 5 }, { "vms_ended", 9 }, { "vcpus_ended", 11 },
	     { "ept_violations", 14 }, { "flushes", 11 }, { "read", 10 }, { "write", 10 },
	     { "exec", 8 }, { "protection", 10 }, { "page_walk", 9 }, { "mmio", 8 },
	     { "shadow", 8 }, { "entries", 11 }, { "remote", 8 }, { "guest", 8 },
	     { "nested", 6 }, { "tag", 6 }, { "other", 6 }, { "single", 6 }, { "range", 6 },
	     { "served", 9 }, { "time_us", 10 });

#define SHADOW	BIT(KVMMEM_MODE_SHADOW)

/* Is MMIO counted, and of any VM? While there was no VM, none is missing. */
static bool total_has_mmio(const struct kvmmem_total *total, unsigned int counts)
{
	if (!(counts & KVMMEM_COUNTS_MMIO) && !(total->modes & SHADOW))
		return false;
	return total->shows_mmio || !(total->vms + total->vms_ended);
}

/**
 * kvmmem_proc_total - print the header and the row
 * @seq: where to
 *
 * Context: may sleep.
 *
 * Return: 0.
 */
int kvmmem_proc_total(struct seq_file *seq)
{
	unsigned int counts = kvmmem_counted_of_all();
	bool flushes = counts & KVMMEM_COUNTS_FLUSHES, timed = counts & KVMMEM_COUNTS_TIME;
	bool access;
	struct kvmmem_total total;
	struct kvmmem_row row;
	u64 all, causes[KVMMEM_NR_CAUSES];

	kvmmem_total_read(&total);
	/* Is it told of any VM how it accesses? While there was none, nothing is missing. */
	access = total.shows_access || !(total.vms + total.vms_ended);
	/* All bits: what nobody counts is unknown. */
	if (!(counts & KVMMEM_COUNTS_FAULTS))
		memset(&total.faults, 0xff, sizeof(total.faults));
	if (!flushes)
		memset(&total.tags, 0xff, sizeof(total.tags));
	if ((total.modes & ~BIT(KVMMEM_MODE_UNKNOWN)) == SHADOW)
		kvmmem_fault_mask(&total.faults, KVMMEM_MODE_SHADOW, false, true);
	else if (!access)
		kvmmem_fault_mask(&total.faults, KVMMEM_MODE_UNKNOWN, true, true);
	if (!total_has_mmio(&total, counts))
		total.faults.mmio = KVMMEM_UNKNOWN;
	all = flushes ? kvmmem_tag_flushes(&total.tags) : KVMMEM_UNKNOWN;
	kvmmem_table_header(seq, &total_table);
	row = kvmmem_row_begin(seq, &total_table);
	kvmmem_row_numbers(&row, total.vms, total.vms_ended, total.vcpus_ended,
			   total.faults.violations, all, total.faults.read,
			   total.faults.write, total.faults.exec, total.faults.protection,
			   total.faults.walk, total.faults.mmio, total.faults.shadow,
			   total.tags.entries);
	/* A TDX guest's flush functions are others, too. */
	kvmmem_tag_causes(causes, &total.tags, all, (counts & KVMMEM_COUNTS_CAUSES) && access);
	kvmmem_row_u64s(&row, causes, KVMMEM_NR_CAUSES);
	kvmmem_row_numbers(&row, total.tags.single,
			   counts & KVMMEM_COUNTS_RANGES && flushes ? total.range : KVMMEM_UNKNOWN,
			   timed ? total.served : KVMMEM_UNKNOWN,
			   timed ? kvmmem_ticks_to_us(total.ticks) : KVMMEM_UNKNOWN);
	kvmmem_row_end(&row);
	return 0;
}
