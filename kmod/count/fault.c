// SPDX-License-Identifier: GPL-2.0
/*
 * The fault probe and the sums over what it counts.
 *
 * The probe runs in the thread of the vCPU that faulted, so the counters have
 * one writer and need no atomics. It takes the record from a hash by the vCPU's
 * address, turns the processor's word into a class and increments that class.
 */
#include <linux/rculist.h>

#include "attach/hooks.h"
#include "compat/probe.h"
#include "count/fault.h"
#include "count/latency.h"

static struct kvmmem_hook fault_hook;

/*
 * The rest of a fault's path: a vCPU met for the first time or not the first of
 * its hash chain, one whose starting point is not known, or shadow paging.
 */
static noinline void count_special(struct kvm_vcpu *vcpu, u64 code, unsigned int class)
{
	struct kvmmem_vcpu *rec = kvmmem_vcpu_find(vcpu);

	if (!rec)
		rec = kvmmem_vcpu_birth(vcpu, current);
	if (!rec) {
		kvmmem_lost();
		return;
	}
	/* KVM counts this fault after the tracepoint, so this is where we start. */
	if (rec->special & KVMMEM_VCPU_NO_BASE) {
		rec->pf_base = kvmmem_vcpu_pf_taken(vcpu);
		smp_wmb(); /* the base before the flag that says there is one */
		WRITE_ONCE(rec->special, rec->special & ~KVMMEM_VCPU_NO_BASE);
	}
	if (rec->special & KVMMEM_VCPU_SHADOW)
		class = kvmmem_decode_shadow(code);
	rec->fault[class]++;
	if (class != KVMMEM_FAULT_MMIO)
		kvmmem_latency_fault(rec);
}

static __always_inline void count(struct kvm_vcpu *vcpu, u64 code, unsigned int class)
{
	struct kvmmem_vcpu *rec = kvmmem_vcpu_first(vcpu);

	kvmmem_hook_seen(KVMMEM_HOOK_PAGE_FAULT);
	if (unlikely(!rec || rec->special)) {
		count_special(vcpu, code, class);
		return;
	}
	rec->fault[class]++;
	if (class != KVMMEM_FAULT_MMIO)
		kvmmem_latency_fault(rec);
}

static __always_inline void fault_vmx(struct kvm_vcpu *vcpu, u64 code)
{
	count(vcpu, code, kvmmem_decode_vmx(code));
}

KVMMEM_PAGE_FAULT_PROBES(fault_vmx, kvmmem_lost);

static __always_inline void fault_svm(struct kvm_vcpu *vcpu, u64 code)
{
	count(vcpu, code, kvmmem_decode_svm(code));
}

KVMMEM_PAGE_FAULT_PROBES(fault_svm, kvmmem_lost);

static struct kvmmem_hook fault_hook = {
	.id = KVMMEM_HOOK_PAGE_FAULT,
	.name = "kvm_page_fault",
	.module = "kvm",
	.purpose = "faults",
	.state = KVMMEM_HOOK_WAITING,
};

/**
 * kvmmem_fault_init - add the fault hook, after the registry's
 */
void kvmmem_fault_init(void)
{
	fault_hook.probes = kvmmem_cpu_is_svm() ? fault_svm_probes : fault_vmx_probes;
	kvmmem_hook_add(&fault_hook);
}

/**
 * kvmmem_fault_on - are faults being counted?
 */
bool kvmmem_fault_on(void)
{
	return kvmmem_hook_attached(&fault_hook);
}

static void mask(struct kvmmem_fault_sum *sum, enum kvmmem_mode mode)
{
	/* All bits: every sum is unknown while nobody counts. */
	if (!kvmmem_fault_on())
		memset(sum, 0xff, sizeof(*sum));
	else
		kvmmem_fault_mask(sum, mode, kvmmem_cpu_is_svm() ||
				  mode == KVMMEM_MODE_SHADOW);
}

/**
 * kvmmem_fault_of_vm - faults of all vCPUs of a VM
 * @vm: its record
 * @sum: where to
 *
 * Context: rcu_read_lock().
 */
void kvmmem_fault_of_vm(struct kvmmem_vm *vm, struct kvmmem_fault_sum *sum)
{
	struct kvmmem_vcpu *rec;

	memset(sum, 0, sizeof(*sum));
	kvmmem_vm_for_each_vcpu(rec, vm)
		kvmmem_fault_add(sum, rec->fault);
	mask(sum, vm->mode);
}

/**
 * kvmmem_fault_of_vcpu - faults of one vCPU
 * @rec: its record
 * @sum: where to
 *
 * Context: rcu_read_lock().
 */
void kvmmem_fault_of_vcpu(struct kvmmem_vcpu *rec, struct kvmmem_fault_sum *sum)
{
	memset(sum, 0, sizeof(*sum));
	kvmmem_fault_add(sum, rec->fault);
	mask(sum, rec->vm->mode);
}

/**
 * kvmmem_fault_witness - our count of a vCPU's faults and KVM's own
 * @rec: its record
 * @ours: violations, or #PFs under shadow paging
 * @kvms: what KVM's pf_taken grew by since counting began
 *
 * Context: @rec->vm->lock, the VM alive. Return: false before counting began.
 */
bool kvmmem_fault_witness(struct kvmmem_vcpu *rec, u64 *ours, u64 *kvms)
{
	struct kvmmem_fault_sum sum = {};

	if (READ_ONCE(rec->special) & KVMMEM_VCPU_NO_BASE)
		return false;
	smp_rmb(); /* pairs with count_special() */
	kvmmem_fault_add(&sum, rec->fault);
	*ours = sum.violations + sum.shadow;
	*kvms = kvmmem_vcpu_pf_taken(rec->vcpu) - rec->pf_base;
	return true;
}
