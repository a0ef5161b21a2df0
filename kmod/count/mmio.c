// SPDX-License-Identifier: GPL-2.0
/*
 * MMIO: guest-physical accesses that no memory backs.
 *
 * KVM sees such an access in one of three ways, by vendor and by what it has
 * noted before:
 *
 * - as a fault like any other (the first one of a page, or each one where it has
 *   no reserved bit to mark entries by): the fault probe looks up the slot;
 * - by an entry that it has marked. On AMD that is a fault with the reserved bit,
 *   which the fault probe sees. On Intel it is an EPT misconfiguration, which has no
 *   tracepoint; KVM emulates the instruction then, so that is hooked. The handler's own
 *   function is not: compilers take it apart;
 * - by such an entry, when nothing but an ioeventfd is there: kvm_fast_mmio.
 *
 * An entry that is older than the last change of a slot is handled as a fault once
 * more. KVM counts those in pf_taken, so the witness has to count them, too: they
 * are seen where KVM compares generations (check_mmio_spte), or, while a slot is
 * changing, where it makes the entry anew (mark_mmio_spte).
 */
#include <linux/rculist.h>

#include "attach/hooks.h"
#include "compat/dirty.h"
#include "compat/guest.h"
#include "count/away.h"
#include "count/mmio.h"
#include "decode/value.h"
#include "registry/tally.h"

static struct kvmmem_hook_group emulate_group;

static struct kvmmem_hook emulate_hook = {
	.id = KVMMEM_HOOK_EMULATE,
	.name = "x86_emulate_instruction",
	.module = "kvm",
	.purpose = "mmio",
	.group = &emulate_group,
	.state = KVMMEM_HOOK_WAITING,
};

#define MMIO_HOOK(_id, _name, _purpose)						\
	{ .id = _id, .name = _name, .module = "kvm", .purpose = _purpose,	\
	  .state = KVMMEM_HOOK_WAITING }

static struct kvmmem_hook fast_hook =
	MMIO_HOOK(KVMMEM_HOOK_FAST_MMIO, "kvm_fast_mmio", "mmio");
static struct kvmmem_hook check_hook =
	MMIO_HOOK(KVMMEM_HOOK_CHECK_MMIO, "check_mmio_spte", "fault-witness");
static struct kvmmem_hook mark_hook =
	MMIO_HOOK(KVMMEM_HOOK_MARK_MMIO, "mark_mmio_spte", "fault-witness");

/**
 * kvmmem_mmio_init - add the hooks
 * @probes: what is called there
 *
 * Context: may sleep.
 */
void kvmmem_mmio_init(const struct kvmmem_mmio_probes *probes)
{
	if (!kvmmem_cpu_is_svm()) {
		emulate_hook.func = probes->emulate;
		kvmmem_hook_add(&emulate_hook);
	}
	fast_hook.probes = probes->fast;
	kvmmem_hook_add(&fast_hook);
	if (!KVMMEM_KVM_COUNTS_FAULTS)
		return;
	check_hook.probes = probes->check;
	mark_hook.probes = probes->mark;
	kvmmem_hook_add(&check_hook);
	kvmmem_hook_add(&mark_hook);
}

/**
 * kvmmem_mmio_on - is MMIO counted where there is EPT or NPT?
 *
 * Context: any.
 *
 * Return: false where some of it would be missing.
 */
bool kvmmem_mmio_on(void)
{
	return kvmmem_hook_attached(&fast_hook) &&
	       (kvmmem_cpu_is_svm() || kvmmem_hook_attached(&emulate_hook));
}

/**
 * kvmmem_mmio_known - is a VM's MMIO counted?
 * @vm: its record
 *
 * Context: any.
 *
 * Return: false where some of it would be missing.
 */
bool kvmmem_mmio_known(const struct kvmmem_vm *vm)
{
	if (vm->mode == KVMMEM_MODE_SHADOW)
		return true;
	/* Confidential guests may ask for MMIO by hypercalls. */
	return !READ_ONCE(vm->hides_mmio) && kvmmem_mmio_on();
}

/**
 * kvmmem_mmio_is - does no memory back this guest page?
 * @rec: record of the vCPU
 * @vcpu: the vCPU, which the calling thread runs, in KVM's read side of the slots
 * @gfn: where it faulted
 *
 * Context: a hook.
 *
 * Return: true if KVM will emulate a device there; false, too, where a nested guest's
 * address is L1's business to translate.
 */
bool kvmmem_mmio_is(struct kvmmem_vcpu *rec, struct kvm_vcpu *vcpu, u64 gfn)
{
	const struct kvm_memory_slot *slot;
	const struct kvm_memslots *slots;

	if (rec->vm->is_tdx || kvmmem_vcpu_is_nested_tdp(vcpu))
		return false;
	slots = kvm_vcpu_memslots(vcpu);
	slot = kvmmem_slots_find(slots, gfn);
	if (!slot || kvmmem_slot_is_emulated(vcpu, slot))
		return true;
	/*
	 * Faults in a slot that is logged come here each time, see dirty.c; and one that is
	 * being deleted will be gone, its generation being the same but for the highest bit.
	 */
	if (slots == kvmmem_vcpu_slots(vcpu) && kvmmem_slot_is_users(slot) &&
	    !kvmmem_slot_is_logged(slot) && !(slot->flags & KVM_MEMSLOT_INVALID)) {
		rec->slot_start = slot->base_gfn << PAGE_SHIFT;
		rec->slot_bytes = (u64)slot->npages << PAGE_SHIFT;
		rec->slot_generation = slots->generation;
	}
	return false;
}

static void mmio_count(struct kvmmem_vcpu *rec)
{
	rec->fault[KVMMEM_FAULT_MMIO]++;
	kvmmem_tally(rec->vm, KVMMEM_TALLY_FAULT + KVMMEM_FAULT_MMIO, 1);
}

/* Is this exit's access counted already, by the fault probe or as a stale entry? */
static bool mmio_is_counted(const struct kvmmem_vcpu *rec, const struct kvm_vcpu *vcpu)
{
	return rec->fault_exit == (u32)vcpu->stat.exits;
}

/**
 * kvmmem_mmio_fast - KVM has served an access without an instruction
 * @vcpu: whose, or NULL
 *
 * Context: a hook in the vCPU's thread.
 */
void kvmmem_mmio_fast(struct kvm_vcpu *vcpu)
{
	struct kvmmem_vcpu *rec = kvmmem_vcpu_of_hook(vcpu);

	if (rec)
		mmio_count(rec);
}

/**
 * kvmmem_mmio_emulated - Intel: KVM emulates since an access could not be done
 * @vcpu: whose
 * @gpa: where; under shadow paging it is no such address
 *
 * Context: a hook in the vCPU's thread.
 */
void kvmmem_mmio_emulated(struct kvm_vcpu *vcpu, u64 gpa)
{
	struct kvmmem_vcpu *rec = kvmmem_vcpu_of_hook(vcpu);

	if (!rec || (rec->special & KVMMEM_VCPU_SHADOW) || mmio_is_counted(rec, vcpu))
		return;
	/* A write to a slot that is read-only, or to a page that KVM tracks. */
	if (!kvmmem_vcpu_is_nested_tdp(vcpu) && !kvmmem_mmio_is(rec, vcpu, gpa >> PAGE_SHIFT))
		return;
	mmio_count(rec);
}

/* Does KVM handle a fault, and not what somebody else wants to be mapped? */
static bool mmio_is_fault(const struct kvmmem_vcpu *rec, const struct kvm_vcpu *vcpu)
{
	bool shadow = rec->special & KVMMEM_VCPU_SHADOW;
	const struct vmcb *vmcb;
	unsigned long reason;

	/* L1 resumes its guest, whose last exit may have been a fault; or it is for an ioctl. */
	if ((rec->tracked && ((vcpu->arch.hflags ^ rec->hflags) & HF_GUEST_MASK)) ||
	    (kvmmem_away_on() && rec->exit_tsc > KVMMEM_NO_EXIT && !kvmmem_away_stayed(rec)))
		return false;
	if (kvmmem_cpu_is_svm()) {
		vmcb = kvmmem_svm_vmcb(vcpu);
		if (!kvmmem_vmcb_is_good(vmcb))
			return true;
		return shadow ? vmcb->control.exit_code == SVM_EXIT_EXCP_BASE + PF_VECTOR :
				kvmmem_decode_reflected(true, vmcb->control.exit_code);
	}
	reason = kvmmem_vcpu_has_vmcs(vcpu) ?
		 kvmmem_vmread(KVMMEM_VMCS_EXIT_REASON, U32_MAX) : U32_MAX;
	if (reason == U32_MAX)
		return true;
	return shadow ? (reason & 0xffff) == EXIT_REASON_EXCEPTION_NMI :
			kvmmem_decode_reflected(false, reason);
}

/**
 * kvmmem_mmio_made - KVM makes an entry for MMIO
 * @vcpu: whose, or NULL
 *
 * Unless it is for a fault that the fault probe has seen in this exit, KVM counts a
 * fault more than that: a slot is changing. Entries are made, too, where no fault is
 * (KVM_PRE_FAULT_MEMORY, a page that came late, L1's tables that are read).
 *
 * Context: a hook in the vCPU's thread.
 */
void kvmmem_mmio_made(struct kvm_vcpu *vcpu)
{
	struct kvmmem_vcpu *rec = kvmmem_vcpu_of_hook(vcpu);

	if (!rec || mmio_is_counted(rec, vcpu) || (rec->special & KVMMEM_VCPU_NO_BASE) ||
	    !mmio_is_fault(rec, vcpu))
		return;
	/* On AMD, and under shadow paging, the fault probe has counted the access. */
	if (!kvmmem_cpu_is_svm() && !(rec->special & KVMMEM_VCPU_SHADOW))
		mmio_count(rec);
	rec->mmio_stale++;
	rec->fault_exit = vcpu->stat.exits;
}

/* Intel: is the access one to memory now? */
static bool mmio_is_memory(struct kvmmem_vcpu *rec, struct kvm_vcpu *vcpu)
{
	u64 gpa = kvmmem_vcpu_has_vmcs(vcpu) ?
		  kvmmem_vcpu_fault_gpa(vcpu, KVMMEM_UNKNOWN) : KVMMEM_UNKNOWN;

	return gpa != KVMMEM_UNKNOWN && !kvmmem_vcpu_is_nested_tdp(vcpu) &&
	       !kvmmem_mmio_is(rec, vcpu, gpa >> PAGE_SHIFT);
}

/**
 * kvmmem_mmio_is_checked - will kvmmem_mmio_checked() be called for this fault?
 * @vcpu: the vCPU, which the calling thread runs
 *
 * KVM says nothing of the comparison while a slot is changing.
 *
 * Context: the fault probe.
 *
 * Return: true if so.
 */
bool kvmmem_mmio_is_checked(const struct kvm_vcpu *vcpu)
{
	return KVMMEM_KVM_COUNTS_FAULTS && kvmmem_hook_attached(&check_hook) &&
	       !(kvmmem_vcpu_slots(vcpu)->generation & KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS);
}

/**
 * kvmmem_mmio_checked - KVM compares an entry for MMIO with its slots
 * @vcpu: whose, or NULL
 * @stale: slots have changed since the entry was made
 *
 * It is handled as a fault, then. KVM does so in the exit that met the entry. Intel's
 * exit does not say what the access was; KVM takes it for a read, too.
 *
 * Context: a hook in the vCPU's thread.
 *
 * Return: KVMMEM_FAULT_PLUGGED and the class of a fault on memory, which has come there
 * and is still to be counted; otherwise 0.
 */
unsigned int kvmmem_mmio_checked(struct kvm_vcpu *vcpu, bool stale)
{
	struct kvmmem_vcpu *rec = kvmmem_vcpu_of_hook(vcpu);
	bool counted;

	if (!rec || mmio_is_counted(rec, vcpu) || (rec->special & KVMMEM_VCPU_NO_BASE))
		return 0;
	/* On AMD, and under shadow paging, the fault probe has counted the access. */
	counted = kvmmem_cpu_is_svm() || (rec->special & KVMMEM_VCPU_SHADOW);
	if (rec->fault_class & KVMMEM_FAULT_PLUGGED) {
		unsigned int plugged = rec->fault_class;

		rec->fault_class = 0;
		rec->fault_exit = vcpu->stat.exits;
		if (stale)
			return plugged;
		mmio_count(rec);
		return 0;
	}
	if (!stale)
		return 0;
	rec->fault_exit = vcpu->stat.exits;
	if (!counted && mmio_is_memory(rec, vcpu))
		return KVMMEM_FAULT_PLUGGED;
	if (!counted)
		mmio_count(rec);
	rec->mmio_stale++;
	return 0;
}
