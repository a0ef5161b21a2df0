// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/kvmmem.
 *
 * The file is a sequence of sections. A position is a section and a place in
 * it: place 0 is what stands before the section's rows, place n + 1 is the VM
 * in slot n of the registry. So a read may stop anywhere and go on later, with
 * no allocation that grows with the number of VMs.
 */
#include <linux/bits.h>
#include <linux/capability.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "count/fault.h"
#include "count/requests.h"
#include "count/tlb.h"
#include "count/tlb_hooks.h"
#include "decode/param.h"
#include "memory/backing.h"
#include "registry/info.h"
#include "registry/lost.h"
#include "registry/records.h"
#include "registry/vm.h"
#include "show/procfs.h"
#include "show/procfs_dirty.h"
#include "show/procfs_inval.h"
#include "show/procfs_memory.h"
#include "show/procfs_outcome.h"
#include "show/procfs_time.h"
#include "show/procfs_total.h"
#include "show/reading.h"
#include "show/table.h"
#include "show/tagrow.h"
#include "show/vmrow.h"

#define PROC_MODE	0400

static unsigned int proc_mode = PROC_MODE;
module_param_cb(proc_mode, &kvmmem_param_mode_ops, &proc_mode, 0444);
MODULE_PARM_DESC(proc_mode, "mode of /proc/kvmmem in octal, bits of 0444 with 0400 (default 0400: root only, with CAP_PERFMON or CAP_SYS_ADMIN)");

KVMMEM_TABLE(vm_table, "vm",
	     { "id", -10 }, { "pid", 7 }, { "comm", -15 }, { "vcpus", 5 },
	     { "mode", -6 }, { "mem_kb", 8 }, { "resident_kb", 11 },
	     { "swap_kb", 7 }, { "ksm_kb", 6 }, { "device_kb", 9 }, { "private_kb", 10 });

KVMMEM_TABLE(fault_table, "fault",
	     { "vm", -10 }, { "ept_violations", 14 }, { "read", 9 },
	     { "write", 10 }, { "exec", 8 }, { "protection", 10 },
	     { "page_walk", 9 }, { "mmio", 8 }, { "shadow", 8 });

KVMMEM_TABLE(flush_table, "flush",
	     { "vm", -10 }, { "requests", 11 }, { "remote", 11 }, { "vcpu", 11 });

KVMMEM_TABLE(vpid_table, "vpid",
	     { "vm", -10 }, { "vcpu", 4 }, { "vpid", 5 }, { "entries", 10 },
	     { "flushes", 8 }, { "remote", 7 }, { "guest", 7 }, { "nested", 6 },
	     { "tag", 6 }, { "other", 6 }, { "single", 6 }, { "moves", 5 },
	     { "range", 5 });

KVMMEM_TABLE(backing_table, "backing",
	     { "vm", -10 }, { "host_4k_kb", 10 }, { "host_2m_kb", 10 },
	     { "host_1g_kb", 10 }, { "ept_4k_kb", 10 }, { "ept_2m_kb", 10 },
	     { "ept_1g_kb", 10 }, { "ept_table_kb", 12 }, { "age_ms", 6 });

static const char *vm_mode_name(enum kvmmem_mode mode)
{
	switch (mode) {
	case KVMMEM_MODE_EPT:
		return "ept";
	case KVMMEM_MODE_NPT:
		return "npt";
	case KVMMEM_MODE_SHADOW:
		return "shadow";
	default:
		return "-";
	}
}

static void host_fact_text(struct seq_file *seq, const char *key, const char *value)
{
	seq_printf(seq, "host     %-25s %s\n", key, value);
}

static void host_fact_u64(struct seq_file *seq, const char *key, u64 value)
{
	if (value == KVMMEM_UNKNOWN)
		host_fact_text(seq, key, "-");
	else
		seq_printf(seq, "host     %-25s %llu\n", key, value);
}

static u64 host_guests_kb(void)
{
	unsigned int slot;
	u64 sum = 0, mem_kb, device_kb;
	bool known = true;

	for (slot = kvmmem_vm_next(0); slot < kvmmem_vm_slots();
	     slot = kvmmem_vm_next(slot + 1)) {
		struct kvmmem_vm *vm = kvmmem_vm_get(slot);

		if (!vm)
			continue;
		/* By a reference and not under RCU: it may go through thousands of slots. */
		mem_kb = kvmmem_vm_mem_kb(vm, &device_kb);
		known &= mem_kb != KVMMEM_UNKNOWN;
		sum += mem_kb;
		kvmmem_vm_put(vm);
		cond_resched();
	}
	return known ? sum : KVMMEM_UNKNOWN;
}

static int host_head(struct seq_file *seq)
{
	struct kvmmem_reading *reading = seq->private;
	const struct kvmmem_host *host = &reading->host;
	char key[40];
	int i, err;

	/* Before anything of a VM is shown, so that one reading shows one state of all. */
	reading->dirty_since = 0;
	err = kvmmem_backing_refresh(&reading->budget);
	if (err)
		return err;
	seq_printf(seq, "# kvmmem %d\n", KVMMEM_SCHEMA);
	host_fact_text(seq, "isa", host->isa);
	host_fact_text(seq, "ept", host->tdp);
	host_fact_text(seq, "vpid", host->vpid);
	host_fact_u64(seq, "page_kb", PAGE_SIZE >> 10);
	host_fact_text(seq, "thp", host->thp);
	for (i = 0; i < KVMMEM_NR_POOLS; i++) {
		if (!host->pools[i].size_kb)
			continue;
		snprintf(key, sizeof(key), "hugepages_%llukB_total", host->pools[i].size_kb);
		host_fact_u64(seq, key, host->pools[i].total);
		snprintf(key, sizeof(key), "hugepages_%llukB_free", host->pools[i].size_kb);
		host_fact_u64(seq, key, host->pools[i].free);
	}
	host_fact_u64(seq, "mem_total_kb", host->mem_total_kb);
	host_fact_u64(seq, "mem_available_kb", host->mem_available_kb);
	host_fact_u64(seq, "swap_total_kb", host->swap_total_kb);
	host_fact_u64(seq, "swap_used_kb", host->swap_used_kb);
	host_fact_text(seq, "ksm", host->ksm);
	host_fact_u64(seq, "vms", kvmmem_vm_count());
	host_fact_u64(seq, "guest_kb", host_guests_kb());
	host_fact_u64(seq, "lost", kvmmem_lost_events());
	return 0;
}

static int vm_head(struct seq_file *seq)
{
	kvmmem_table_header(seq, &vm_table);
	return 0;
}

static int vm_row(struct seq_file *seq, struct kvmmem_vm *vm)
{
	struct kvmmem_vm_info info;
	char comm[4 * TASK_COMM_LEN + 1];
	struct kvmmem_backing host;
	struct kvmmem_row row;
	u64 resident = 0;
	int i;

	if (!kvmmem_vm_info(vm, &info) || !kvmmem_backing_host(vm, &host))
		return SEQ_SKIP;
	for (i = 0; i < KVMMEM_NR_SIZES; i++)
		resident += host.host_kb[i];
	if (host.walked == KVMMEM_UNKNOWN)
		resident = KVMMEM_UNKNOWN;
	kvmmem_escape(comm, sizeof(comm), info.comm);

	row = kvmmem_row_begin(seq, &vm_table);
	kvmmem_row_text(&row, vm->id);
	kvmmem_row_u64(&row, vm->tgid);
	kvmmem_row_text(&row, comm);
	kvmmem_row_u64(&row, info.vcpus);
	kvmmem_row_text(&row, vm_mode_name(vm->mode));
	kvmmem_row_numbers(&row, info.mem_kb, resident, host.swap_kb, host.ksm_kb,
			   info.device_kb, host.private_kb);
	kvmmem_row_end(&row);
	return 0;
}

static int fault_head(struct seq_file *seq)
{
	kvmmem_table_header(seq, &fault_table);
	return 0;
}

static int fault_row(struct seq_file *seq, struct kvmmem_vm *vm)
{
	struct kvmmem_fault_sum sum;

	kvmmem_fault_of_vm(vm, &sum);
	kvmmem_vm_row(seq, fault_table, vm, sum.violations, sum.read, sum.write, sum.exec,
		      sum.protection, sum.walk, sum.mmio, sum.shadow);
	return 0;
}

static int flush_head(struct seq_file *seq)
{
	kvmmem_table_header(seq, &flush_table);
	return 0;
}

static int flush_row(struct seq_file *seq, struct kvmmem_vm *vm)
{
	struct kvmmem_flush_totals totals;

	if (!kvmmem_flush_totals(vm, &totals))
		return SEQ_SKIP;
	kvmmem_vm_row(seq, flush_table, vm, totals.requests, totals.remote, totals.vcpu);
	return 0;
}

static int vpid_head(struct seq_file *seq)
{
	kvmmem_table_header(seq, &vpid_table);
	return 0;
}

static int vpid_rows(struct seq_file *seq, struct kvmmem_vm *vm)
{
	struct kvmmem_tag tags[KVMMEM_TAGS];
	u64 range[KVMMEM_TAGS];
	bool ranges = kvmmem_tlb_ranges_known();
	struct kvmmem_vcpu *rec;
	unsigned int i, n;

	if (!kvmmem_tlb_on())
		return SEQ_SKIP;
	kvmmem_vm_for_each_vcpu(rec, vm) {
		n = kvmmem_tlb_tags(rec, tags, range);
		for (i = 0; i < n; i++) {
			u64 values[1 + KVMMEM_TAG_VALUES] = { rec->id };

			static_assert(ARRAY_SIZE(values) == ARRAY_SIZE(vpid_table_columns) - 1);
			kvmmem_tag_values(values + 1, &tags[i], ranges ? range[i] : KVMMEM_UNKNOWN,
					  kvmmem_tlb_vm_causes_known(vm));
			kvmmem_table_row(seq, &vpid_table, vm->padded_id, vm->id_len, values);
		}
		cond_resched();
	}
	return 0;
}

static int backing_head(struct seq_file *seq)
{
	kvmmem_table_header(seq, &backing_table);
	return 0;
}

static int backing_row(struct seq_file *seq, struct kvmmem_vm *vm)
{
	struct kvmmem_levels levels;
	const u64 *host = levels.host.host_kb, *ept = levels.ept_kb;

	if (!kvmmem_backing_levels(vm, &levels))
		return SEQ_SKIP;
	kvmmem_vm_row(seq, backing_table, vm, host[0], host[1], host[2], ept[0], ept[1], ept[2],
		      levels.table_kb, levels.age_ms);
	return 0;
}

/**
 * struct section - a part of the file
 * @head: prints what stands before the rows; may sleep
 * @row: prints the rows of a VM, whose record cannot go away; may sleep. NULL: there
 *	are none
 */
struct section {
	int (*head)(struct seq_file *seq);
	int (*row)(struct seq_file *seq, struct kvmmem_vm *vm);
};

static const struct section sections[] = {
	{ host_head, NULL },
	{ vm_head, vm_row },
	{ fault_head, fault_row },
	{ flush_head, flush_row },
	{ vpid_head, vpid_rows },
	{ backing_head, backing_row },
	{ kvmmem_proc_huge_head, kvmmem_proc_huge_row },
	{ kvmmem_proc_numa_head, kvmmem_proc_numa_rows },
	{ kvmmem_proc_older_head, kvmmem_proc_older_row },
	{ kvmmem_proc_total, NULL },
	{ kvmmem_outcome_head, kvmmem_outcome_row },
	{ kvmmem_proc_time_head, kvmmem_proc_time_row },
	{ kvmmem_proc_dirty_head, kvmmem_proc_dirty_row },
	{ kvmmem_proc_inval_head, kvmmem_proc_inval_row },
	{ kvmmem_proc_inval_kb_head, kvmmem_proc_inval_kb_row },
};

/* A position: the section, and the place in it. */
#define PLACE_BITS	17	/* max_vms is 65536 at most */
#define PLACE_MASK	GENMASK(PLACE_BITS - 1, 0)

/* The first position at or after this one where something is. */
static void *proc_seek(loff_t *pos)
{
	u64 section, place;

	for (;;) {
		section = *pos >> PLACE_BITS;
		place = *pos & PLACE_MASK;
		if (section >= ARRAY_SIZE(sections))
			return NULL;
		if (!place)
			return pos;
		if (sections[section].row) {
			place = kvmmem_vm_next(place - 1) + 1;
			if (place <= kvmmem_vm_slots()) {
				*pos = section << PLACE_BITS | place;
				return pos;
			}
		}
		*pos = (section + 1) << PLACE_BITS;
	}
}

static void *proc_start(struct seq_file *seq, loff_t *pos)
{
	return proc_seek(pos);
}

static void *proc_next(struct seq_file *seq, void *v, loff_t *pos)
{
	++*pos;
	return proc_seek(pos);
}

static void proc_stop(struct seq_file *seq, void *v)
{
}

/* A VM that is gone or has no row prints nothing. */
static int proc_row(struct seq_file *seq, const struct section *section, unsigned int slot)
{
	struct kvmmem_vm *vm;
	int ret;

	cond_resched();
	vm = kvmmem_vm_get(slot);
	if (!vm)
		return 0;
	ret = section->row(seq, vm);
	kvmmem_vm_put(vm);
	return ret == SEQ_SKIP ? 0 : ret;
}

/* A row that finds so much room will nearly always do with it. */
#define ROOM	256

/*
 * What seq_file does between two rows costs as much as a row does. So there are as
 * many in one go as the buffer has room for; the position is moved on with each.
 */
static int proc_show(struct seq_file *seq, void *v)
{
	loff_t *pos = v;
	const struct section *section = &sections[*pos >> PLACE_BITS];
	unsigned int slot = *pos & PLACE_MASK;
	int ret;

	if (!slot--)
		return section->head(seq);
	ret = proc_row(seq, section, slot);
	while (!ret && seq->size - seq->count > ROOM) {
		size_t count = seq->count;

		slot = kvmmem_vm_next(slot + 1);
		if (slot >= kvmmem_vm_slots())
			break;
		ret = proc_row(seq, section, slot);
		/* As if it had not been tried: seq_file will ask for it. */
		if (ret || seq_has_overflowed(seq)) {
			seq->count = count;
			return 0;
		}
		*pos = (*pos & ~PLACE_MASK) + slot + 1;
	}
	return ret;
}

static const struct seq_operations proc_seq_ops = {
	.start = proc_start,
	.next = proc_next,
	.stop = proc_stop,
	.show = proc_show,
};

static int proc_open(struct inode *inode, struct file *file)
{
	/*
	 * The mode is for the file's owner, whoever that is to the reader: root of a
	 * container owns it, too, if the container has no user namespace.
	 */
	if (proc_mode == PROC_MODE && !perfmon_capable())
		return -EACCES;
	/* Root's open ignores the mode; writing has no meaning here. */
	if (file->f_mode & FMODE_WRITE)
		return -EACCES;
	return seq_open_private(file, &proc_seq_ops, sizeof(struct kvmmem_reading));
}

/*
 * The host's facts are read from other files, of which some are seq_files like
 * this one: before this one's lock is taken, and whenever seq_file is about to go
 * through the text from its beginning, be it to skip what lies before a place.
 */
static int proc_ask_host(struct seq_file *seq)
{
	struct kvmmem_reading *reading = seq->private;
	struct kvmmem_host *host = kmalloc(sizeof(*host), GFP_KERNEL);

	if (!host || kvmmem_host_facts(host)) {
		kfree(host);
		return -ENOMEM;
	}
	mutex_lock(&seq->lock);
	reading->host = *host;
	mutex_unlock(&seq->lock);
	kfree(host);
	return 0;
}

static ssize_t proc_read(struct file *file, char __user *buf, size_t size, loff_t *pos)
{
	struct seq_file *seq = file->private_data;
	int err = 0;

	if (!*pos || *pos != READ_ONCE(seq->read_pos))
		err = proc_ask_host(seq);
	return err ?: seq_read(file, buf, size, pos);
}

static loff_t proc_lseek(struct file *file, loff_t offset, int whence)
{
	struct seq_file *seq = file->private_data;
	loff_t to = whence == SEEK_CUR ? file->f_pos + offset : offset;
	int err = 0;

	/* Who only asks where he is does not move. */
	if (to != READ_ONCE(seq->read_pos))
		err = proc_ask_host(seq);
	return err ?: seq_lseek(file, offset, whence);
}

static const struct proc_ops proc_ops = {
	.proc_open = proc_open,
	.proc_read = proc_read,
	.proc_lseek = proc_lseek,
	.proc_release = seq_release_private,
};

/**
 * kvmmem_procfs_init - make /proc/kvmmem
 *
 * Return: 0 or -ENOMEM.
 */
int kvmmem_procfs_init(void)
{
	return proc_create(KVMMEM_PROC_NAME, proc_mode, NULL, &proc_ops) ? 0 : -ENOMEM;
}

/**
 * kvmmem_procfs_exit - remove /proc/kvmmem and wait for its readers
 */
void kvmmem_procfs_exit(void)
{
	remove_proc_entry(KVMMEM_PROC_NAME, NULL);
}
