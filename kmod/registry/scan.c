// SPDX-License-Identifier: GPL-2.0
/*
 * VMs that are older than kvmmem.
 *
 * KVM's list of VMs is exported nowhere, but a VM that can run has an open
 * file: its own, or one of its vCPUs'. The open files of all processes are
 * looked through once at load. An open file holds its VM, and the locks held
 * while looking hold the file, so a VM found this way is alive when its record
 * is made, and its death is heard afterwards.
 */
#include <linux/dcache.h>
#include <linux/fdtable.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/string.h>

#include "attach/hooks.h"
#include "registry/life.h"
#include "registry/records.h"
#include "registry/scan.h"
#include "registry/vm.h"

struct scan {
	const struct module *kvm;
	struct task_struct *task;
};

/* KVM's anonymous files have these names (virt/kvm/kvm_main.c). */
static struct kvm *scan_kvm_of_file(const struct file *file, const struct module *kvm)
{
	unsigned long ioctl = (unsigned long)file->f_op->unlocked_ioctl;
	const char *name;

	if (!ioctl || (kvm && !within_module(ioctl, kvm)))
		return NULL;
	name = file->f_path.dentry->d_name.name;
	if (!strcmp(name, "kvm-vm"))
		return file->private_data;
	if (strstarts(name, "kvm-vcpu:"))
		return ((struct kvm_vcpu *)file->private_data)->kvm;
	return NULL;
}

/* Under task_lock and the files' file_lock. */
static int scan_file(const void *data, struct file *file, unsigned int fd)
{
	const struct scan *scan = data;
	struct kvm *kvm = scan_kvm_of_file(file, scan->kvm);
	int i;

	if (!kvm)
		return 0;
	kvmmem_records_top_up(GFP_ATOMIC);
	if (!kvmmem_vm_birth(kvm, scan->task))
		return 0;
	for (i = 0; i < atomic_read(&kvm->online_vcpus); i++) {
		kvmmem_records_top_up(GFP_ATOMIC);
		kvmmem_vcpu_birth(kvm_get_vcpu(kvm, i), scan->task);
	}
	return 0;
}

static void scan_all(const struct module *kvm)
{
	struct scan scan = { .kvm = kvm };

	rcu_read_lock();
	for_each_process(scan.task) {
		task_lock(scan.task);
		if (scan.task->files)
			iterate_fd(scan.task->files, 0, scan_file, &scan);
		task_unlock(scan.task);
	}
	rcu_read_unlock();
}

/**
 * kvmmem_scan - make records of the VMs that are there
 *
 * After the hooks have started. VMs created meanwhile are met twice, which is
 * harmless. Context: may sleep; holds RCU for one pass over all open files.
 */
void kvmmem_scan(void)
{
	kvmmem_hooks_with_kvm(scan_all);
}
