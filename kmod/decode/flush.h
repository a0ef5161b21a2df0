/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Why a vCPU's translations were thrown away: pure functions, for the flush
 * hooks and for KUnit.
 */
#ifndef _KVMMEM_FLUSH_H
#define _KVMMEM_FLUSH_H

#include <linux/types.h>

/**
 * enum kvmmem_cause - who asked for a flush
 * @KVMMEM_CAUSE_REMOTE: somebody changed the VM's tables and asked its vCPUs
 * @KVMMEM_CAUSE_GUEST: the guest
 * @KVMMEM_CAUSE_NESTED: a nested guest or hypervisor, or a switch between them
 * @KVMMEM_CAUSE_TAG: the vCPU moved to another processor
 * @KVMMEM_CAUSE_OTHER: none of these, or it cannot be told
 * @KVMMEM_NR_CAUSES: how many there are
 */
enum kvmmem_cause {
	KVMMEM_CAUSE_REMOTE,
	KVMMEM_CAUSE_GUEST,
	KVMMEM_CAUSE_NESTED,
	KVMMEM_CAUSE_TAG,
	KVMMEM_CAUSE_OTHER,
	KVMMEM_NR_CAUSES
};

/**
 * enum kvmmem_flush_kind - which of KVM's flush functions ran
 * @KVMMEM_FLUSH_ALL: everything of the vCPU, for KVM_REQ_TLB_FLUSH
 * @KVMMEM_FLUSH_CURRENT: the current context, for KVM_REQ_TLB_FLUSH_CURRENT
 * @KVMMEM_FLUSH_GUEST: the guest's own translations, KVM_REQ_TLB_FLUSH_GUEST
 * @KVMMEM_FLUSH_ASID: AMD: what all of these call; from 5.11 to 6.x it is _GUEST, too
 * @KVMMEM_FLUSH_ANY: this kernel has one function for all (5.10 on AMD)
 */
enum kvmmem_flush_kind {
	KVMMEM_FLUSH_ALL,
	KVMMEM_FLUSH_CURRENT,
	KVMMEM_FLUSH_GUEST,
	KVMMEM_FLUSH_ASID,
	KVMMEM_FLUSH_ANY,
};

/* Who asks for flushes of everything. */
enum kvmmem_full {
	KVMMEM_FULL_ANYBODY,	/* others, too, or that cannot be told */
	KVMMEM_FULL_REMOTE,	/* remote requests only: AMD, but for old kernels */
	KVMMEM_FULL_MOVE,	/* or vmx_vcpu_load_vmcs(), on another processor: Intel, likewise */
};

/* What the last exit says of who may be asking. */
enum kvmmem_asker {
	KVMMEM_ASKER_NOBODY,	/* an exit that asks for no flush, or none yet */
	KVMMEM_ASKER_GUEST,	/* CR0, CR3, CR4, INVLPG, INVPCID, a hypercall */
	KVMMEM_ASKER_NESTED,	/* VMRUN, VMLAUNCH, INVEPT, ... */
};

/**
 * struct kvmmem_flush_signs - what is known when a flush happens
 * @kind: the function that ran
 * @asker: from the last exit
 * @remote: KVM has counted a remote flush since this vCPU's last one
 * @moved: the vCPU is on another processor than at its last full flush
 * @migrated: its thread has moved since, be it there and back
 * @stayed: nobody but the scheduler has had KVM put the vCPU away since its last exit
 * @full: who may have asked, if it is a full flush
 * @switched: it changed between L1 and L2 since its last entry
 * @pv: KVM said that the guest asked by the paravirtual interface
 * @hyperv: the guest uses Hyper-V's interface, where vCPUs ask for each other
 */
struct kvmmem_flush_signs {
	enum kvmmem_flush_kind kind;
	enum kvmmem_asker asker;
	bool remote;
	bool moved;
	bool migrated;
	bool stayed;
	enum kvmmem_full full;
	bool switched;
	bool pv;
	bool hyperv;
};

/*
 * KVM_REQ_TLB_FLUSH. Where a remote request and a move come together one flush serves
 * both; it is the remote one's.
 */
static inline enum kvmmem_cause kvmmem_full_flush_cause(const struct kvmmem_flush_signs *s,
							bool nested)
{
	if (s->remote || s->full == KVMMEM_FULL_REMOTE)
		return KVMMEM_CAUSE_REMOTE;
	if (s->moved)
		return KVMMEM_CAUSE_TAG;
	/* L2's VMCS is new, or was left on another processor. */
	if (nested)
		return KVMMEM_CAUSE_NESTED;
	if (s->migrated)
		return KVMMEM_CAUSE_TAG;
	if (s->full == KVMMEM_FULL_ANYBODY)
		return KVMMEM_CAUSE_OTHER;
	/*
	 * Of two requests at once the second was counted when the first one was served. Or
	 * another thread had KVM load the vCPU elsewhere, for an ioctl.
	 */
	return s->stayed ? KVMMEM_CAUSE_REMOTE : KVMMEM_CAUSE_OTHER;
}

/**
 * kvmmem_flush_cause - the cause of one flush
 * @s: the signs
 *
 * Return: the cause.
 */
static inline enum kvmmem_cause kvmmem_flush_cause(const struct kvmmem_flush_signs *s)
{
	bool nested = s->switched || s->asker == KVMMEM_ASKER_NESTED;

	if (s->kind == KVMMEM_FLUSH_ALL)
		return kvmmem_full_flush_cause(s, nested);
	if (s->kind == KVMMEM_FLUSH_ANY && s->remote)
		return KVMMEM_CAUSE_REMOTE;
	/* KVM says so just before it flushes, on the way into L2, too. */
	if (s->pv && s->kind != KVMMEM_FLUSH_CURRENT)
		return KVMMEM_CAUSE_GUEST;
	if (nested)
		return KVMMEM_CAUSE_NESTED;
	if (s->pv || s->asker == KVMMEM_ASKER_GUEST)
		return KVMMEM_CAUSE_GUEST;
	if (s->hyperv && s->kind != KVMMEM_FLUSH_CURRENT)
		return KVMMEM_CAUSE_GUEST;
	return KVMMEM_CAUSE_OTHER;
}

const char *kvmmem_cause_word(enum kvmmem_cause cause);
enum kvmmem_asker kvmmem_asker_vmx(u32 reason);
enum kvmmem_asker kvmmem_asker_svm(u64 code);

#endif /* _KVMMEM_FLUSH_H */
