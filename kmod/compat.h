/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Everything that depends on a kernel version or on KVM's private layout.
 * Force-included (Kbuild), so that the rest reads as for the newest kernel.
 */
#ifndef _KVMMEM_COMPAT_H
#define _KVMMEM_COMPAT_H

#ifdef pr_fmt
#undef pr_fmt
#endif
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ftrace.h>
#include <linux/kvm_host.h>
#include <linux/version.h>
#include <asm/asm.h>
#include <asm/cpufeature.h>
#include <asm/svm.h>

/*
 * ftrace callbacks. Since 6.13 struct ftrace_regs is opaque and has accessors
 * for arguments; before, its pt_regs hold the argument registers whenever the
 * architecture has DYNAMIC_FTRACE_WITH_ARGS.
 */
#define KVMMEM_FTRACE_FUNC(name)						\
	void name(unsigned long ip, unsigned long parent_ip,			\
		  struct ftrace_ops *ops, struct ftrace_regs *fregs)
#define KVMMEM_FTRACE_FLAGS	0
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define kvmmem_ftrace_arg(n)	ftrace_regs_get_argument(fregs, n)
#else
#define kvmmem_ftrace_arg(n)	regs_get_kernel_argument(&fregs->regs, n)
#endif

/* Of KVM's private mmu.h. */
#ifndef PT64_ROOT_4LEVEL
#define PT64_ROOT_4LEVEL 4
#endif

/**
 * kvmmem_cpu_is_svm - is KVM's vendor module on this machine kvm-amd?
 */
static inline bool kvmmem_cpu_is_svm(void)
{
	return boot_cpu_has(X86_FEATURE_SVM);
}

/**
 * kvmmem_cpu_is_vmx - is KVM's vendor module on this machine kvm-intel?
 */
static inline bool kvmmem_cpu_is_vmx(void)
{
	return boot_cpu_has(X86_FEATURE_VMX);
}

/**
 * kvmmem_kvm_debugfs_name - the "<pid>-<fd>" that KVM gives a VM
 * @kvm: a live VM
 * @buf: where to
 * @size: of @buf
 *
 * Return: false when KVM has no debugfs directory for it.
 */
static inline bool kvmmem_kvm_debugfs_name(const struct kvm *kvm, char *buf, size_t size)
{
	struct dentry *dir = kvm->debugfs_dentry;

	if (IS_ERR_OR_NULL(dir))
		return false;
	strscpy(buf, dir->d_name.name, size);
	return true;
}

/**
 * kvmmem_vcpu_is_tdp - does this vCPU run on EPT or NPT?
 * @vcpu: a live vCPU whose MMU is set up
 *
 * KVM's tdp_enabled is not exported. A direct root is TDP, or a shadow root
 * for a guest without paging; the latter has three levels on a 64-bit host
 * (arch/x86/kvm/mmu/mmu.c, kvm_calc_shadow_mmu_root_page_role), TDP four or
 * five.
 */
static inline bool kvmmem_vcpu_is_tdp(const struct kvm_vcpu *vcpu)
{
	union kvm_mmu_page_role role = vcpu->arch.root_mmu.root_role;

	return role.direct && role.level >= PT64_ROOT_4LEVEL;
}

/**
 * kvmmem_vcpu_pf_taken - page faults that KVM's MMU has handled for this vCPU
 * @vcpu: a live vCPU
 */
static inline u64 kvmmem_vcpu_pf_taken(const struct kvm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->stat.pf_taken);
}

/**
 * kvmmem_memslot_pages - pages of all memory slots of a VM
 * @kvm: a live VM
 *
 * Address space 0 only: 1 is SMM's view of the same memory. Does not sleep;
 * takes kvm->srcu for reading.
 */
static inline u64 kvmmem_memslot_pages(struct kvm *kvm)
{
	struct kvm_memslots *slots;
	struct rb_node *node;
	u64 pages = 0;
	int idx;

	idx = srcu_read_lock(&kvm->srcu);
	slots = __kvm_memslots(kvm, 0);
	/* kvm_for_each_memslot() goes through 128 hash chains for a few slots. */
	for (node = rb_first(&slots->gfn_tree); node; node = rb_next(node))
		pages += container_of(node, struct kvm_memory_slot,
				      gfn_node[slots->node_idx])->npages;
	srcu_read_unlock(&kvm->srcu, idx);
	return pages;
}

/*
 * Prototypes of KVM's tracepoints, without the leading void *data.
 */
#define KVMMEM_ARGS_KVM_ENTRY	struct kvm_vcpu *vcpu, bool force_immediate_exit
#define KVMMEM_ARGS_KVM_EXIT	struct kvm_vcpu *vcpu, u32 isa
#define KVMMEM_ARGS_PV_FLUSH	unsigned int vcpu_id, bool need_flush

/* Intel's name for a function's counterpart, AMD's, and which kinds they are. */
#define KVMMEM_SVM_FLUSH_ALL		"svm_flush_tlb_all"
#define KVMMEM_SVM_FLUSH_ASID		"svm_flush_tlb_asid"
#define KVMMEM_SVM_FLUSH_ASID_KIND	KVMMEM_FLUSH_GUEST

/**
 * kvmmem_vcpu_tlb_flush - full flushes that KVM has done for this vCPU
 * @vcpu: a live vCPU
 */
static inline u64 kvmmem_vcpu_tlb_flush(const struct kvm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->stat.tlb_flush);
}

/**
 * kvmmem_vcpu_single_flush - one-address flushes that KVM has done for this vCPU
 * @vcpu: a live vCPU
 */
static inline u64 kvmmem_vcpu_single_flush(const struct kvm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->stat.invlpg);
}

/**
 * kvmmem_remote_requests - remote flushes asked for in a VM
 * @kvm: a live VM
 *
 * KVM counts a request before it makes it (virt/kvm/kvm_main.c,
 * kvm_flush_remote_tlbs), so whoever serves one sees the count changed.
 */
static inline u64 kvmmem_remote_requests(const struct kvm *kvm)
{
	return READ_ONCE(kvm->stat.generic.remote_tlb_flush_requests);
}

/**
 * kvmmem_remote_flushes - remote flushes that had to kick a vCPU
 * @kvm: a live VM
 */
static inline u64 kvmmem_remote_flushes(const struct kvm *kvm)
{
	return READ_ONCE(kvm->stat.generic.remote_tlb_flush);
}

/**
 * kvmmem_vcpu_hyperv - does the guest use Hyper-V's interface?
 * @vcpu: a live vCPU
 */
static inline bool kvmmem_vcpu_hyperv(const struct kvm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->arch.hyperv_enabled);
}

/* VMCS fields: SDM vol. 3D, appendix B. */
#define KVMMEM_VMCS_VPID	0x0000
#define KVMMEM_VMCS_EXIT_REASON	0x4402

/**
 * kvmmem_vmread - read a field of the current VMCS
 * @field: its encoding
 * @otherwise: the result if it cannot be read
 *
 * Fails where no VMCS is current (Hyper-V's enlightened VMCS), the field does
 * not exist, or VMX has been switched off under us by a dying host; then VMREAD
 * writes nothing.
 *
 * Context: a hook in the thread of a vCPU that is loaded.
 */
static __always_inline unsigned long kvmmem_vmread(unsigned long field,
						   unsigned long otherwise)
{
	unsigned long value = otherwise;

	asm volatile("1: vmread %[field], %[value]\n"
		     "2:\n"
		     _ASM_EXTABLE(1b, 2b)
		     : [value] "+r" (value)
		     : [field] "r" (field)
		     : "cc");
	return value;
}

/**
 * kvmmem_svm_vmcb - the VMCB that a vCPU runs on
 * @vcpu: a vCPU of kvm-amd
 *
 * struct vcpu_svm is private, but begins with the vCPU and then this pointer on
 * every kernel from 5.10 to 7.3. Validate it before use.
 */
static __always_inline const struct vmcb *kvmmem_svm_vmcb(const struct kvm_vcpu *vcpu)
{
	return *(const struct vmcb * const *)(vcpu + 1);
}

#endif /* _KVMMEM_COMPAT_H */
