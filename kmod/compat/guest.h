/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the guest was doing, from where the processor or KVM keeps it.
 */
#ifndef _KVMMEM_COMPAT_GUEST_H
#define _KVMMEM_COMPAT_GUEST_H

#include <linux/bitops.h>
#include <linux/irqflags.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>

#include "compat/spte.h"

/* VMCS fields: SDM vol. 3D, appendix B. */
#define KVMMEM_VMCS_GPA		0x2400
#define KVMMEM_VMCS_RIP		0x681e

/* In the order in which instructions number them, the same on all kernels. */
#define KVMMEM_GENERAL_REGS	16

/**
 * kvmmem_vcpu_fault_gpa - the guest-physical address of the last EPT violation
 * @vcpu: the vCPU, which the calling thread runs and has loaded
 * @otherwise: the result if it cannot be read
 *
 * Return: the address, or @otherwise.
 */
static inline u64 kvmmem_vcpu_fault_gpa(const struct kvm_vcpu *vcpu, u64 otherwise)
{
	const struct vmcb *vmcb;

	if (!kvmmem_cpu_is_svm())
		return kvmmem_vcpu_has_vmcs(vcpu) ?
		       kvmmem_vmread(KVMMEM_VMCS_GPA, otherwise) : otherwise;
	vmcb = kvmmem_svm_vmcb(vcpu);
	return kvmmem_vmcb_is_good(vmcb) ? vmcb->control.exit_info_2 : otherwise;
}

static inline u64 kvmmem_vcpu_rip(const struct kvm_vcpu *vcpu)
{
	const struct vmcb *vmcb;

	if (!kvmmem_cpu_is_svm())
		return kvmmem_vcpu_has_vmcs(vcpu) ? kvmmem_vmread(KVMMEM_VMCS_RIP, 0) : 0;
	vmcb = kvmmem_svm_vmcb(vcpu);
	return kvmmem_vmcb_is_good(vmcb) ? vmcb->save.rip : 0;
}

/**
 * kvmmem_vcpu_state - a hash of the guest's registers, to see that it gets on
 * @vcpu: the vCPU, which the calling thread runs and has loaded
 *
 * The instruction pointer and the general registers that KVM saves at each exit. Those
 * of a confidential guest are not to be seen: its hash stays the same.
 *
 * Return: the hash.
 */
static inline u64 kvmmem_vcpu_state(const struct kvm_vcpu *vcpu)
{
	u64 hash = kvmmem_vcpu_rip(vcpu);
	int i;

	for (i = 0; i < KVMMEM_GENERAL_REGS; i++)
		if (i != VCPU_REGS_RSP)
			hash = rol64(hash, 7) ^ vcpu->arch.regs[i];
	return hash;
}

/**
 * kvmmem_vcpu_fixed - faults that KVM has mended for a vCPU
 * @vcpu: a vCPU that is alive
 *
 * Return: how many, since it was made or its statistics were cleared.
 */
static inline u64 kvmmem_vcpu_fixed(const struct kvm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->stat.pf_fixed);
}

/**
 * kvmmem_vcpu_mapped_level - the level at which KVM's tables map an address
 * @vcpu: the vCPU, which the calling thread is about to enter
 * @gpa: the guest-physical address
 *
 * KVM walks its tables so, too: whoever takes a table away asks all vCPUs that may be
 * in the guest to flush, by an interrupt, and waits for it before the table is freed.
 *
 * Return: 1: 4K, 2: 2M, 3: 1G; 0 if that cannot be told here, or there is no mapping.
 */
static inline unsigned int kvmmem_vcpu_mapped_level(const struct kvm_vcpu *vcpu, u64 gpa)
{
#ifdef KVMMEM_HAVE_ROOT_ROLE
	const struct kvm_mmu *mmu = vcpu->arch.mmu;
	int level = mmu->root_role.level;
	u64 at = mmu->root.hpa;

	if (!irqs_disabled() || READ_ONCE(vcpu->mode) != IN_GUEST_MODE ||
	    level < PT64_ROOT_4LEVEL || kvmmem_kvm_is_tdx(vcpu->kvm))
		return 0;
	for (; level; level--) {
		const u64 *table = __va(at & __PHYSICAL_MASK & PAGE_MASK);

		if (!pfn_valid((at & __PHYSICAL_MASK) >> PAGE_SHIFT))
			return 0;
		at = READ_ONCE(table[(gpa >> (PAGE_SHIFT + 9 * (level - 1))) & 511]);
		if (!(at & KVMMEM_SPTE_PRESENT))
			return 0;
		if (level == 1 || (at & KVMMEM_SPTE_HUGE))
			return level;
	}
#endif
	return 0;
}

#endif /* _KVMMEM_COMPAT_GUEST_H */
