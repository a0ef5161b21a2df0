/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The prototypes that KVM's tracepoints have on one kernel or another, and a
 * probe for each. Each macro takes the name of an inline function, defines its
 * probes and the array <name>_probes for struct kvmmem_hook.
 *
 * Prototypes change within stable series and by vendors' backports, so the one
 * that a kernel has is looked up when KVM comes (proto.c). Only where nothing
 * tells is the version asked, to put the likeliest first.
 */
#ifndef _KVMMEM_COMPAT_PROBE_H
#define _KVMMEM_COMPAT_PROBE_H

#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/srcu.h>
#include <linux/tracepoint.h>
#include <linux/version.h>

/**
 * kvmmem_probes_synchronize - wait for all probes that are running
 *
 * For what tracepoint_synchronize_unregister() is; but from 6.13 on that waits for probes of
 * system calls, too, and for all that is traced like them (RCU Tasks Trace): they may wait for
 * a page of the caller's, which comes when he likes. None of KVM's tracepoints is one of those.
 *
 * Context: may sleep. What RCU protected before has no reader any more either.
 */
static inline void kvmmem_probes_synchronize(void)
{
#ifdef KVMMEM_HAVE_TRACEPOINT_SRCU
	synchronize_srcu(&tracepoint_srcu);
#endif
	synchronize_rcu();
}

/* Longest text of a prototype, with its NUL. */
#define KVMMEM_PROTO_LEN	80

/**
 * struct kvmmem_probe - a probe and the tracepoint that it fits
 * @func: the probe
 * @proto: the tracepoint's prototype less the leading void *data, as
 *	kvmmem_btf_prototype() writes it
 */
struct kvmmem_probe {
	void *func;
	const char *proto;
};

/**
 * kvmmem_running_vcpu - the vCPU that the current thread has loaded
 *
 * KVM asks to be told when the thread loses its processor, by a notifier that
 * is part of the vCPU. So kvm_get_running_vcpu() is not needed, a symbol of
 * kvm.ko that other kernels keep to themselves.
 *
 * Context: called by KVM on behalf of that vCPU.
 *
 * Return: NULL if there is none.
 */
static __always_inline struct kvm_vcpu *kvmmem_running_vcpu(void)
{
	struct hlist_node *first = current->preempt_notifiers.first;

	return first ? container_of(first, struct kvm_vcpu, preempt_notifier.link) : NULL;
}

/**
 * kvmmem_wide_fault_code - the whole error code of a fault
 * @vcpu: that faulted
 * @code: its lower half, all that the tracepoint hands over
 *
 * On AMD the VMCB still has the whole. Elsewhere the half is all there is.
 *
 * Return: all 64 bits where they can be had, @code otherwise.
 */
static __always_inline u64 kvmmem_wide_fault_code(const struct kvm_vcpu *vcpu, u32 code)
{
	const struct vmcb *vmcb;

	if (!kvmmem_cpu_is_svm())
		return code;
	vmcb = kvmmem_svm_vmcb(vcpu);
	if (!kvmmem_vmcb_is_good(vmcb) || (u32)vmcb->control.exit_info_1 != code)
		return code;
	return vmcb->control.exit_info_1;
}

/*
 * Without BTF: is it known which prototype these versions have? 5.10 has the
 * older ones, 6.1 and all after it the newer; what is between is not guessed.
 */
#define KVMMEM_PROTOTYPES_KNOWN						\
	(LINUX_VERSION_CODE < KERNEL_VERSION(5, 11, 0) ||		\
	 LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 0))

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#define _KVMMEM_PROBES(name, newer, older)					\
	static const struct kvmmem_probe name##_probes[] = { older, newer, { } }
#else
#define _KVMMEM_PROBES(name, newer, older)					\
	static const struct kvmmem_probe name##_probes[] = { newer, older, { } }
#endif
#define _KVMMEM_PROBE(...)	{ __VA_ARGS__ }

/* To test the check: an expectation that no kernel meets. */
#ifdef KVMMEM_WRONG_PROTOTYPE
#define _KVMMEM_FAULT_PROTO		"(kvm_vcpu*,u32)"
#define _KVMMEM_FAULT_PROTO_OLD		"(u64,u64)"
#else
#define _KVMMEM_FAULT_PROTO		"(kvm_vcpu*,u64,u64)"
#define _KVMMEM_FAULT_PROTO_OLD		"(u64,u32)"
#endif

/*
 * kvm_page_fault, for name(void *data, struct kvm_vcpu *vcpu, u64 addr, u64 code), in the
 * newer prototype's order; nobody(): no vCPU found
 */
#define KVMMEM_PAGE_FAULT_PROBES(name, nobody)					\
	static void name##_probe(void *data, struct kvm_vcpu *vcpu, u64 addr, u64 code) \
	{									\
		name(data, vcpu, addr, code);					\
	}									\
	static void name##_probe_old(void *data, unsigned long addr, unsigned int code) \
	{									\
		struct kvm_vcpu *vcpu = kvmmem_running_vcpu();			\
										\
		if (vcpu)							\
			name(data, vcpu, addr, kvmmem_wide_fault_code(vcpu, code)); \
		else								\
			nobody();						\
	}									\
	_KVMMEM_PROBES(name,							\
		       _KVMMEM_PROBE(name##_probe, _KVMMEM_FAULT_PROTO),	\
		       _KVMMEM_PROBE(name##_probe_old, _KVMMEM_FAULT_PROTO_OLD))

/* kvm_entry, for name(struct kvm_vcpu *vcpu) */
#define KVMMEM_ENTRY_PROBES(name)						\
	static void name##_probe(void *data, struct kvm_vcpu *vcpu,		\
				 bool force_immediate_exit)			\
	{									\
		name(vcpu);							\
	}									\
	static void name##_probe_old(void *data, struct kvm_vcpu *vcpu)		\
	{									\
		name(vcpu);							\
	}									\
	_KVMMEM_PROBES(name,							\
		       _KVMMEM_PROBE(name##_probe, "(kvm_vcpu*,bool)"),		\
		       _KVMMEM_PROBE(name##_probe_old, "(kvm_vcpu*)"))

/* kvm_exit, for name(struct kvm_vcpu *vcpu) */
#define KVMMEM_EXIT_PROBES(name)						\
	static void name##_probe(void *data, struct kvm_vcpu *vcpu, u32 isa)	\
	{									\
		name(vcpu);							\
	}									\
	static void name##_probe_old(void *data, unsigned int reason,		\
				     struct kvm_vcpu *vcpu, u32 isa)		\
	{									\
		name(vcpu);							\
	}									\
	_KVMMEM_PROBES(name,							\
		       _KVMMEM_PROBE(name##_probe, "(kvm_vcpu*,u32)"),		\
		       _KVMMEM_PROBE(name##_probe_old, "(u32,kvm_vcpu*,u32)"))

/* kvm_pv_tlb_flush, for name(struct kvm_vcpu *vcpu, bool need_flush), NULL if none is found */
#define KVMMEM_PV_FLUSH_PROBES(name)						\
	static void name##_probe(void *data, unsigned int vcpu_id, bool need_flush) \
	{									\
		name(kvmmem_running_vcpu(), need_flush);			\
	}									\
	static const struct kvmmem_probe name##_probes[] = {			\
		{ name##_probe, "(u32,bool)" }, { }				\
	}

/* kvm_fast_mmio, for name(struct kvm_vcpu *vcpu), NULL if none is found */
#define KVMMEM_FAST_MMIO_PROBES(name)						\
	static void name##_probe(void *data, u64 gpa)				\
	{									\
		name(kvmmem_running_vcpu());					\
	}									\
	static const struct kvmmem_probe name##_probes[] = {			\
		{ name##_probe, "(u64)" }, { }					\
	}

/* check_mmio_spte, for name(struct kvm_vcpu *vcpu, bool stale), likewise */
#define KVMMEM_CHECK_MMIO_PROBES(name)						\
	static void name##_probe(void *data, u64 spte, unsigned int kvm_gen,	\
				 unsigned int spte_gen)				\
	{									\
		name(kvmmem_running_vcpu(), kvm_gen != spte_gen);		\
	}									\
	static const struct kvmmem_probe name##_probes[] = {			\
		{ name##_probe, "(u64,u32,u32)" }, { }				\
	}

/* mark_mmio_spte, for name(struct kvm_vcpu *vcpu), likewise */
#define KVMMEM_MARK_MMIO_PROBES(name)						\
	static void name##_probe(void *data, u64 *sptep, gfn_t gfn, u64 spte)	\
	{									\
		name(kvmmem_running_vcpu());					\
	}									\
	static const struct kvmmem_probe name##_probes[] = {			\
		{ name##_probe, "(u64*,u64,u64)" }, { }				\
	}

/* kvm_async_pf_not_present and _ready, for name(struct kvm_vcpu *vcpu, u64 token), likewise */
#define KVMMEM_ASYNC_PROBES(name)						\
	static void name##_probe(void *data, u64 token, u64 gva)		\
	{									\
		name(kvmmem_running_vcpu(), token);				\
	}									\
	static const struct kvmmem_probe name##_probes[] = {			\
		{ name##_probe, "(u64,u64)" }, { }				\
	}

/* kvm_nested_vmexit_inject, for name(struct kvm_vcpu *vcpu, u64 exit_code), likewise */
#define KVMMEM_NESTED_INJECT_PROBES(name)					\
	static void name##_probe(void *data, u64 exit_code, u64 info1, u64 info2, \
				 u32 int_info, u32 int_info_err, u32 isa)	\
	{									\
		name(kvmmem_running_vcpu(), exit_code);				\
	}									\
	static void name##_probe_old(void *data, u32 exit_code, u64 info1, u64 info2, \
				     u32 int_info, u32 int_info_err, u32 isa)	\
	{									\
		name(kvmmem_running_vcpu(), exit_code);				\
	}									\
	static const struct kvmmem_probe name##_probes[] = {			\
		{ name##_probe_old, "(u32,u64,u64,u32,u32,u32)" },		\
		{ name##_probe, "(u64,u64,u64,u32,u32,u32)" }, { }		\
	}

/* kvm_mmu_split_huge_page, for name(u64 gfn, int level, int err) */
#define KVMMEM_SPLIT_PROBES(name)						\
	static void name##_probe(void *data, u64 gfn, u64 spte, int level, int err) \
	{									\
		name(gfn, level, err);						\
	}									\
	static const struct kvmmem_probe name##_probes[] = {			\
		{ name##_probe, "(u64,u64,s32,s32)" }, { }			\
	}

/* kvm_dirty_ring_exit, for name(struct kvm_vcpu *vcpu) */
#define KVMMEM_RING_EXIT_PROBES(name)						\
	static void name##_probe(void *data, struct kvm_vcpu *vcpu)		\
	{									\
		name(vcpu);							\
	}									\
	static const struct kvmmem_probe name##_probes[] = {			\
		{ name##_probe, "(kvm_vcpu*)" }, { }				\
	}

/* kvm_pml_full, for name(struct kvm_vcpu *vcpu), NULL if none is found */
#define KVMMEM_PML_FULL_PROBES(name)						\
	static void name##_probe(void *data, unsigned int vcpu_id)		\
	{									\
		name(kvmmem_running_vcpu());					\
	}									\
	static const struct kvmmem_probe name##_probes[] = {			\
		{ name##_probe, "(u32)" }, { }					\
	}

/* In 5.11, where it came, and in 5.12 the bit that a table has meant something else. */
#define KVMMEM_SPTE_TELLS	(LINUX_VERSION_CODE < KERNEL_VERSION(5, 11, 0) ||	\
				 LINUX_VERSION_CODE >= KERNEL_VERSION(5, 13, 0))

/* kvm_tdp_mmu_spte_changed, for name(u64 gfn, int level, u64 old_spte, u64 new_spte) */
#define KVMMEM_SPTE_CHANGED_PROBES(name)					\
	static void name##_probe(void *data, int as_id, gfn_t gfn, int level,	\
				 u64 old_spte, u64 new_spte)			\
	{									\
		name(gfn, level, old_spte, new_spte);				\
	}									\
	static const struct kvmmem_probe name##_probes[] = {			\
		{ KVMMEM_SPTE_TELLS ? name##_probe : NULL,			\
		  "(s32,u64,s32,u64,u64)" }, { }				\
	}

#endif /* _KVMMEM_COMPAT_PROBE_H */
