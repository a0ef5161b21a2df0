// SPDX-License-Identifier: GPL-2.0
/*
 * Remote flush requests, which KVM counts on most kernels and a hook of ours on
 * the others, and a VM's flushes as KVM counts them.
 */
#include <linux/rculist.h>
#include <linux/rcupdate.h>

#include "attach/hooks.h"
#include "count/requests.h"
#include "decode/value.h"
#include "registry/records.h"
#include "registry/vm.h"

static struct kvmmem_hook_group remote_group;

static struct kvmmem_hook remote_hook = {
	.id = KVMMEM_HOOK_REMOTE,
	.name = "kvm_flush_remote_tlbs",
	.module = "kvm",
	.purpose = "remote-flushes",
	.group = &remote_group,
};

static bool by_hyperv;

/**
 * kvmmem_requests_init - add the hook where it is needed
 * @func: what is called there
 * @on: is it wanted?
 *
 * Context: may sleep.
 */
void kvmmem_requests_init(ftrace_func_t func, bool on)
{
	by_hyperv = kvmmem_flushed_by_hyperv();
	if (KVMMEM_KVM_COUNTS_REQUESTS)
		return;
	remote_hook.func = func;
	remote_hook.state = on ? KVMMEM_HOOK_WAITING : KVMMEM_HOOK_OFF;
	kvmmem_hook_add(&remote_hook);
}

/**
 * kvmmem_requests_switch - switch the hook on or off, where there is one
 * @on: which
 *
 * Context: may sleep.
 */
void kvmmem_requests_switch(bool on)
{
	if (!KVMMEM_KVM_COUNTS_REQUESTS)
		kvmmem_hook_group_switch(&remote_group, on);
}

/**
 * kvmmem_vm_requested - count a request for a remote flush
 * @kvm: in which VM
 *
 * Context: a hook; any thread, several at once.
 */
void kvmmem_vm_requested(const struct kvm *kvm)
{
	struct kvmmem_vm *vm;

	rcu_read_lock();
	vm = kvmmem_record_find(kvm);
	if (vm)
		atomic64_inc(&vm->requests);
	rcu_read_unlock();
}

/**
 * kvmmem_requests_known - does somebody count the requests?
 *
 * Context: any.
 *
 * Return: true if KVM does or the hook is attached.
 */
bool kvmmem_requests_known(void)
{
	return KVMMEM_KVM_COUNTS_REQUESTS || kvmmem_hook_attached(&remote_hook);
}

/**
 * kvmmem_requests_reach_vcpus - do the vCPUs serve them?
 *
 * Context: any, after kvmmem_requests_init().
 *
 * Return: false where the hypervisor below us does, so that a vCPU that finds their
 * count grown was not asked for anything.
 */
bool kvmmem_requests_reach_vcpus(void)
{
	return !by_hyperv;
}

/* vCPUs that are looked at in one go. */
#define BATCH	128

/* The flushes of some vCPUs from @rec on; the first one that is left, or NULL. */
static struct kvmmem_vcpu *requests_add_vcpus(struct kvmmem_vm *vm, struct kvmmem_vcpu *rec,
					      u64 *sum)
{
	unsigned int n = 0;

	raw_spin_lock(&vm->lock);
	if (!vm->kvm)
		rec = NULL;
	for (; rec && n < BATCH; n++, rec = kvmmem_vm_next_vcpu(vm, rec))
		*sum += kvmmem_grown_by(&rec->flushed, kvmmem_vcpu_tlb_flush(rec->vcpu));
	raw_spin_unlock(&vm->lock);
	return rec;
}

/**
 * kvmmem_flush_totals - a VM's flushes as KVM counts them
 * @vm: its record
 * @totals: where to
 *
 * Context: a reference on the record.
 *
 * Return: false when the VM is gone.
 */
bool kvmmem_flush_totals(struct kvmmem_vm *vm, struct kvmmem_flush_totals *totals)
{
	struct kvmmem_vcpu *rec = kvmmem_vm_next_vcpu(vm, NULL);
	bool alive;

	totals->vcpu = 0;
	while (rec)
		rec = requests_add_vcpus(vm, rec, &totals->vcpu);

	raw_spin_lock(&vm->lock);
	alive = vm->kvm;
	if (alive) {
		totals->requests = KVMMEM_UNKNOWN;
		if (kvmmem_requests_known())
			totals->requests = kvmmem_grown_by(&vm->requested,
							   kvmmem_vm_requests(vm, vm->kvm));
		totals->remote = kvmmem_grown_by(&vm->remote, kvmmem_remote_flushes(vm->kvm));
	}
	raw_spin_unlock(&vm->lock);
	return alive;
}
