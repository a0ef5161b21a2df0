// SPDX-License-Identifier: GPL-2.0
/*
 * A VM's files of debugfs that tell time: latency, and stuck.
 */
#include <linux/debugfs.h>
#include <linux/sched.h>

#include "count/async.h"
#include "count/latency.h"
#include "count/stuck.h"
#include "show/debugfs_time.h"
#include "show/file.h"
#include "show/table.h"

KVMMEM_TABLE(latency_table, "latency",
	     { "from_ns", 12 }, { "to_ns", 12 }, { "count", 16 });

KVMMEM_TABLE(untimed_table, "untimed",
	     { "reason", -12 }, { "count", 16 });

static void latency_untimed_row(struct seq_file *seq, const char *reason, u64 count)
{
	struct kvmmem_row row = kvmmem_row_begin(seq, &untimed_table);

	kvmmem_row_text(&row, reason);
	kvmmem_row_u64(&row, count);
	kvmmem_row_end(&row);
}

KVMMEM_TABLE(access_table, "access",
	     { "access", -6 }, { "served", 12 }, { "total_ns", 16 }, { "max_ns", 14 });

/* Under shadow paging a #PF does not say of which access, and KVM makes it up for TDX. */
static void latency_accesses(struct seq_file *seq, struct kvmmem_vm *vm,
			     const struct kvmmem_latency *sum)
{
	static const char * const names[] = { "read", "write", "exec" };
	bool known = vm->mode != KVMMEM_MODE_SHADOW && !vm->is_tdx && sum->served != KVMMEM_UNKNOWN;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		struct kvmmem_row row = kvmmem_row_begin(seq, &access_table);

		kvmmem_row_text(&row, names[i]);
		kvmmem_row_u64(&row, known ? sum->count[i] : KVMMEM_UNKNOWN);
		kvmmem_row_u64(&row, known ? sum->access_ns[i] : KVMMEM_UNKNOWN);
		kvmmem_row_u64(&row, known ? sum->access_max_ns[i] : KVMMEM_UNKNOWN);
		kvmmem_row_end(&row);
	}
}

KVMMEM_TABLE(size_table, "size",
	     { "size", -6 }, { "served", 12 }, { "total_ns", 16 });

/* What is not of a huge mapping. */
static u64 latency_small(u64 all, u64 huge)
{
	if (huge == KVMMEM_UNKNOWN)
		return KVMMEM_UNKNOWN;
	return all > huge ? all - huge : 0;
}

static void latency_sizes(struct seq_file *seq, const struct kvmmem_latency *sum)
{
	struct kvmmem_row row = kvmmem_row_begin(seq, &size_table);

	kvmmem_row_text(&row, "4k");
	kvmmem_row_u64(&row, latency_small(sum->served, sum->huge));
	kvmmem_row_u64(&row, latency_small(sum->total_ns, sum->huge_ns));
	kvmmem_row_end(&row);

	row = kvmmem_row_begin(seq, &size_table);
	kvmmem_row_text(&row, "huge");
	kvmmem_row_u64(&row, sum->huge);
	kvmmem_row_u64(&row, sum->huge_ns);
	kvmmem_row_end(&row);
}

KVMMEM_TABLE(service_table, "service",
	     { "vcpu", 4 }, { "served", 10 }, { "total_ns", 14 }, { "kvm_ns", 14 },
	     { "asleep_ns", 14 }, { "user_ns", 14 }, { "p50_ns", 10 }, { "p99_ns", 10 },
	     { "max_ns", 12 }, { "async", 8 }, { "ready", 8 }, { "async_ns", 14 });

static void latency_service_row(struct seq_file *seq, struct kvmmem_vcpu *rec)
{
	struct kvmmem_async_sum async;
	struct kvmmem_latency sum;
	struct kvmmem_row row;

	kvmmem_latency_of_vcpu(rec, &sum);
	kvmmem_async_of_vcpu(rec, &async);
	row = kvmmem_row_begin(seq, &service_table);
	kvmmem_row_u64(&row, rec->id);
	kvmmem_row_u64(&row, sum.served);
	kvmmem_row_u64(&row, sum.total_ns);
	kvmmem_row_u64(&row, sum.kvm_ns);
	kvmmem_row_u64(&row, sum.asleep_ns);
	kvmmem_row_u64(&row, sum.user_ns);
	kvmmem_row_u64(&row, kvmmem_latency_quantile(&sum, 50));
	kvmmem_row_u64(&row, kvmmem_latency_quantile(&sum, 99));
	kvmmem_row_u64(&row, sum.max_ns);
	kvmmem_row_u64(&row, async.begun);
	kvmmem_row_u64(&row, async.ready);
	kvmmem_row_u64(&row, async.ns);
	kvmmem_row_end(&row);
}

static int latency_show(struct seq_file *seq, void *unused)
{
	struct kvmmem_vm *vm = seq->private;
	struct kvmmem_latency sum;
	struct kvmmem_vcpu *rec;
	unsigned int i;

	kvmmem_latency_of_vm(vm, &sum);
	kvmmem_table_header(seq, &latency_table);
	for (i = 0; i < KVMMEM_LATENCY_BUCKETS; i++) {
		struct kvmmem_row row = kvmmem_row_begin(seq, &latency_table);

		kvmmem_row_u64(&row, kvmmem_latency_from(i));
		kvmmem_row_u64(&row, kvmmem_latency_from(i + 1));
		kvmmem_row_u64(&row, sum.bucket[i]);
		kvmmem_row_end(&row);
	}
	kvmmem_table_header(seq, &untimed_table);
	latency_untimed_row(seq, "under-way", sum.under_way);
	latency_untimed_row(seq, "no-exit", kvmmem_latency_no_exit(vm));
	latency_untimed_row(seq, "clock", sum.clock);
	kvmmem_table_header(seq, &access_table);
	latency_accesses(seq, vm, &sum);
	kvmmem_table_header(seq, &size_table);
	latency_sizes(seq, &sum);
	kvmmem_table_header(seq, &service_table);
	kvmmem_vm_for_each_vcpu(rec, vm) {
		latency_service_row(seq, rec);
		cond_resched();
	}
	return 0;
}

KVMMEM_TABLE(stuck_table, "stuck",
	     { "vcpu", 4 }, { "gpa", 18 }, { "repeats", 12 }, { "since_ms", 10 });

static int stuck_show(struct seq_file *seq, void *unused)
{
	struct kvmmem_vm *vm = seq->private;
	struct kvmmem_stuck_state state;
	struct kvmmem_vcpu *rec;
	char gpa[24];

	kvmmem_table_header(seq, &stuck_table);
	kvmmem_vm_for_each_vcpu(rec, vm) {
		struct kvmmem_row row;

		cond_resched();
		if (!kvmmem_stuck_of_vcpu(rec, &state))
			continue;
		if (state.gpa == KVMMEM_UNKNOWN)
			strscpy(gpa, "-", sizeof(gpa));
		else
			snprintf(gpa, sizeof(gpa), "0x%llx", state.gpa);
		row = kvmmem_row_begin(seq, &stuck_table);
		kvmmem_row_u64(&row, rec->id);
		kvmmem_row_text(&row, gpa);
		kvmmem_row_u64(&row, state.repeats);
		kvmmem_row_u64(&row, state.since_ms);
		kvmmem_row_end(&row);
	}
	return 0;
}

KVMMEM_SHOW_FILE(latency);
KVMMEM_SHOW_FILE(stuck);

/**
 * kvmmem_debugfs_time - add the files to a VM's directory
 * @vm: the record; it stays as long as the directory
 * @dir: the directory
 *
 * Return: false if there is no memory.
 */
bool kvmmem_debugfs_time(struct kvmmem_vm *vm, struct dentry *dir)
{
	return kvmmem_file_made(debugfs_create_file("latency", 0400, dir, vm, &latency_fops)) &&
	       kvmmem_file_made(debugfs_create_file("stuck", 0400, dir, vm, &stuck_fops));
}
