// SPDX-License-Identifier: GPL-2.0
/*
 * Sums over what the fault probe (probes.c) counts.
 */
#include <linux/rculist.h>

#include "attach/hooks.h"
#include "count/fault.h"
#include "count/mmio.h"

static struct kvmmem_hook fault_hook = {
	.id = KVMMEM_HOOK_PAGE_FAULT,
	.name = "kvm_page_fault",
	.module = "kvm",
	.purpose = "faults",
	.state = KVMMEM_HOOK_WAITING,
};

static struct kvmmem_hook inject_hook = {
	.id = KVMMEM_HOOK_NESTED_INJECT,
	.name = "kvm_nested_vmexit_inject",
	.module = "kvm",
	.purpose = "nested-faults",
	.state = KVMMEM_HOOK_WAITING,
};

/**
 * kvmmem_fault_init - add the fault hooks, after the registry's
 * @probes: what is called at a fault, see struct kvmmem_hook
 * @inject: what is called when a nested guest's hypervisor gets an exit
 *
 * Context: may sleep.
 */
void kvmmem_fault_init(const struct kvmmem_probe *probes, const struct kvmmem_probe *inject)
{
	fault_hook.probes = probes;
	inject_hook.probes = inject;
	kvmmem_hook_add(&fault_hook);
	kvmmem_hook_add(&inject_hook);
}

/**
 * kvmmem_fault_on - are faults being counted?
 *
 * Context: any.
 *
 * Return: true while the hook is attached.
 */
bool kvmmem_fault_on(void)
{
	return kvmmem_hook_attached(&fault_hook);
}

/**
 * kvmmem_fault_waits - is KVM not there?
 *
 * Context: any.
 *
 * Return: true while kvm.ko is not loaded.
 */
bool kvmmem_fault_waits(void)
{
	return READ_ONCE(fault_hook.state) == KVMMEM_HOOK_WAITING;
}

static void fault_mask(struct kvmmem_fault_sum *sum, struct kvmmem_vm *vm)
{
	/* All bits: every sum is unknown while nobody counts. */
	if (!kvmmem_fault_on())
		memset(sum, 0xff, sizeof(*sum));
	else
		kvmmem_fault_mask(sum, vm->mode, vm->is_tdx, kvmmem_mmio_known(vm));
}

/**
 * kvmmem_fault_of_vm - faults of all vCPUs of a VM
 * @vm: its record
 * @sum: where to
 *
 * Context: rcu_read_lock(), or a reference on the VM's record.
 */
void kvmmem_fault_of_vm(struct kvmmem_vm *vm, struct kvmmem_fault_sum *sum)
{
	struct kvmmem_vcpu *rec;

	memset(sum, 0, sizeof(*sum));
	kvmmem_vm_for_each_vcpu(rec, vm)
		kvmmem_fault_add(sum, rec->fault);
	fault_mask(sum, vm);
}

/**
 * kvmmem_fault_of_vcpu - faults of one vCPU
 * @rec: its record
 * @sum: where to
 *
 * Context: rcu_read_lock(), or a reference on the VM's record.
 */
void kvmmem_fault_of_vcpu(struct kvmmem_vcpu *rec, struct kvmmem_fault_sum *sum)
{
	memset(sum, 0, sizeof(*sum));
	kvmmem_fault_add(sum, rec->fault);
	fault_mask(sum, rec->vm);
}

/**
 * kvmmem_fault_nested - faults of a VM's nested guests
 * @vm: its record
 * @l2: all of them, of the VM's violations
 * @reflected: those that L1 was given; KVMMEM_UNKNOWN if nobody saw
 *
 * Context: rcu_read_lock(), or a reference on the VM's record.
 */
void kvmmem_fault_nested(struct kvmmem_vm *vm, u64 *l2, u64 *reflected)
{
	struct kvmmem_vcpu *rec;

	*l2 = kvmmem_fault_on() && vm->mode != KVMMEM_MODE_SHADOW ? 0 : KVMMEM_UNKNOWN;
	*reflected = *l2 || !kvmmem_hook_attached(&inject_hook) ? KVMMEM_UNKNOWN : 0;
	kvmmem_vm_for_each_vcpu(rec, vm) {
		if (*l2 != KVMMEM_UNKNOWN)
			*l2 += READ_ONCE(rec->l2);
		if (*reflected != KVMMEM_UNKNOWN)
			*reflected += READ_ONCE(rec->reflected);
	}
}

/* Those of our counts that KVM's pf_taken is to agree with. */
static u64 fault_witnessed(const struct kvmmem_vcpu *rec)
{
	struct kvmmem_fault_sum sum = {};

	kvmmem_fault_add(&sum, rec->fault);
	return sum.violations + sum.shadow + READ_ONCE(rec->fault[KVMMEM_FAULT_NO_SLOT]) +
	       READ_ONCE(rec->mmio_stale);
}

/**
 * kvmmem_fault_cleared - KVM's pf_taken was cleared: a new base
 * @rec: record of the vCPU
 * @taken: what it is now
 *
 * Context: the vCPU's thread between faults; or @rec->vm->lock, when the base may be
 * wrong by the faults that come meanwhile.
 */
noinline void kvmmem_fault_cleared(struct kvmmem_vcpu *rec, u64 taken)
{
	WRITE_ONCE(rec->pf_cleared, true);
	WRITE_ONCE(rec->pf_top, taken);
	WRITE_ONCE(rec->pf_base, taken - fault_witnessed(rec));
}

/**
 * kvmmem_fault_witness - our count of a vCPU's faults and KVM's own
 * @rec: its record
 * @counts: where to: violations, or #PFs under shadow paging, and what MMIO KVM takes
 *	for such; and KVM's pf_taken
 *
 * Context: @rec->vm->lock, the VM alive.
 *
 * Return: false before counting began.
 */
bool kvmmem_fault_witness(struct kvmmem_vcpu *rec, struct kvmmem_counts *counts)
{
	u64 taken, top;

	if (READ_ONCE(rec->special) & KVMMEM_VCPU_NO_BASE)
		return false;
	smp_rmb(); /* pairs with probes.c, fault_count_special() */
	top = READ_ONCE(rec->pf_top);
	smp_rmb(); /* what was seen, and then what is: it may have grown since */
	taken = kvmmem_vcpu_pf_taken(rec->vcpu);
	/* Of a vCPU that does not run, or whose entries no probe sees. */
	if (taken < top)
		kvmmem_fault_cleared(rec, taken);
	else
		WRITE_ONCE(rec->pf_top, taken);
	counts->ours = fault_witnessed(rec);
	counts->kvms = taken - READ_ONCE(rec->pf_base);
	counts->cleared = READ_ONCE(rec->pf_cleared);
	return true;
}
