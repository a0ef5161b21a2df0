// SPDX-License-Identifier: GPL-2.0
/*
 * The time rows of /proc/kvmmem.
 */
#include <linux/math64.h>
#include <linux/seq_file.h>

#include "count/async.h"
#include "count/latency.h"
#include "count/stuck.h"
#include "show/procfs_time.h"
#include "show/table.h"
#include "show/vmrow.h"

KVMMEM_TABLE(time_table, "time",
	     { "vm", -10 }, { "served", 8 }, { "total_us", 9 }, { "kvm_us", 8 },
	     { "asleep_us", 9 }, { "user_us", 7 }, { "p50_ns", 7 }, { "p99_ns", 8 },
	     { "max_ns", 9 }, { "async", 5 }, { "stuck", 5 });

/**
 * kvmmem_proc_time_head - print the header
 * @seq: where to
 *
 * Return: 0.
 */
int kvmmem_proc_time_head(struct seq_file *seq)
{
	kvmmem_table_header(seq, &time_table);
	return 0;
}

static u64 time_us(u64 ns)
{
	return ns == KVMMEM_UNKNOWN ? KVMMEM_UNKNOWN : div_u64(ns, NSEC_PER_USEC);
}

/**
 * kvmmem_proc_time_row - print a VM's row
 * @seq: where to
 * @vm: its record
 *
 * Context: a reference on the record; may sleep.
 *
 * Return: 0.
 */
int kvmmem_proc_time_row(struct seq_file *seq, struct kvmmem_vm *vm)
{
	struct kvmmem_latency sum;

	kvmmem_latency_of_vm(vm, &sum);
	kvmmem_vm_row(seq, time_table, vm, sum.served, time_us(sum.total_ns),
		      time_us(sum.kvm_ns), time_us(sum.asleep_ns), time_us(sum.user_ns),
		      kvmmem_latency_quantile(&sum, 50), kvmmem_latency_quantile(&sum, 99),
		      sum.max_ns, kvmmem_async_of_vm(vm), kvmmem_stuck_of_vm(vm));
	return 0;
}
