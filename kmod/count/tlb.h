/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counting TLB flushes by hardware tag and cause.
 */
#ifndef _KVMMEM_TLB_H
#define _KVMMEM_TLB_H

#include <linux/jump_label.h>

#include "registry/vm.h"

DECLARE_STATIC_KEY_FALSE(kvmmem_tlb_key);
extern bool kvmmem_tlb_heard;

void kvmmem_tlb_ask(bool (*causes_known)(void), bool (*ranges_known)(void));
void kvmmem_tlb_resync(struct kvmmem_vcpu *rec, struct kvm_vcpu *vcpu,
		       const struct vmcb *vmcb);
void kvmmem_tlb_pv_asked(struct kvm_vcpu *vcpu);
void kvmmem_tlb_flushed(struct kvm_vcpu *vcpu, enum kvmmem_flush_kind kind);
void kvmmem_tlb_untrack(struct kvmmem_vm *vm);
unsigned int kvmmem_tlb_tags(struct kvmmem_vcpu *rec, struct kvmmem_tag *tags,
			     u64 *range);
u64 kvmmem_tag_flushes(const struct kvmmem_tag *tag);
bool kvmmem_tlb_witness(struct kvmmem_vcpu *rec, struct kvmmem_counts *counts);

static __always_inline bool kvmmem_tlb_in_step(const struct kvmmem_vcpu *rec,
					       const struct kvm_vcpu *vcpu)
{
	return kvmmem_vcpu_tlb_flush(vcpu) + kvmmem_vcpu_single_flush(vcpu) == rec->seen;
}

/**
 * kvmmem_tlb_same_vpid - Intel: must the VPID be what it was at the last entry?
 * @rec: record of the vCPU
 * @vcpu: the vCPU
 *
 * It is fixed but for a nested guest's. To read it from the VMCS is dear where
 * another hypervisor is below, so that is done for a new vCPU, for a change between
 * L1 and L2, and after a move to another processor.
 *
 * Return: false when it has to be read.
 */
static __always_inline bool kvmmem_tlb_same_vpid(const struct kvmmem_vcpu *rec,
						 const struct kvm_vcpu *vcpu)
{
	return vcpu->arch.hflags == rec->hflags && vcpu->cpu == rec->flush_cpu;
}

/**
 * kvmmem_tlb_entry_vmx - count an entry under its tag, for the probe on kvm_entry
 * @rec: record of the vCPU
 * @vcpu: the vCPU
 */
static __always_inline void kvmmem_tlb_entry_vmx(struct kvmmem_vcpu *rec,
						 struct kvm_vcpu *vcpu)
{
	if (!static_branch_likely(&kvmmem_tlb_key))
		return;
	if (unlikely(!kvmmem_tlb_same_vpid(rec, vcpu) || !kvmmem_tlb_in_step(rec, vcpu))) {
		kvmmem_tlb_resync(rec, vcpu, NULL);
		return;
	}
	rec->now->entries++;
}

/**
 * kvmmem_tlb_exit_svm - the same on AMD, for the probe on kvm_exit
 * @rec: record of the vCPU
 * @vcpu: the vCPU
 */
static __always_inline void kvmmem_tlb_exit_svm(struct kvmmem_vcpu *rec,
						struct kvm_vcpu *vcpu)
{
	const struct vmcb *vmcb = kvmmem_svm_vmcb(vcpu);

	if (!static_branch_likely(&kvmmem_tlb_key))
		return;
	if (unlikely(vmcb != rec->context || vmcb->control.asid != rec->now->tag ||
		     !kvmmem_tlb_in_step(rec, vcpu))) {
		kvmmem_tlb_resync(rec, vcpu, vmcb);
		return;
	}
	rec->hflags = vcpu->arch.hflags;
	rec->now->entries++;
}

#endif /* _KVMMEM_TLB_H */
