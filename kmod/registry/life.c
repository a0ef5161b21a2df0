// SPDX-License-Identifier: GPL-2.0
/*
 * Births and deaths of VMs and vCPUs.
 *
 * They come from hooks, in the context of whoever creates or destroys a VM, and
 * from the first event of a VM that is older than kvmmem. A VM whose death
 * could not be heard gets no record.
 */
#include <linux/jiffies.h>
#include <linux/percpu.h>

#include "attach/hooks.h"
#include "registry/detour.h"
#include "registry/life.h"
#include "registry/reaper.h"
#include "registry/records.h"
#include "registry/watch.h"

static struct kvmmem_hook destroy_hook, vcpu_destroy_hook;

/**
 * kvmmem_vm_birth - the record of a VM, made if there is none
 * @kvm: a VM that cannot be destroyed during the call
 * @task: a thread of the process that has it
 *
 * Context: a hook, or RCU; does not sleep.
 *
 * Return: the record, or NULL when the table or the reserve has no room or no
 * death could be heard.
 */
struct kvmmem_vm *kvmmem_vm_birth(struct kvm *kvm, struct task_struct *task)
{
	struct kvmmem_vm *vm;

	if (!kvmmem_hook_attached(&destroy_hook))
		return NULL;
	vm = kvmmem_record_vm(kvm, task);
	/* Some kernels' hook is called for each change of slots. */
	if (vm && READ_ONCE(vm->told))
		kvmmem_watch_kick_slots();
	else if (vm)
		kvmmem_watch_kick();
	return vm;
}

/**
 * kvmmem_vcpu_birth - the record of a vCPU, made if there is none
 * @vcpu: a vCPU that is online, of a VM that cannot be destroyed during the call
 * @task: a thread of the process that has it
 *
 * Context: as kvmmem_vm_birth().
 *
 * Return: the record or NULL.
 */
struct kvmmem_vcpu *kvmmem_vcpu_birth(struct kvm_vcpu *vcpu, struct task_struct *task)
{
	struct kvmmem_vcpu *rec;
	struct kvmmem_vm *vm;

	if (!kvmmem_hook_attached(&destroy_hook))
		return NULL;
	rec = kvmmem_record_vcpu(vcpu, task);
	/* The VM's record may have been made for it, also if it has none itself. */
	rcu_read_lock();
	vm = kvmmem_record_find(vcpu->kvm);
	if (vm && !READ_ONCE(vm->told))
		kvmmem_watch_kick();
	rcu_read_unlock();
	return rec;
}

/* When births by events last failed on this processor. */
static DEFINE_PER_CPU(unsigned long, life_failed);

/**
 * kvmmem_vcpu_meet - the record of a vCPU that an event shows to be there
 * @vcpu: the vCPU, which the calling thread runs
 *
 * While there is no room every event comes here, so it takes no lock and wakes
 * nobody but at the first one of a tick. Context: a hook; does not sleep.
 *
 * Return: the record or NULL.
 */
struct kvmmem_vcpu *kvmmem_vcpu_meet(struct kvm_vcpu *vcpu)
{
	struct kvmmem_vcpu *rec = kvmmem_vcpu_find(vcpu);
	unsigned long tick = jiffies;

	if (rec || this_cpu_read(life_failed) == tick)
		return rec;
	rec = kvmmem_vcpu_birth(vcpu, current);
	if (!rec)
		this_cpu_write(life_failed, tick);
	return rec;
}

static void life_bury(struct kvmmem_vm *vm)
{
	kvmmem_reaper_bury(vm);
	kvmmem_watch_kick();
}

/**
 * kvmmem_vm_death - KVM destroys a VM
 * @kvm: the VM, still whole
 *
 * When this returns nothing of kvmmem follows a pointer into it any more. Its vCPUs may
 * be thousands, and a hook has preemption off, so each leaves the hash when KVM comes to
 * it, before its memory is another's. Context: a hook; does not sleep.
 */
void kvmmem_vm_death(const struct kvm *kvm)
{
	struct kvmmem_vm *vm = kvmmem_record_unlink(kvm);

	if (!vm)
		return;
	if (!kvmmem_hook_attached(&vcpu_destroy_hook))
		kvmmem_reaper_unhash(vm);
	life_bury(vm);
}

/* The registry is locked. */
static void life_unhash(void *data)
{
	struct kvmmem_vcpu *rec = kvmmem_vcpu_find(data);

	if (rec)
		hlist_del_init_rcu(&rec->node);
}

/**
 * kvmmem_vcpu_death - KVM destroys a vCPU
 * @vcpu: the vCPU, whose VM's death was heard before if it has a record
 *
 * Context: a hook; does not sleep.
 */
void kvmmem_vcpu_death(struct kvm_vcpu *vcpu)
{
	kvmmem_records_locked(life_unhash, vcpu);
}

/**
 * kvmmem_vm_death_all - forget every VM
 *
 * For when KVM or kvmmem leaves. Context: may sleep.
 */
void kvmmem_vm_death_all(void)
{
	struct kvmmem_vm *vm;
	unsigned int slot;

	for (slot = 0; slot < kvmmem_vm_slots(); slot++) {
		vm = kvmmem_record_unlink_at(slot);
		if (vm)
			life_bury(vm);
	}
}

static KVMMEM_FTRACE_FUNC(life_on_vm_destroy)
{
	kvmmem_hook_seen(KVMMEM_HOOK_VM_DESTROY);
	kvmmem_vm_death((struct kvm *)kvmmem_ftrace_arg(0));
}

static KVMMEM_FTRACE_FUNC(life_on_vm_create)
{
	struct kvm *kvm = (struct kvm *)kvmmem_ftrace_arg(0);

	kvmmem_hook_seen(KVMMEM_HOOK_VM_CREATE);
	if (kvmmem_vm_is_born(kvm))
		kvmmem_vm_birth(kvm, current);
}

static KVMMEM_FTRACE_FUNC(life_on_vcpu_create)
{
	kvmmem_hook_seen(KVMMEM_HOOK_VCPU_CREATE);
	kvmmem_vcpu_birth((struct kvm_vcpu *)kvmmem_ftrace_arg(0), current);
}

static KVMMEM_FTRACE_FUNC(life_on_vcpu_destroy)
{
	kvmmem_hook_seen(KVMMEM_HOOK_VCPU_DESTROY);
	kvmmem_vcpu_death((struct kvm_vcpu *)kvmmem_ftrace_arg(0));
}

static KVMMEM_FTRACE_FUNC(life_on_slots)
{
	struct kvmmem_vm *vm;

	kvmmem_hook_seen(KVMMEM_HOOK_SLOTS);
	rcu_read_lock();
	vm = kvmmem_record_find((struct kvm *)kvmmem_ftrace_arg(0));
	if (vm) {
		WRITE_ONCE(vm->slots_changed, true);
		kvmmem_watch_kick_slots();
	}
	rcu_read_unlock();
}

static struct kvmmem_hook_group life_group;

#define LIFE_HOOK(_id, _name, _purpose, _func)					\
	{ .id = _id, .name = _name, .module = "kvm", .purpose = _purpose,	\
	  .func = _func, .group = &life_group, .state = KVMMEM_HOOK_WAITING }

static struct kvmmem_hook destroy_hook =
	LIFE_HOOK(KVMMEM_HOOK_VM_DESTROY, "kvm_arch_destroy_vm", "vm-death", life_on_vm_destroy);

/* The last step of creating a VM, or one of its first after that. */
static struct kvmmem_hook create_hook =
	LIFE_HOOK(KVMMEM_HOOK_VM_CREATE, KVMMEM_VM_CREATE_FUNC, "vm-birth", life_on_vm_create);

/* Called for a vCPU that is online; nothing can fail after it. */
static struct kvmmem_hook vcpu_hook =
	LIFE_HOOK(KVMMEM_HOOK_VCPU_CREATE, "kvm_arch_vcpu_postcreate", "vcpu-birth",
		  life_on_vcpu_create);

/* Called at the end of a VM, for each of its vCPUs, and for one that could not be made. */
static struct kvmmem_hook vcpu_destroy_hook =
	LIFE_HOOK(KVMMEM_HOOK_VCPU_DESTROY, "kvm_arch_vcpu_destroy", "vcpu-death",
		  life_on_vcpu_destroy);

/* KVM has taken new slots into use, or another kind of them. */
static struct kvmmem_hook slots_hook =
	LIFE_HOOK(KVMMEM_HOOK_SLOTS, "kvm_arch_commit_memory_region", "slots", life_on_slots);

/**
 * kvmmem_slots_heard - are changes of memory slots heard of?
 *
 * Context: any.
 *
 * Return: true if so.
 */
bool kvmmem_slots_heard(void)
{
	return kvmmem_hook_attached(&slots_hook);
}

/**
 * kvmmem_registry_init - make the empty registry and add its hooks
 *
 * Context: may sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int kvmmem_registry_init(void)
{
	int err = kvmmem_records_init();

	if (err)
		return err;
	/* Before any others: functions are hooked, and hooks let go, beginning with the last. */
	kvmmem_hook_add(&destroy_hook);
	kvmmem_hook_add(&create_hook);
	kvmmem_hook_add(&vcpu_hook);
	kvmmem_hook_add(&vcpu_destroy_hook);
	kvmmem_hook_add(&slots_hook);
	return 0;
}

/**
 * kvmmem_registry_exit - free everything
 *
 * After the hooks have stopped and the readers are gone. Context: may sleep.
 */
void kvmmem_registry_exit(void)
{
	kvmmem_vm_death_all();
	kvmmem_watch_stop();
	kvmmem_reaper_stop();
	kvmmem_detour_exit();
	kvmmem_records_exit();
}
