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

#include "compat/memory.h"
#include "compat/spte.h"

/* VMCS fields: SDM vol. 3D, appendix B. */
#define KVMMEM_VMCS_EPTP	0x201a
#define KVMMEM_VMCS_GPA		0x2400
#define KVMMEM_VMCS_CR3		0x6802
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
 * kvmmem_vcpu_fixed - faults of a vCPU that are done with
 * @vcpu: a vCPU that is alive
 *
 * Those that KVM has mended, and those that it has had its process serve as a device's.
 *
 * Return: how many, since it was made or its statistics were cleared.
 */
static inline u64 kvmmem_vcpu_fixed(const struct kvm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->stat.pf_fixed) + READ_ONCE(vcpu->stat.mmio_exits);
}

/**
 * kvmmem_vcpu_mapped_level - the level at which KVM's tables map an address
 * @vcpu: the vCPU, which the calling thread is about to enter
 * @gpa: the guest-physical address
 *
 * KVM walks its tables so, too: whoever takes a table away asks all vCPUs that may be
 * in the guest to flush, by an interrupt, and waits for it before the table is freed. Not
 * where Hyper-V flushes for it: the caller does not ask then (kvmmem_requests_reach_vcpus()).
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

/**
 * struct kvmmem_regs - the registers that say how a guest translates its addresses
 * @cr0: and the next three: the processor's names
 * @cr3:
 * @cr4:
 * @efer:
 */
struct kvmmem_regs {
	u64 cr0;
	u64 cr3;
	u64 cr4;
	u64 efer;
};

#ifndef KVMMEM_HAVE_REG_OF_CR
#define VCPU_REG_CR3	VCPU_EXREG_CR3
#endif

/* Of a VMCB's control area: APM vol. 2, table B-1, offset 090h; the field's name varies. */
#define KVMMEM_VMCB_NESTED	0x90
#define KVMMEM_VMCB_SEV		BIT_ULL(1)

/**
 * kvmmem_vcpu_is_encrypted - is a vCPU's guest hidden from its host?
 * @vcpu: a live vCPU
 *
 * Return: true under SEV and TDX.
 */
static inline bool kvmmem_vcpu_is_encrypted(const struct kvm_vcpu *vcpu)
{
	const struct vmcb *vmcb;

	if (!kvmmem_cpu_is_svm())
		return !kvmmem_vcpu_has_vmcs(vcpu);
	/* L2 has another one, which may be freed while it is read from another thread. */
	vmcb = kvmmem_svm_vmcb01(vcpu);
	return kvmmem_vmcb_is_good(vmcb) &&
	       (READ_ONCE(*(const u64 *)((const char *)vmcb + KVMMEM_VMCB_NESTED)) &
		KVMMEM_VMCB_SEV);
}

/**
 * kvmmem_vcpu_in_l2 - does a vCPU run a guest of its guest?
 * @vcpu: a live vCPU
 *
 * Return: true if it does, or did when it left the guest.
 */
static inline bool kvmmem_vcpu_in_l2(const struct kvm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->arch.hflags) & HF_GUEST_MASK;
}

/**
 * kvmmem_vcpu_in_smm - is a vCPU in system management mode?
 * @vcpu: a live vCPU
 *
 * It has other registers and another address space then.
 *
 * Return: true if it is, or was when it left the guest.
 */
static inline bool kvmmem_vcpu_in_smm(const struct kvm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->arch.hflags) & HF_SMM_MASK;
}

/**
 * kvmmem_vcpu_stands - is nobody in an ioctl of a vCPU, such as KVM_RUN?
 * @vcpu: a live vCPU
 *
 * Return: true if so; whoever reads more of it asks again afterwards.
 */
static inline bool kvmmem_vcpu_stands(struct kvm_vcpu *vcpu)
{
	return !mutex_is_locked(&vcpu->mutex);
}

/**
 * kvmmem_vcpu_is_out - is a vCPU neither in the guest nor on its way there or back?
 * @vcpu: a live vCPU
 *
 * Return: true if KVM or user space has it.
 */
static inline bool kvmmem_vcpu_is_out(const struct kvm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->mode) == OUTSIDE_GUEST_MODE;
}

/**
 * kvmmem_vcpu_waits_for_init - has a vCPU been reset, and waits to be started?
 * @vcpu: a live vCPU
 *
 * Return: true if so; whatever it was at before it need not come to an end.
 */
static inline bool kvmmem_vcpu_waits_for_init(const struct kvm_vcpu *vcpu)
{
	int state = READ_ONCE(vcpu->arch.mp_state);

	return state == KVM_MP_STATE_UNINITIALIZED || state == KVM_MP_STATE_INIT_RECEIVED;
}

/**
 * kvmmem_vcpu_is_fresh - has a vCPU not run yet?
 * @vcpu: a live vCPU
 *
 * Return: true until it first enters the guest; and again, until it does once more, when
 * its statistics were cleared.
 */
static inline bool kvmmem_vcpu_is_fresh(const struct kvm_vcpu *vcpu)
{
	return !READ_ONCE(vcpu->stat.exits) && kvmmem_vcpu_is_out(vcpu);
}

static inline void kvmmem_vcpu_kept_regs(const struct kvm_vcpu *vcpu, struct kvmmem_regs *regs)
{
	regs->cr0 = READ_ONCE(vcpu->arch.cr0);
	regs->cr3 = READ_ONCE(vcpu->arch.cr3);
	regs->cr4 = READ_ONCE(vcpu->arch.cr4);
	regs->efer = READ_ONCE(vcpu->arch.efer);
}

/**
 * kvmmem_vcpu_cr3 - CR3, where the processor has it
 * @vcpu: a vCPU on EPT or NPT, which the calling thread runs and has loaded
 *
 * Whatever else changes the paging mode makes the guest exit, so that KVM knows.
 *
 * Return: the register; U64_MAX where it cannot be read, as with Hyper-V's VMCS.
 */
static inline u64 kvmmem_vcpu_cr3(const struct kvm_vcpu *vcpu)
{
	const struct vmcb *vmcb;

	if (!kvmmem_cpu_is_svm())
		return kvmmem_vmread(KVMMEM_VMCS_CR3, U64_MAX);
	vmcb = kvmmem_svm_vmcb(vcpu);
	return kvmmem_vmcb_is_good(vmcb) ? vmcb->save.cr3 : U64_MAX;
}

/* The table that a vCPU runs on while it is not in L2; INVALID_PAGE if there is none. */
static inline hpa_t kvmmem_l1_root(const struct kvm_vcpu *vcpu)
{
#ifdef KVMMEM_HAVE_ROOT_ROLE
	int level;

	return kvmmem_tdp_root(vcpu, &level);
#elif defined(KVMMEM_HAVE_ROOT_INFO)
	return READ_ONCE(vcpu->arch.root_mmu.root.hpa);
#else
	return READ_ONCE(vcpu->arch.root_mmu.root_hpa);
#endif
}

/*
 * KVM takes L2's VMCS or VMCB before it says that the vCPU is in L2, and may sleep in
 * between. An L1 that gives its guests no EPT has one root for both: there we cannot tell.
 */
static inline bool kvmmem_vcpu_is_on_l1s(const struct kvm_vcpu *vcpu)
{
	if (kvmmem_cpu_is_svm())
		return kvmmem_svm_vmcb(vcpu) == kvmmem_svm_vmcb01(vcpu);
	return !(vcpu->arch.cr4 & X86_CR4_VMXE) ||
	       (kvmmem_vmread(KVMMEM_VMCS_EPTP, 0) & PAGE_MASK) == kvmmem_l1_root(vcpu);
}

/**
 * kvmmem_vcpu_out_cr3 - the guest's CR3, for later
 * @vcpu: a vCPU, which the calling thread runs and has loaded
 *
 * kvm-amd keeps a copy, but makes it only when it handles the exit, before which the
 * thread may lose its processor.
 *
 * Return: the register; U64_MAX where it cannot be read, or is that of L2 or of SMM.
 */
static inline u64 kvmmem_vcpu_out_cr3(const struct kvm_vcpu *vcpu)
{
	if (kvmmem_vcpu_in_l2(vcpu) || kvmmem_vcpu_in_smm(vcpu) ||
	    (!kvmmem_cpu_is_svm() && !kvmmem_vcpu_has_vmcs(vcpu)) ||
	    !kvmmem_vcpu_is_on_l1s(vcpu))
		return U64_MAX;
	return kvmmem_vcpu_cr3(vcpu);
}

/**
 * kvmmem_vcpu_regs - a vCPU's registers
 * @vcpu: a vCPU, which the calling thread runs and has loaded; not encrypted
 * @tdp: it is on EPT or NPT
 * @regs: where to
 *
 * Return: false when they cannot be read.
 */
static inline bool kvmmem_vcpu_regs(const struct kvm_vcpu *vcpu, bool tdp,
				    struct kvmmem_regs *regs)
{
	kvmmem_vcpu_kept_regs(vcpu, regs);
	/* Without paging the processor may have another there, of KVM's. */
	if (tdp && (regs->cr0 & X86_CR0_PG))
		regs->cr3 = kvmmem_vcpu_cr3(vcpu);
	return regs->cr3 != U64_MAX;
}

/**
 * kvmmem_vcpu_has_cr3 - is what KVM keeps as CR3 that of the last exit?
 * @vcpu: a live vCPU on EPT or NPT that stands
 *
 * kvm-amd copies CR3 when it handles an exit (svm_handle_exit()), kvm-intel when it is
 * asked for, and says that it has done so before it does.
 *
 * Return: true if so.
 */
static inline bool kvmmem_vcpu_has_cr3(const struct kvm_vcpu *vcpu)
{
	/* A word, or a bitmap of longs, of which this is the same on x86. */
	const u32 *avail = (const u32 *)&vcpu->arch.regs_avail;

	return kvmmem_cpu_is_svm() ||
	       (READ_ONCE(avail[VCPU_REG_CR3 / 32]) & BIT(VCPU_REG_CR3 % 32));
}

#endif /* _KVMMEM_COMPAT_GUEST_H */
