// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs: a directory for each VM, and how kvmmem itself is doing.
 *
 * Directories are made and removed as the registry tells of births and deaths
 * (watch.c). Removing one waits for readers that are inside one of its files, so
 * a file's pointer to its VM's record is good whenever the file's functions run.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/rculist.h>
#include <linux/sched.h>
#include <linux/seq_file.h>

#include "attach/hooks.h"
#include "count/fault.h"
#include "count/notifier.h"
#include "count/tlb.h"
#include "count/tlb_hooks.h"
#include "registry/records.h"
#include "registry/vm.h"
#include "registry/reaper.h"
#include "registry/users.h"
#include "registry/watch.h"
#include "show/audit.h"
#include "show/debugfs.h"
#include "show/debugfs_align.h"
#include "show/debugfs_backing.h"
#include "show/debugfs_ended.h"
#include "show/debugfs_time.h"
#include "show/debugfs_translate.h"
#include "show/file.h"
#include "show/table.h"
#include "show/tagrow.h"

static struct dentry *root, *vms;

KVMMEM_TABLE(faults_table, "fault",
	     { "vcpu", 4 }, { "read", 12 }, { "write", 12 }, { "exec", 12 },
	     { "not_present", 12 }, { "protection", 12 }, { "page_walk", 12 },
	     { "mmio", 10 }, { "shadow", 10 });

static int faults_show(struct seq_file *seq, void *unused)
{
	struct kvmmem_vm *vm = seq->private;
	struct kvmmem_fault_sum sum;
	struct kvmmem_vcpu *rec;
	struct kvmmem_row row;

	kvmmem_table_header(seq, &faults_table);
	kvmmem_vm_for_each_vcpu(rec, vm) {
		kvmmem_fault_of_vcpu(rec, &sum);
		row = kvmmem_row_begin(seq, &faults_table);
		kvmmem_row_u64(&row, rec->id);
		kvmmem_row_u64(&row, sum.read);
		kvmmem_row_u64(&row, sum.write);
		kvmmem_row_u64(&row, sum.exec);
		kvmmem_row_u64(&row, sum.violations == KVMMEM_UNKNOWN ||
			       sum.protection == KVMMEM_UNKNOWN ?
			       KVMMEM_UNKNOWN : sum.violations - sum.protection);
		kvmmem_row_u64(&row, sum.protection);
		kvmmem_row_u64(&row, sum.walk);
		kvmmem_row_u64(&row, sum.mmio);
		kvmmem_row_u64(&row, sum.shadow);
		kvmmem_row_end(&row);
		cond_resched();
	}
	return 0;
}

KVMMEM_TABLE(tlb_table, "tlb",
	     { "vcpu", 4 }, { "vpid", 5 }, { "entries", 14 }, { "flushes", 12 },
	     { "remote", 10 }, { "guest", 10 }, { "nested", 10 }, { "tag", 10 },
	     { "other", 10 }, { "single", 10 }, { "moves", 8 },
	     { "range", 10 });

static int tlb_show(struct seq_file *seq, void *unused)
{
	struct kvmmem_tag tags[KVMMEM_TAGS];
	u64 range[KVMMEM_TAGS];
	struct kvmmem_vm *vm = seq->private;
	struct kvmmem_vcpu *rec;
	bool ranges = kvmmem_tlb_ranges_known();
	unsigned int i, n;

	kvmmem_table_header(seq, &tlb_table);
	if (!kvmmem_tlb_on())
		return 0;
	kvmmem_vm_for_each_vcpu(rec, vm) {
		n = kvmmem_tlb_tags(rec, tags, range);
		for (i = 0; i < n; i++) {
			struct kvmmem_row row = kvmmem_row_begin(seq, &tlb_table);
			u64 values[KVMMEM_TAG_VALUES];

			kvmmem_row_u64(&row, rec->id);
			kvmmem_tag_values(values, &tags[i], ranges ? range[i] : KVMMEM_UNKNOWN,
					  kvmmem_tlb_vm_causes_known(vm));
			kvmmem_row_u64s(&row, values, KVMMEM_TAG_VALUES);
			kvmmem_row_end(&row);
		}
		cond_resched();
	}
	return 0;
}

KVMMEM_TABLE(hooks_table, "hook",
	     { "name", -39 }, { "state", -9 }, { "events", 14 },
	     { "why_not", -24 }, { "purpose", -24 });

static void hook_row(const struct kvmmem_hook *hook, void *data)
{
	struct seq_file *seq = data;
	struct kvmmem_row row = kvmmem_row_begin(seq, &hooks_table);
	const char *note = READ_ONCE(hook->note) ?: (hook->why_not ? hook->why_not() : NULL);
	const char *state = "attached", *why_not = "-";
	char text[KVMMEM_PROTO_LEN + 16];

	switch (hook->state) {
	case KVMMEM_HOOK_ATTACHED:
		why_not = note;
		if (!why_not)
			why_not = hook->probes && !hook->checked ? "prototype-unchecked" : "-";
		break;
	case KVMMEM_HOOK_OFF:
		state = "off";
		why_not = note ?: "by-parameter";
		break;
	case KVMMEM_HOOK_WAITING:
		state = "waiting";
		snprintf(text, sizeof(text), "%s-not-loaded", hook->module);
		why_not = text;
		break;
	case KVMMEM_HOOK_ABSENT:
		state = "absent";
		why_not = "not-in-this-kernel";
		break;
	case KVMMEM_HOOK_FAILED:
		state = "failed";
		snprintf(text, sizeof(text), "errno-%d", -hook->err);
		/* The sysctl kernel.ftrace_enabled; it is tried again (hooks.c). */
		why_not = hook->group && hook->err == -EBUSY ? "ftrace-is-off" : text;
		break;
	case KVMMEM_HOOK_REFUSED:
		state = "refused";
		snprintf(text, sizeof(text), "prototype:%s", hook->found);
		why_not = text;
		break;
	}
	kvmmem_row_text(&row, hook->name);
	kvmmem_row_text(&row, state);
	kvmmem_row_u64(&row, kvmmem_hook_events_seen(hook));
	kvmmem_row_text(&row, why_not);
	kvmmem_row_text(&row, hook->purpose);
	kvmmem_row_end(&row);
}

static int hooks_show(struct seq_file *seq, void *unused)
{
	kvmmem_table_header(seq, &hooks_table);
	kvmmem_hooks_for_each(hook_row, seq);
	return 0;
}

KVMMEM_TABLE(audit_table, "audit",
	     { "vm", -10 }, { "counter", -16 }, { "kvmmem", 16 }, { "kvm", 16 },
	     { "difference", 12 }, { "vcpus_off", 9 }, { "note", -8 });

static void audit_rows(struct seq_file *seq, struct kvmmem_vm *vm)
{
	struct kvmmem_witness witness;
	unsigned int i;

	for (i = 0; i < kvmmem_nr_audits; i++) {
		const struct kvmmem_audit *audit = &kvmmem_audits[i];
		struct kvmmem_row row;

		if (!kvmmem_audit_vm(audit, vm, &witness))
			continue;
		row = kvmmem_row_begin(seq, &audit_table);
		kvmmem_row_text(&row, vm->id);
		kvmmem_row_text(&row, audit->counter);
		kvmmem_row_u64(&row, witness.ours);
		kvmmem_row_u64(&row, witness.kvms);
		kvmmem_row_s64(&row, witness.ours - witness.kvms);
		kvmmem_row_u64(&row, witness.vcpus_off);
		kvmmem_row_text(&row, witness.cleared ? "cleared" : "-");
		kvmmem_row_end(&row);
	}
}

static int audit_show(struct seq_file *seq, void *unused)
{
	unsigned int slot;

	kvmmem_table_header(seq, &audit_table);
	for (slot = kvmmem_vm_next(0); slot < kvmmem_vm_slots();
	     slot = kvmmem_vm_next(slot + 1)) {
		struct kvmmem_vm *vm = kvmmem_vm_get(slot);

		if (!vm)
			continue;
		audit_rows(seq, vm);
		kvmmem_vm_put(vm);
		cond_resched();
	}
	return 0;
}

KVMMEM_TABLE(registry_table, "records",
	     { "of", -6 }, { "live", 8 }, { "reserve", 8 }, { "bytes_each", 10 });

static void registry_row(struct seq_file *seq, const char *of,
			 const struct kvmmem_records_usage *usage)
{
	struct kvmmem_row row = kvmmem_row_begin(seq, &registry_table);

	kvmmem_row_text(&row, of);
	kvmmem_row_u64(&row, usage->live);
	kvmmem_row_u64(&row, usage->reserve);
	kvmmem_row_u64(&row, usage->size);
	kvmmem_row_end(&row);
}

KVMMEM_TABLE(users_table, "user",
	     { "uid", 10 }, { "vms", 8 }, { "vcpus", 8 }, { "refused", 12 });

/* Users who did not get all records that their VMs asked for. */
static void registry_users(struct seq_file *seq)
{
	struct kvmmem_user user;
	unsigned int i = 0;

	while ((i = kvmmem_records_user(i, &user))) {
		struct kvmmem_row row = kvmmem_row_begin(seq, &users_table);

		kvmmem_row_u64(&row, from_kuid_munged(&init_user_ns, user.uid));
		kvmmem_row_u64(&row, user.vms);
		kvmmem_row_u64(&row, user.vcpus);
		kvmmem_row_u64(&row, user.refused);
		kvmmem_row_end(&row);
	}
}

static int registry_show(struct seq_file *seq, void *unused)
{
	struct kvmmem_records_usage vm, vcpu;

	kvmmem_watch_settle();
	kvmmem_notifier_settle();
	kvmmem_reaper_settle();
	kvmmem_records_usage(&vm, &vcpu);
	kvmmem_table_header(seq, &registry_table);
	registry_row(seq, "vm", &vm);
	registry_row(seq, "vcpu", &vcpu);
	kvmmem_table_header(seq, &users_table);
	registry_users(seq);
	return 0;
}

KVMMEM_SHOW_FILE(faults);
KVMMEM_SHOW_FILE(tlb);
KVMMEM_SHOW_FILE(hooks);
KVMMEM_SHOW_FILE(audit);
KVMMEM_SHOW_FILE(registry);

static struct dentry *debugfs_make_dir(const char *name, struct dentry *parent)
{
	struct dentry *dir = debugfs_create_dir(name, parent);

	/* debugfs has no way to say a directory's mode. */
	if (!IS_ERR(dir))
		d_inode(dir)->i_mode = S_IFDIR | 0700;
	return dir;
}

static bool debugfs_vm_born(struct kvmmem_vm *vm)
{
	struct dentry *other = debugfs_lookup(vm->id, vms);
	bool made;

	/*
	 * A VM of the same id is not quite gone yet: its death will wake us. Trying to make
	 * another directory would be a line in the log, for each of those and at each birth.
	 */
	if (!IS_ERR_OR_NULL(other)) {
		dput(other);
		return false;
	}
	vm->dir = debugfs_make_dir(vm->id, vms);
	made = kvmmem_file_made(vm->dir) &&
	       kvmmem_file_made(debugfs_create_file("faults", 0400, vm->dir, vm, &faults_fops)) &&
	       kvmmem_file_made(debugfs_create_file("tlb", 0400, vm->dir, vm, &tlb_fops)) &&
	       kvmmem_debugfs_time(vm, vm->dir) &&
	       kvmmem_debugfs_backing(vm, vm->dir) &&
	       kvmmem_debugfs_translate(vm, vm->dir) &&
	       kvmmem_debugfs_align(vm, vm->dir);
	/* The whole, or nothing: it is tried again at the next birth or death of any VM. */
	if (!made)
		debugfs_remove_recursive(vm->dir);
	return made;
}

static void debugfs_vm_died(struct kvmmem_vm *vm)
{
	debugfs_remove_recursive(vm->dir);
}

static const struct kvmmem_vm_watch debugfs_watch = {
	.born = debugfs_vm_born,
	.died = debugfs_vm_died,
};

/**
 * kvmmem_debugfs_init - make the debugfs tree
 *
 * As is the custom, no error: a kernel without debugfs goes without.
 */
void kvmmem_debugfs_init(void)
{
	root = debugfs_make_dir(KVMMEM_DEBUGFS_NAME, NULL);
	vms = debugfs_make_dir("vms", root);
	debugfs_create_file("hooks", 0400, root, NULL, &hooks_fops);
	debugfs_create_file("audit", 0400, root, NULL, &audit_fops);
	debugfs_create_file("registry", 0400, root, NULL, &registry_fops);
	kvmmem_debugfs_ended(root);
	kvmmem_watch_by(&debugfs_watch);
}

/**
 * kvmmem_debugfs_exit - remove the tree and wait for its readers
 */
void kvmmem_debugfs_exit(void)
{
	kvmmem_watch_by(NULL);
	debugfs_remove_recursive(root);
}
