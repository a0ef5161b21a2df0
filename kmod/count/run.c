// SPDX-License-Identifier: GPL-2.0
/*
 * The probes on kvm_entry and kvm_exit, one each for flush accounting (tlb.c)
 * and service time (latency.c) together: two probes on one tracepoint cost more
 * than the work they do. What is not wanted is a jump that static keys take
 * out; a tracepoint that nobody wants has no probe.
 */
#include <linux/module.h>

#include "attach/hooks.h"
#include "compat/probe.h"
#include "count/latency.h"
#include "count/run.h"
#include "count/tlb.h"

/*
 * The probes' other path: the record is not the first of its hash chain, or
 * there is none since the vCPU is older than kvmmem and was not found.
 */
static struct kvmmem_vcpu *find_or_meet(struct kvm_vcpu *vcpu)
{
	struct kvmmem_vcpu *rec = kvmmem_vcpu_find(vcpu);

	if (!rec)
		rec = kvmmem_vcpu_birth(vcpu, current);
	if (!rec)
		kvmmem_lost();
	return rec;
}

/* What a probe does: @work(rec, vcpu) on the vCPU's record. */
#define RUN_WORK(_name, _id, _work)						\
static noinline void _name##_other(struct kvm_vcpu *vcpu)			\
{										\
	struct kvmmem_vcpu *rec = find_or_meet(vcpu);				\
										\
	if (rec)								\
		_work(rec, vcpu);						\
}										\
										\
static __always_inline void _name(struct kvm_vcpu *vcpu)			\
{										\
	struct kvmmem_vcpu *rec = kvmmem_vcpu_first(vcpu);			\
										\
	kvmmem_hook_seen(_id);							\
	if (likely(rec))							\
		_work(rec, vcpu);						\
	else									\
		_name##_other(vcpu);						\
}

/* On Intel the tag is that of the VMCS, which is current in kvm_entry. */
static __always_inline void enter_vmx(struct kvmmem_vcpu *rec, struct kvm_vcpu *vcpu)
{
	kvmmem_tlb_entry_vmx(rec, vcpu);
	kvmmem_latency_entry(rec);
}

static __always_inline void leave_vmx(struct kvmmem_vcpu *rec, struct kvm_vcpu *vcpu)
{
	kvmmem_latency_exit(rec);
}

static __always_inline void enter_svm(struct kvmmem_vcpu *rec, struct kvm_vcpu *vcpu)
{
	kvmmem_latency_entry(rec);
}

/* On AMD the tag is chosen after kvm_entry (svm.c, pre_svm_run). */
static __always_inline void leave_svm(struct kvmmem_vcpu *rec, struct kvm_vcpu *vcpu)
{
	kvmmem_latency_exit(rec);
	kvmmem_tlb_exit_svm(rec, vcpu);
}

RUN_WORK(entry_vmx, KVMMEM_HOOK_ENTRY, enter_vmx)
RUN_WORK(exit_vmx, KVMMEM_HOOK_EXIT, leave_vmx)
RUN_WORK(entry_svm, KVMMEM_HOOK_ENTRY, enter_svm)
RUN_WORK(exit_svm, KVMMEM_HOOK_EXIT, leave_svm)

KVMMEM_ENTRY_PROBES(entry_vmx);
KVMMEM_EXIT_PROBES(exit_vmx);
KVMMEM_ENTRY_PROBES(entry_svm);
KVMMEM_EXIT_PROBES(exit_svm);

static struct kvmmem_hook entry_hook = {
	.id = KVMMEM_HOOK_ENTRY,
	.name = "kvm_entry",
	.module = "kvm",
};

static struct kvmmem_hook exit_hook = {
	.id = KVMMEM_HOOK_EXIT,
	.name = "kvm_exit",
	.module = "kvm",
};

static struct kvmmem_hook *tag_hook, *time_hook;	/* by whose need it stands or falls */
static bool wanted[KVMMEM_NR_RUN_NEEDS];

/**
 * kvmmem_run_init - choose the probes of this processor
 *
 * Before any kvmmem_run_want().
 */
void kvmmem_run_init(void)
{
	if (kvmmem_cpu_is_svm()) {
		entry_hook.probes = entry_svm_probes;
		exit_hook.probes = exit_svm_probes;
		tag_hook = &exit_hook;
		time_hook = &entry_hook;
	} else {
		entry_hook.probes = entry_vmx_probes;
		exit_hook.probes = exit_vmx_probes;
		tag_hook = &entry_hook;
		time_hook = &exit_hook;
	}
	tag_hook->purpose = "hardware-tag,service-time";
	time_hook->purpose = "service-time";
	entry_hook.state = KVMMEM_HOOK_OFF;
	exit_hook.state = KVMMEM_HOOK_OFF;
	memset(wanted, 0, sizeof(wanted));
	kvmmem_hook_add(&entry_hook);
	kvmmem_hook_add(&exit_hook);
}

/**
 * kvmmem_run_want - attach the probes that something needs, or let go of them
 * @need: what for
 * @on: is it wanted?
 * @why_not: when it cannot be done here: the reason, for 'hooks'
 *
 * When it returns after off, probes that nothing else needs are not running.
 * Context: may sleep; not beside itself.
 */
void kvmmem_run_want(enum kvmmem_run_need need, bool on, const char *why_not)
{
	wanted[need] = on;
	if (need == KVMMEM_RUN_TIME)
		time_hook->note = why_not;
	else if (!on)
		tag_hook->note = NULL;
	kvmmem_hook_switch(tag_hook, wanted[KVMMEM_RUN_TAG] || wanted[KVMMEM_RUN_TIME]);
	kvmmem_hook_switch(time_hook, wanted[KVMMEM_RUN_TIME]);
}

/**
 * kvmmem_run_attached - are the probes at work?
 * @need: what for
 */
bool kvmmem_run_attached(enum kvmmem_run_need need)
{
	return READ_ONCE(wanted[need]) && kvmmem_hook_attached(tag_hook) &&
	       (need == KVMMEM_RUN_TAG || kvmmem_hook_attached(time_hook));
}

/**
 * kvmmem_run_note - what the tags' probe cannot do here
 * @note: a word for 'hooks'
 */
void kvmmem_run_note(const char *note)
{
	tag_hook->note = note;
}
