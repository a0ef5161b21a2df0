/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Everything that depends on a kernel version or on KVM's private layout, but
 * for the prototypes of tracepoints, which are in compat/probe.h. Force-included
 * (Kbuild), so that the rest reads as for the newest kernel.
 *
 * KVMMEM_HAVE_* come from the compile tests in kmod/configure.
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
#include <asm/vmx.h>

/* Without CONFIG_KVM_SMM (6.2 on) no vCPU is ever in it. */
#ifndef HF_SMM_MASK
#define HF_SMM_MASK	0
#endif

/*
 * ftrace callbacks. struct ftrace_regs has become opaque, with accessors for
 * arguments. Before, its pt_regs hold the argument registers whenever the
 * architecture has DYNAMIC_FTRACE_WITH_ARGS; and before that pt_regs are handed
 * over if they are asked for. There, too, ftrace guards against recursion all
 * that does not say it is safe, and leaves out what it takes for one.
 */
#ifdef KVMMEM_HAVE_FTRACE_ARGUMENT
#define kvmmem_ftrace_arg(n)	ftrace_regs_get_argument(fregs, n)
#elif defined(KVMMEM_HAVE_FTRACE_REGS)
#define kvmmem_ftrace_arg(n)	regs_get_kernel_argument(&fregs->regs, n)
#else
#define ftrace_regs		pt_regs
#define kvmmem_ftrace_arg(n)	regs_get_kernel_argument(fregs, n)
#define KVMMEM_FTRACE_FLAGS	(FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_RECURSION_SAFE)
#endif
#ifndef KVMMEM_FTRACE_FLAGS
#define KVMMEM_FTRACE_FLAGS	0
#endif
#define KVMMEM_FTRACE_FUNC(name)						\
	void name(unsigned long ip, unsigned long parent_ip,			\
		  struct ftrace_ops *ops, struct ftrace_regs *fregs)

/* Of KVM's private mmu.h. */
#ifndef PT64_ROOT_4LEVEL
#define PT64_ROOT_4LEVEL 4
#endif
/* Of KVM's private x86.h, from 7.x on. */
#ifndef EMULTYPE_PF
#define EMULTYPE_PF BIT(6)
#endif

/**
 * kvmmem_cpu_is_svm - is KVM's vendor module on this machine kvm-amd?
 *
 * Return: true on AMD's and Hygon's.
 */
static inline bool kvmmem_cpu_is_svm(void)
{
	return boot_cpu_has(X86_FEATURE_SVM);
}

/* Of asm/hyperv-tlfs.h, which has other names from 6.14 on. */
#define KVMMEM_HYPERV_LEAF		0x40000000
#define KVMMEM_HYPERV_NESTED_LEAF	0x4000000a
#define KVMMEM_HYPERV_GPA_FLUSH		BIT(18)	/* by hypercall, for EPT */
#define KVMMEM_HYPERV_NPT_FLUSH		BIT(22)	/* likewise, for NPT */

/* cpuid() has moved between headers. */
static inline void kvmmem_cpuid(u32 leaf, u32 *regs)
{
	asm volatile("cpuid" : "=a" (regs[0]), "=b" (regs[1]), "=c" (regs[2]), "=d" (regs[3])
		     : "0" (leaf), "2" (0));
}

/**
 * kvmmem_flushed_by_hyperv - does the Hyper-V below us flush second-level translations?
 *
 * KVM then flushes a VM by a hypercall and asks no vCPU for it (kvm_onhyperv.c); it
 * counts a remote flush all the same.
 *
 * Return: true if it offers to, upon which KVM takes it.
 */
static inline bool kvmmem_flushed_by_hyperv(void)
{
	u32 regs[4];

	if (!IS_ENABLED(CONFIG_HYPERV) || !boot_cpu_has(X86_FEATURE_HYPERVISOR))
		return false;
	/* svm_onhyperv.c is of 5.14. */
	if (kvmmem_cpu_is_svm() && LINUX_VERSION_CODE < KERNEL_VERSION(5, 14, 0))
		return false;
	kvmmem_cpuid(KVMMEM_HYPERV_LEAF, regs);
	if (memcmp(&regs[1], "Microsoft Hv", 12) || regs[0] < KVMMEM_HYPERV_NESTED_LEAF)
		return false;
	kvmmem_cpuid(KVMMEM_HYPERV_NESTED_LEAF, regs);
	return regs[0] &
	       (kvmmem_cpu_is_svm() ? KVMMEM_HYPERV_NPT_FLUSH : KVMMEM_HYPERV_GPA_FLUSH);
}

/**
 * kvmmem_cpu_is_vmx - is KVM's vendor module on this machine kvm-intel?
 *
 * Return: true on Intel's and Zhaoxin's.
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
 *
 * Return: false under shadow paging.
 */
static inline bool kvmmem_vcpu_is_tdp(const struct kvm_vcpu *vcpu)
{
#ifdef KVMMEM_HAVE_ROOT_ROLE
	union kvm_mmu_page_role role = vcpu->arch.root_mmu.root_role;
#else
	union kvm_mmu_page_role role = vcpu->arch.root_mmu.mmu_role.base;
#endif

	return role.direct && role.level >= PT64_ROOT_4LEVEL;
}

/**
 * kvmmem_vcpu_is_nested_tdp - does a vCPU run a guest of its guest on tables of L1?
 * @vcpu: a vCPU, which the calling thread runs
 *
 * Return: true when a fault's address is one of that guest's and not of L1's.
 */
static inline bool kvmmem_vcpu_is_nested_tdp(const struct kvm_vcpu *vcpu)
{
	return vcpu->arch.mmu != &vcpu->arch.root_mmu;
}

/**
 * kvmmem_vcpu_slots - the memory slots that a vCPU has outside of SMM
 * @vcpu: a vCPU, which the calling thread runs
 *
 * Context: as in KVM's handling of an exit, which holds kvm->srcu.
 *
 * Return: the slots.
 */
static __always_inline const struct kvm_memslots *
kvmmem_vcpu_slots(const struct kvm_vcpu *vcpu)
{
	return rcu_dereference_raw(vcpu->kvm->memslots[0]);
}

/* Does KVM count the faults that its MMU handles? */
#define KVMMEM_KVM_COUNTS_FAULTS	__is_defined(KVMMEM_HAVE_PF_TAKEN)

/**
 * kvmmem_vcpu_pf_taken - page faults that KVM's MMU has handled for this vCPU
 * @vcpu: a live vCPU
 *
 * Return: 0 where KVM does not count them, see KVMMEM_KVM_COUNTS_FAULTS.
 */
static inline u64 kvmmem_vcpu_pf_taken(const struct kvm_vcpu *vcpu)
{
#ifdef KVMMEM_HAVE_PF_TAKEN
	return READ_ONCE(vcpu->stat.pf_taken);
#else
	return 0;
#endif
}

/* What KVM's MMU has made of faults, as KVM counts it. */
enum kvmmem_outcome {
	KVMMEM_OUTCOME_TAKEN,
	KVMMEM_OUTCOME_FIXED,
	KVMMEM_OUTCOME_FAST,
	KVMMEM_OUTCOME_SPURIOUS,
	KVMMEM_OUTCOME_EMULATED,
	KVMMEM_OUTCOME_MMIO,
	KVMMEM_NR_OUTCOMES
};

/**
 * kvmmem_vcpu_add_outcomes - add a vCPU's counts to sums
 * @vcpu: a live vCPU
 * @sums: KVMMEM_NR_OUTCOMES of them; not touched where KVM does not count faults, see
 *	KVMMEM_KVM_COUNTS_FAULTS
 */
static inline void kvmmem_vcpu_add_outcomes(const struct kvm_vcpu *vcpu, u64 *sums)
{
#ifdef KVMMEM_HAVE_PF_TAKEN
	/* What is counted last comes first, so that no fault has an end before it was taken. */
	sums[KVMMEM_OUTCOME_FIXED] += READ_ONCE(vcpu->stat.pf_fixed);
	sums[KVMMEM_OUTCOME_SPURIOUS] += READ_ONCE(vcpu->stat.pf_spurious);
	sums[KVMMEM_OUTCOME_EMULATED] += READ_ONCE(vcpu->stat.pf_emulate);
	sums[KVMMEM_OUTCOME_FAST] += READ_ONCE(vcpu->stat.pf_fast);
	sums[KVMMEM_OUTCOME_MMIO] += READ_ONCE(vcpu->stat.pf_mmio_spte_created);
	sums[KVMMEM_OUTCOME_TAKEN] += READ_ONCE(vcpu->stat.pf_taken);
#endif
}

/**
 * kvmmem_vcpu_tlb_flush - full flushes that KVM has done for this vCPU
 * @vcpu: a live vCPU
 *
 * Return: how many, since the vCPU was made or its statistics were cleared.
 */
static inline u64 kvmmem_vcpu_tlb_flush(const struct kvm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->stat.tlb_flush);
}

/**
 * kvmmem_vcpu_single_flush - one-address flushes that KVM has done for this vCPU
 * @vcpu: a live vCPU
 *
 * Return: how many, likewise.
 */
static inline u64 kvmmem_vcpu_single_flush(const struct kvm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->stat.invlpg);
}

#ifdef KVMMEM_HAVE_STAT_GENERIC
#define kvmmem_vm_stat(kvm, name)	READ_ONCE((kvm)->stat.generic.name)
#else
#define kvmmem_vm_stat(kvm, name)	READ_ONCE((kvm)->stat.name)
#endif

/* Does KVM count the requests for remote flushes? Else a hook must. */
#define KVMMEM_KVM_COUNTS_REQUESTS	__is_defined(KVMMEM_HAVE_REMOTE_REQUESTS)

/*
 * Are remote requests, and on Intel moves, all that has a vCPU flush everything by
 * KVM_REQ_TLB_FLUSH? On 5.10 nested INVVPID is one more.
 */
#define KVMMEM_FULL_FLUSHES_BY_TWO	KVMMEM_KVM_COUNTS_REQUESTS

/**
 * kvmmem_kvm_requests - remote flushes asked for in a VM
 * @kvm: a live VM
 *
 * KVM counts a request before it makes it (virt/kvm/kvm_main.c,
 * kvm_flush_remote_tlbs), so whoever serves one sees the count changed.
 *
 * Return: 0 where KVM does not count them, see KVMMEM_KVM_COUNTS_REQUESTS.
 */
static inline u64 kvmmem_kvm_requests(const struct kvm *kvm)
{
#ifdef KVMMEM_HAVE_REMOTE_REQUESTS
	return kvmmem_vm_stat(kvm, remote_tlb_flush_requests);
#else
	return 0;
#endif
}

/**
 * kvmmem_remote_flushes - remote flushes that had to kick a vCPU
 * @kvm: a live VM
 *
 * Return: how many, since the VM was made or its statistics were cleared.
 */
static inline u64 kvmmem_remote_flushes(const struct kvm *kvm)
{
	return kvmmem_vm_stat(kvm, remote_tlb_flush);
}

/**
 * kvmmem_vcpu_hyperv - does the guest use Hyper-V's interface?
 * @vcpu: a live vCPU
 *
 * Return: true if it does.
 */
static inline bool kvmmem_vcpu_hyperv(const struct kvm_vcpu *vcpu)
{
#ifdef KVMMEM_HAVE_HYPERV_ENABLED
	return READ_ONCE(vcpu->arch.hyperv_enabled);
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0) && !defined(CONFIG_KVM_HYPERV)
	return false;
#else
	return READ_ONCE(vcpu->kvm->arch.hyperv.hv_guest_os_id);
#endif
}

/**
 * kvmmem_kvm_is_tdx - is this the VM of a TDX guest?
 * @kvm: a live VM
 *
 * Return: true if it is.
 */
static __always_inline bool kvmmem_kvm_is_tdx(const struct kvm *kvm)
{
#if defined(KVMMEM_HAVE_VM_TYPE) && defined(KVM_X86_TDX_VM)
	return kvm->arch.vm_type == KVM_X86_TDX_VM;
#else
	return false;
#endif
}

/**
 * kvmmem_vcpu_has_vmcs - does this vCPU of kvm-intel run on a VMCS of its own?
 * @vcpu: a live vCPU
 *
 * Those of TDX guests do not, and the VMCS that is current while they run may
 * be any other vCPU's.
 *
 * Return: false for a vCPU of a TDX guest.
 */
static __always_inline bool kvmmem_vcpu_has_vmcs(const struct kvm_vcpu *vcpu)
{
	return !kvmmem_kvm_is_tdx(vcpu->kvm);
}

/**
 * kvmmem_vcpu_hides_state - is a guest's device access not to be seen by its faults?
 * @vcpu: a live vCPU, which has been launched
 *
 * Guests of SEV-ES and SNP ask for it by VMGEXIT (svm/sev.c, sev_handle_vmgexit()).
 *
 * Return: true if so.
 */
static inline bool kvmmem_vcpu_hides_state(const struct kvm_vcpu *vcpu)
{
#ifdef KVMMEM_HAVE_GUEST_STATE_PROTECTED
	return READ_ONCE(vcpu->arch.guest_state_protected);
#else
	return false;
#endif
}

/*
 * The function that tells of a new VM. Where there is none that is called once,
 * when all of the VM is made, it is the one for each change of a memory slot;
 * that may come from a VM whose making failed, or on its way to the grave, so
 * kvmmem_vm_is_born() must be asked.
 */
#ifdef KVMMEM_HAVE_VM_DEBUGFS
#define KVMMEM_VM_CREATE_FUNC	"kvm_arch_create_vm_debugfs"
#else
#define KVMMEM_VM_CREATE_FUNC	"kvm_arch_prepare_memory_region"
#endif

/**
 * kvmmem_vm_is_born - has this VM been made, and is it not being destroyed?
 * @kvm: the argument of KVMMEM_VM_CREATE_FUNC
 *
 * Return: false when a record must not be made.
 */
static inline bool kvmmem_vm_is_born(struct kvm *kvm)
{
#ifdef KVMMEM_HAVE_VM_DEBUGFS
	return true;
#else
	/* One whose name in debugfs was taken has no directory. */
	return refcount_read(&kvm->users_count);
#endif
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
 *
 * Return: the field, or @otherwise.
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
 *
 * Return: what stands where the pointer is.
 */
static __always_inline const struct vmcb *kvmmem_svm_vmcb(const struct kvm_vcpu *vcpu)
{
	return *(const struct vmcb * const *)(vcpu + 1);
}

/**
 * kvmmem_vmcb_is_good - is this what kvmmem_svm_vmcb() should be: a whole page?
 * @vmcb: what it is
 *
 * Return: true if it may be read.
 */
static inline bool kvmmem_vmcb_is_good(const struct vmcb *vmcb)
{
	return virt_addr_valid(vmcb) && PAGE_ALIGNED(vmcb);
}

/**
 * kvmmem_svm_vmcb01 - the VMCB that a vCPU runs L1 on
 * @vcpu: a vCPU of kvm-amd
 *
 * Since 5.13 struct kvm_vmcb_info vmcb01 follows, which begins with this pointer. Before,
 * the address of the only VMCB does, which is no pointer. Validate it before use.
 *
 * Return: what stands where the pointer is.
 */
static inline const struct vmcb *kvmmem_svm_vmcb01(const struct kvm_vcpu *vcpu)
{
	const struct vmcb * const *first = (const struct vmcb * const *)(vcpu + 1);

	return kvmmem_vmcb_is_good(READ_ONCE(first[1])) ? first[1] : READ_ONCE(first[0]);
}

#endif /* _KVMMEM_COMPAT_H */
