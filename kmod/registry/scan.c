// SPDX-License-Identifier: GPL-2.0
/*
 * VMs that are older than kvmmem.
 *
 * KVM's list of VMs is exported nowhere, but a VM that can run has an open
 * file: its own, or one of its vCPUs'. The open files of all processes are
 * looked through at load. An open file holds its VM, and the locks held while
 * looking hold the file, so a VM found this way is alive when its record is
 * made, and its death is heard afterwards.
 *
 * How many processes and files there are is up to users, so nothing is held for
 * longer than it takes to look at SCAN_CHUNK files. A file of a VM is that VM,
 * a file of a vCPU is that vCPU: one without a file cannot run.
 */
#include <linux/dcache.h>
#include <linux/fdtable.h>
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/magic.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/string.h>
#include <linux/xarray.h>

#include "attach/hooks.h"
#include "registry/life.h"
#include "registry/records.h"
#include "registry/scan.h"

#define SCAN_CHUNK	2048	/* places of files that are looked at in one go */
#define SCAN_KVM_FILE	8	/* as many of them as long as a file of KVM's takes */
#define SCAN_BIRTH	256	/* and as long as making a record takes */
#define SCAN_TASKS	32	/* processes that are collected in one go */
#define SCAN_RESTARTS	16

/*
 * Any number of processes can share a table of files, each of which is looked through for
 * it: of large ones for so many. What is missed so is met at its first event; if its
 * maker was among those left out, one of the others passes for it.
 */
#define SCAN_LARGE	1024
#define SCAN_TIMES	4

/**
 * struct scan - where the scan is in a process
 * @kvm: KVM's module, NULL if it is built in
 * @task: the process; a reference is held
 * @fd: the next place to look at
 * @budget: places that may still be looked at in this go
 * @strangers: VMs of processes other than that which made them are looked for
 * @large: how often a large table of files was looked through, by its address
 */
struct scan {
	const struct module *kvm;
	struct task_struct *task;
	unsigned int fd;
	int budget;
	bool strangers;
	struct xarray large;
};

/*
 * Is it one of KVM's files? They are anonymous inodes, whose names nobody but the
 * kernel gives (virt/kvm/kvm_main.c). Where KVM is a module its functions tell, too.
 */
static bool scan_is_kvms(const struct file *file, const struct module *kvm)
{
	unsigned long ioctl = (unsigned long)file->f_op->unlocked_ioctl;

	if (!ioctl || (kvm && !within_module(ioctl, kvm)))
		return false;
	return file_inode(file)->i_sb->s_magic == ANON_INODE_FS_MAGIC;
}

/* Under task_lock and the files' file_lock. */
static void scan_file(struct scan *scan, const struct file *file)
{
	struct kvm_vcpu *vcpu = NULL;
	const char *name;
	struct kvm *kvm;
	bool own;

	if (!scan_is_kvms(file, scan->kvm))
		return;
	scan->budget -= SCAN_KVM_FILE;
	name = file->f_path.dentry->d_name.name;
	if (!strcmp(name, "kvm-vm")) {
		kvm = file->private_data;
	} else if (strstarts(name, "kvm-vcpu:")) {
		vcpu = file->private_data;
		kvm = vcpu->kvm;
	} else {
		return;
	}
	own = kvm->mm == scan->task->mm;
	if (own == scan->strangers)
		return;
	if (vcpu)
		kvmmem_vcpu_birth(vcpu, scan->task);
	else
		kvmmem_vm_birth(kvm, scan->task);
	scan->budget -= SCAN_BIRTH;
}

/* Go on in a process for a while; false when all its files have been seen. */
static bool scan_chunk(struct scan *scan)
{
	struct files_struct *files;
	struct fdtable *fdt;
	bool more = false;

	scan->budget = SCAN_CHUNK;
	task_lock(scan->task);
	files = scan->task->files;
	if (files) {
		spin_lock(&files->file_lock);
		fdt = files_fdtable(files);
		for (; scan->fd < fdt->max_fds && scan->budget > 0; scan->fd++) {
			struct file *file = rcu_dereference_protected(fdt->fd[scan->fd],
						lockdep_is_held(&files->file_lock));

			scan->budget--;
			if (file)
				scan_file(scan, file);
		}
		more = scan->fd < fdt->max_fds;
		spin_unlock(&files->file_lock);
	}
	task_unlock(scan->task);
	return more;
}

/* Is it one too many of those who share a large table of files? */
static bool scan_has_seen(struct scan *scan)
{
	unsigned long files, times;
	unsigned int max = 0;

	task_lock(scan->task);
	files = (unsigned long)scan->task->files;
	rcu_read_lock();
	if (files)
		max = files_fdtable(scan->task->files)->max_fds;
	rcu_read_unlock();
	task_unlock(scan->task);
	if (max < SCAN_LARGE)
		return false;
	times = xa_to_value(xa_load(&scan->large, files) ?: xa_mk_value(0));
	xa_store(&scan->large, files, xa_mk_value(times + 1), GFP_KERNEL);
	return times >= SCAN_TIMES;
}

static void scan_task(struct scan *scan)
{
	if (scan_has_seen(scan))
		return;
	scan->fd = 0;
	do {
		kvmmem_records_top_up();
		cond_resched();
	} while (scan_chunk(scan) && !fatal_signal_pending(current));
}

/*
 * The next processes after @task, with a reference each. Under RCU, @task alive. Not those
 * that have been made since we have @begun, which are the last ones: hooks hear of their VMs.
 * One that was inherited from a process that ended before its turn is met at its first event.
 */
static int scan_collect(struct task_struct *task, u64 begun, struct task_struct **tasks)
{
	int n = 0;

	while (n < SCAN_TASKS && (task = next_task(task)) != &init_task &&
	       task->start_time <= begun) {
		get_task_struct(task);
		tasks[n++] = task;
	}
	return n;
}

/*
 * Through all processes. The place to go on from is a process that is still
 * alive; if of those seen last none is, it is done once more from the beginning.
 */
static void scan_pass(const struct module *kvm, bool strangers)
{
	struct task_struct *tasks[SCAN_TASKS], *from = &init_task;
	struct scan scan = { .kvm = kvm, .strangers = strangers };
	u64 begun = ktime_get_ns();
	int i, n, restarts = 0;

	xa_init(&scan.large);
	get_task_struct(from);
	for (;;) {
		rcu_read_lock();
		if (from != &init_task && !pid_alive(from)) {
			put_task_struct(from);
			from = &init_task;
			get_task_struct(from);
			restarts++;
		}
		n = scan_collect(from, begun, tasks);
		rcu_read_unlock();
		put_task_struct(from);
		from = NULL;
		for (i = 0; i < n; i++) {
			scan.task = tasks[i];
			scan_task(&scan);
		}
		/* The last one that is alive is the place to go on from. */
		for (i = n - 1; i >= 0; i--) {
			if (!from && (pid_alive(tasks[i]) || !i))
				from = tasks[i];
			else
				put_task_struct(tasks[i]);
		}
		if (!from || n < SCAN_TASKS || restarts > SCAN_RESTARTS ||
		    fatal_signal_pending(current))
			break;
	}
	if (from)
		put_task_struct(from);
	xa_destroy(&scan.large);
}

/* Whoever was handed a VM's file is taken for its process only where that has none. */
static void scan_all(const struct module *kvm)
{
	scan_pass(kvm, false);
	scan_pass(kvm, true);
}

/**
 * kvmmem_scan - make records of the VMs that are there
 *
 * After the hooks have started. VMs created meanwhile are met twice, which is
 * harmless; one that was missed is met at its first event. Context: may sleep;
 * ends early when the caller is killed.
 */
void kvmmem_scan(void)
{
	kvmmem_hooks_with_kvm(scan_all);
}
