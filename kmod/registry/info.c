// SPDX-License-Identifier: GPL-2.0
/*
 * What readers ask of a record.
 */
#include <linux/pid.h>
#include <linux/rculist.h>
#include <linux/string.h>

#include "registry/info.h"
#include "registry/records.h"

/**
 * kvmmem_vm_alive - has KVM not destroyed this VM yet?
 * @vm: its record
 *
 * Only a hint without @vm->lock. Context: any.
 *
 * Return: true if so.
 */
bool kvmmem_vm_alive(const struct kvmmem_vm *vm)
{
	return READ_ONCE(vm->kvm);
}

/**
 * kvmmem_vm_info - collect the facts of a VM
 * @vm: its record
 * @info: where to
 *
 * Context: rcu_read_lock().
 *
 * Return: false when the VM is gone.
 */
bool kvmmem_vm_info(struct kvmmem_vm *vm, struct kvmmem_vm_info *info)
{
	struct task_struct *task;
	bool alive;

	raw_spin_lock(&vm->lock);
	alive = vm->kvm;
	if (alive) {
		info->vcpus = atomic_read(&vm->kvm->online_vcpus);
		info->mem_kb = kvmmem_memslot_pages(vm->kvm) << (PAGE_SHIFT - 10);
	}
	raw_spin_unlock(&vm->lock);

	task = pid_task(vm->pid, PIDTYPE_TGID);
	strscpy(info->comm, task ? task->comm : vm->comm, sizeof(info->comm));
	return alive;
}

/**
 * kvmmem_vcpu_for_all - call a function for the record of each vCPU
 * @fn: called under RCU
 */
void kvmmem_vcpu_for_all(void (*fn)(struct kvmmem_vcpu *rec))
{
	struct kvmmem_vcpu *rec;
	struct kvmmem_vm *vm;
	unsigned int slot;

	rcu_read_lock();
	for (slot = kvmmem_vm_next(0); slot < kvmmem_vm_slots(); slot = kvmmem_vm_next(slot + 1)) {
		vm = kvmmem_vm_at(slot);
		if (!vm)
			continue;
		kvmmem_vm_for_each_vcpu(rec, vm)
			fn(rec);
	}
	rcu_read_unlock();
}
