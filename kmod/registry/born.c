// SPDX-License-Identifier: GPL-2.0
/*
 * What a record knows of its VM from the beginning.
 */
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "compat/memory.h"
#include "registry/born.h"
#include "registry/users.h"

/**
 * kvmmem_vm_born - fill in a record
 * @vm: the record, zeroed, with its slot
 * @kvm: the VM, which cannot be destroyed during the call
 * @task: a thread of the process that has it
 *
 * Context: the registry's lock.
 */
void kvmmem_vm_born(struct kvmmem_vm *vm, struct kvm *kvm, struct task_struct *task)
{
	u64 older[KVMMEM_NR_OLDER];
	const char *fd;
	unsigned int i;

	vm->born = ktime_get_ns();
	vm->tgid = task_tgid_nr(task);
	vm->pid = get_pid(task_tgid(task));
	strscpy(vm->comm, task->group_leader->comm, sizeof(vm->comm));
	vm->requested.seen = kvmmem_kvm_requests(kvm);
	vm->remote.seen = kvmmem_remote_flushes(kvm);
	kvmmem_older_events(kvm, older);
	for (i = 0; i < KVMMEM_NR_OLDER; i++)
		vm->older[i].seen = older[i];
	for (i = 0; i < ARRAY_SIZE(vm->huge_seen); i++) {
		atomic64_set(&vm->huge_seen[i], kvmmem_ept_leaves(kvm, i + 1));
		vm->huge_base += atomic64_read(&vm->huge_seen[i]);
	}
	atomic64_set(&vm->nx_seen, kvmmem_nx_splits(kvm));
	vm->mm = kvm->mm;
	vm->no_share = kvmmem_task_has_no_share(task, kvm->mm);
	vm->newer_mmu = kvmmem_has_tdp_mmu(kvm);
	vm->is_tdx = kvmmem_kvm_is_tdx(kvm);
	vm->hides_mmio = vm->is_tdx;
	/* Before its first slot nothing is logged; of an older VM nobody knows yet. */
	vm->dirty.counted = !kvmmem_slots_generation(kvm);
	vm->dirty.generation = U64_MAX;
	vm->dirty.again = jiffies;
	INIT_LIST_HEAD(&vm->vcpus);
	mutex_init(&vm->outcome_lock);
	/* KVM could not make a directory (a duplicate name): a name of ours. */
	if (!kvmmem_kvm_debugfs_name(kvm, vm->id, sizeof(vm->id)))
		snprintf(vm->id, sizeof(vm->id), "%d-x%u", vm->tgid, vm->slot);
	fd = strchr(vm->id, '-');
	if (!fd || kstrtoint(fd + 1, 10, &vm->fd))
		vm->fd = -1;
	if (sscanf(vm->id, "%d-", &vm->id_pid) != 1)
		vm->id_pid = vm->tgid;
	vm->id_len = strlen(vm->id);
	memset(vm->padded_id, ' ', sizeof(vm->padded_id));
	memcpy(vm->padded_id, vm->id, vm->id_len);
}
