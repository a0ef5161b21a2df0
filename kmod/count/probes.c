// SPDX-License-Identifier: GPL-2.0
/*
 * The hot path: every probe that runs while a vCPU is on its way.
 *
 * Who has to trust kvmmem with a hypervisor's hot paths reads this file and the
 * inline functions that it calls (count/inval.h, count/latency.h, count/mmio.h,
 * count/tlb.h, the lookups of registry/vm.h, decode/fault.h), and nothing else. What holds here:
 *
 * - A probe runs in the thread of its vCPU, or in one that holds the vCPU's mutex,
 *   so a vCPU's counters have one writer: plain increments, no atomics, no locks.
 * - The straight path allocates nothing, divides nothing and writes to no line
 *   that another processor writes to. What is rare is out of line.
 * - Preemption may be on (7.3 calls probes under SRCU), and a probe may end on
 *   another processor than it began on: nothing is kept by processor.
 * - What is not wanted is a jump that static keys take out.
 */
#include <linux/module.h>

#include "attach/hooks.h"
#include "compat/probe.h"
#include "count/async.h"
#include "count/away.h"
#include "count/dirty.h"
#include "count/fault.h"
#include "count/inval.h"
#include "count/latency.h"
#include "count/mmio.h"
#include "count/probes.h"
#include "count/regs.h"
#include "count/requests.h"
#include "count/run.h"
#include "count/stuck.h"
#include "count/tlb.h"
#include "count/tlb_hooks.h"
#include "count/violation.h"
#include "registry/life.h"
#include "registry/lost.h"
#include "registry/observed.h"
#include "registry/records.h"
#include "registry/tally.h"
#include "registry/vm.h"

/*
 * The probes' other path: the record is not the first of its hash chain, or
 * there is none since the vCPU is older than kvmmem and was not found.
 */
static struct kvmmem_vcpu *probe_find_or_meet(struct kvm_vcpu *vcpu)
{
	struct kvmmem_vcpu *rec = kvmmem_vcpu_meet(vcpu);

	if (!rec)
		kvmmem_lost();
	return rec;
}

/*
 * The rest of a fault's path: a vCPU met for the first time or not the first of
 * its hash chain, one whose starting point is not known, a slot other than the last
 * one, MMIO, nested guests, SMM, or shadow paging; any while somebody observes faults.
 */
static noinline __noclone void fault_count_special(void *data, struct kvm_vcpu *vcpu,
						   u64 addr, u64 code)
{
	struct kvmmem_vcpu *rec = probe_find_or_meet(vcpu);
	unsigned int class;

	if (!rec)
		return;
	rec->fault_class &= ~KVMMEM_FAULT_PLUGGED;
	if (kvmmem_vcpu_hides_state(vcpu))
		WRITE_ONCE(rec->vm->hides_mmio, true);
	/* KVM counts this fault after the tracepoint, so this is where we start. */
	if (rec->special & KVMMEM_VCPU_NO_BASE) {
		rec->pf_base = kvmmem_vcpu_pf_taken(vcpu);
		smp_wmb(); /* the base before the flag that says there is one */
		WRITE_ONCE(rec->special, rec->special & ~KVMMEM_VCPU_NO_BASE);
	}
	if (rec->special & KVMMEM_VCPU_SHADOW)
		class = kvmmem_decode_shadow(code);
	else
		class = kvmmem_cpu_is_svm() ? kvmmem_decode_svm(code) : kvmmem_decode_vmx(code);
	/*
	 * Memory may have come where an entry still says that there is a device. KVM looks
	 * whether the entry is that old, and then so do we, see mmio.c.
	 */
	if (class == KVMMEM_FAULT_MMIO && !(rec->special & KVMMEM_VCPU_SHADOW) &&
	    !kvmmem_vcpu_is_nested_tdp(vcpu) && !kvmmem_mmio_is(rec, vcpu, addr >> PAGE_SHIFT)) {
		class = kvmmem_decode_svm(code & ~(KVMMEM_PF_RSVD | KVMMEM_PF_PRESENT));
		if (kvmmem_mmio_is_checked(vcpu)) {
			rec->fault_class = class | KVMMEM_FAULT_PLUGGED;
			return;
		}
	}
	if (class < KVMMEM_FAULT_CLASSES && !kvmmem_mmio_is_not(rec, vcpu, addr) &&
	    kvmmem_mmio_is(rec, vcpu, addr >> PAGE_SHIFT))
		class = KVMMEM_FAULT_NO_SLOT;
	rec->fault[class]++;
	kvmmem_tally(rec->vm, KVMMEM_TALLY_FAULT + class, 1);
	if (class == KVMMEM_FAULT_MMIO)
		return;
	if (class < KVMMEM_FAULT_CLASSES && (vcpu->arch.hflags & HF_GUEST_MASK)) {
		rec->l2++;
		kvmmem_tally(rec->vm, KVMMEM_TALLY_L2, 1);
	}
	if (class >= KVMMEM_FAULT_CLASSES || (vcpu->arch.hflags & HF_GUEST_MASK)) {
		if (READ_ONCE(rec->vm->taken))
			kvmmem_inval_gone(rec);
	} else {
		kvmmem_inval_fault(rec, addr);
	}
	rec->fault_exit = vcpu->stat.exits;
	if (class == KVMMEM_FAULT_NO_SLOT)
		return;
	if ((rec->special & KVMMEM_VCPU_SAMPLE) && static_branch_likely(&kvmmem_latency_key))
		kvmmem_stuck_look(rec, vcpu, addr);
	kvmmem_latency_fault(rec, class);
	if (kvmmem_observed())
		kvmmem_violation_begin(rec, vcpu, addr, class, kvmmem_latency_open(rec));
	if (READ_ONCE(rec->vm->dirty.on) && class < KVMMEM_FAULT_CLASSES &&
	    (class & KVMMEM_FAULT_PROT) && (class & KVMMEM_FAULT_WRITE))
		kvmmem_dirty_fault(rec, vcpu, addr >> PAGE_SHIFT, kvmmem_latency_open(rec));
}

/* The other path takes the tracepoint's arguments as they are: nothing to move about here. */
#define FAULT_PROBE(_name, _decode, _is_marked)					\
static __always_inline void _name(void *data, struct kvm_vcpu *vcpu, u64 addr, u64 code) \
{										\
	struct kvmmem_vcpu *rec = kvmmem_vcpu_first(vcpu);			\
										\
	kvmmem_hook_seen(KVMMEM_HOOK_PAGE_FAULT);				\
	if (likely(rec && !kvmmem_observed() && !(_is_marked) &&		\
		   kvmmem_mmio_is_not(rec, vcpu, addr))) {			\
		unsigned long class = _decode(code);				\
										\
		rec->fault[class]++;						\
		kvmmem_latency_fault(rec, class);				\
		kvmmem_inval_fault(rec, addr);					\
	} else {								\
		fault_count_special(NULL, vcpu, addr, code);			\
	}									\
}

FAULT_PROBE(fault_vmx, kvmmem_decode_vmx, false)
FAULT_PROBE(fault_svm, kvmmem_decode_svm, code & KVMMEM_PF_RSVD)

KVMMEM_PAGE_FAULT_PROBES(fault_vmx, kvmmem_lost);
KVMMEM_PAGE_FAULT_PROBES(fault_svm, kvmmem_lost);

/*
 * L1 takes over. It does so for other reasons, too, and KVM finds what L1's tables
 * lack while it emulates, too: it was the fault if this exit was one.
 */
static __always_inline void fault_reflected(struct kvm_vcpu *vcpu, u64 exit_code)
{
	struct kvmmem_vcpu *rec;

	kvmmem_hook_seen(KVMMEM_HOOK_NESTED_INJECT);
	rec = vcpu ? kvmmem_vcpu_find(vcpu) : NULL;
	if (!rec || !kvmmem_decode_reflected(kvmmem_cpu_is_svm(), exit_code) ||
	    rec->fault_exit != (u32)vcpu->stat.exits)
		return;
	rec->reflected++;
	kvmmem_tally(rec->vm, KVMMEM_TALLY_REFLECTED, 1);
	/* Alone among its callers this one may be preempted, and away.c then writes to it. */
	preempt_disable();
	kvmmem_latency_entry(rec);
	preempt_enable();
}

KVMMEM_NESTED_INJECT_PROBES(fault_reflected);

/* What KVM shows of MMIO (mmio.c); none of it is on the way of a fault on memory. */
static KVMMEM_FTRACE_FUNC(mmio_on_emulate)
{
	int type = kvmmem_ftrace_arg(2);

	kvmmem_hook_seen(KVMMEM_HOOK_EMULATE);
	if (type & EMULTYPE_PF)
		kvmmem_mmio_emulated((struct kvm_vcpu *)kvmmem_ftrace_arg(0),
				     kvmmem_ftrace_arg(1));
}

static __always_inline void mmio_fast(struct kvm_vcpu *vcpu)
{
	kvmmem_hook_seen(KVMMEM_HOOK_FAST_MMIO);
	kvmmem_mmio_fast(vcpu);
}

/* Memory has come where KVM's entry said that there is a device: a fault on memory. */
static noinline void fault_plugged(struct kvm_vcpu *vcpu, unsigned int class)
{
	struct kvmmem_vcpu *rec = kvmmem_vcpu_of_hook(vcpu);

	rec->fault[class]++;
	kvmmem_tally(rec->vm, KVMMEM_TALLY_FAULT + class, 1);
	if (vcpu->arch.hflags & HF_GUEST_MASK) {
		rec->l2++;
		kvmmem_tally(rec->vm, KVMMEM_TALLY_L2, 1);
	}
	kvmmem_latency_fault(rec, class);
	if (kvmmem_observed())
		kvmmem_violation_begin(rec, vcpu, kvmmem_vcpu_fault_gpa(vcpu, 0), class,
				       kvmmem_latency_open(rec));
}

static __always_inline void mmio_check(struct kvm_vcpu *vcpu, bool stale)
{
	unsigned int plugged;

	kvmmem_hook_seen(KVMMEM_HOOK_CHECK_MMIO);
	plugged = kvmmem_mmio_checked(vcpu, stale);
	if (plugged)
		fault_plugged(vcpu, plugged & ~KVMMEM_FAULT_PLUGGED);
}

static __always_inline void mmio_mark(struct kvm_vcpu *vcpu)
{
	kvmmem_hook_seen(KVMMEM_HOOK_MARK_MMIO);
	kvmmem_mmio_made(vcpu);
}

KVMMEM_FAST_MMIO_PROBES(mmio_fast);
KVMMEM_CHECK_MMIO_PROBES(mmio_check);
KVMMEM_MARK_MMIO_PROBES(mmio_mark);

static const struct kvmmem_mmio_probes mmio_probes = {
	.emulate = mmio_on_emulate,
	.fast = mmio_fast_probes,
	.check = mmio_check_probes,
	.mark = mmio_mark_probes,
};

/* What a probe of kvm_entry or kvm_exit does: @work(rec, vcpu) on the vCPU's record. */
#define RUN_WORK(_name, _id, _work)						\
static noinline void _name##_other(struct kvm_vcpu *vcpu)			\
{										\
	struct kvmmem_vcpu *rec = probe_find_or_meet(vcpu);			\
										\
	if (!rec)								\
		return;								\
	kvmmem_regs_look(rec, vcpu);						\
	_work(rec, vcpu);							\
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

/* Where the thread is when it does not run in KVM (away.c). */
static struct kvm_vcpu *away_vcpu(struct preempt_notifier *notifier)
{
	return container_of(notifier, struct kvm_vcpu, preempt_notifier);
}

static KVMMEM_FTRACE_FUNC(away_on_out)
{
	kvmmem_hook_seen(KVMMEM_HOOK_SCHED_OUT);
	kvmmem_away_out(away_vcpu((void *)kvmmem_ftrace_arg(0)));
}

static KVMMEM_FTRACE_FUNC(away_on_in)
{
	kvmmem_hook_seen(KVMMEM_HOOK_SCHED_IN);
	kvmmem_away_in(away_vcpu((void *)kvmmem_ftrace_arg(0)));
}

static __always_inline void async_begun(struct kvm_vcpu *vcpu, u64 token)
{
	kvmmem_hook_seen(KVMMEM_HOOK_ASYNC_BEGUN);
	kvmmem_async_begun(vcpu);
}

static __always_inline void async_ready(struct kvm_vcpu *vcpu, u64 token)
{
	kvmmem_hook_seen(KVMMEM_HOOK_ASYNC_READY);
	kvmmem_async_ready(vcpu, token);
}

KVMMEM_ASYNC_PROBES(async_begun);
KVMMEM_ASYNC_PROBES(async_ready);

/* At the entry of the vendor module's flush functions, whose first argument is the vCPU. */
#define ON_FLUSH(_name, _id, _kind)						\
static KVMMEM_FTRACE_FUNC(_name)						\
{										\
	kvmmem_hook_seen(_id);							\
	kvmmem_tlb_flushed((struct kvm_vcpu *)kvmmem_ftrace_arg(0), _kind);	\
}

ON_FLUSH(tlb_on_flush_all, KVMMEM_HOOK_FLUSH_ALL, KVMMEM_FLUSH_ALL)
ON_FLUSH(tlb_on_flush_current, KVMMEM_HOOK_FLUSH_CURRENT, KVMMEM_FLUSH_CURRENT)
ON_FLUSH(tlb_on_flush_guest, KVMMEM_HOOK_FLUSH_GUEST, KVMMEM_FLUSH_GUEST)
ON_FLUSH(tlb_on_flush_asid, KVMMEM_HOOK_FLUSH_ASID, KVMMEM_FLUSH_ASID)
ON_FLUSH(tlb_on_flush_any, KVMMEM_HOOK_FLUSH_ANY, KVMMEM_FLUSH_ANY)

/* Where KVM does not count the requests for remote flushes. */
static KVMMEM_FTRACE_FUNC(tlb_on_remote_flush)
{
	kvmmem_hook_seen(KVMMEM_HOOK_REMOTE);
	kvmmem_vm_requested((struct kvm *)kvmmem_ftrace_arg(0));
}

static __always_inline void tlb_pv_flush(struct kvm_vcpu *vcpu, bool need_flush)
{
	kvmmem_hook_seen(KVMMEM_HOOK_PV_FLUSH);
	if (need_flush)
		kvmmem_tlb_pv_asked(vcpu);
}

KVMMEM_PV_FLUSH_PROBES(tlb_pv_flush);

/* By the hook's id. */
static const ftrace_func_t flush_funcs[KVMMEM_NR_HOOKS] = {
	[KVMMEM_HOOK_FLUSH_ALL] = tlb_on_flush_all,
	[KVMMEM_HOOK_FLUSH_CURRENT] = tlb_on_flush_current,
	[KVMMEM_HOOK_FLUSH_GUEST] = tlb_on_flush_guest,
	[KVMMEM_HOOK_FLUSH_ASID] = tlb_on_flush_asid,
	[KVMMEM_HOOK_FLUSH_ANY] = tlb_on_flush_any,
};

/**
 * kvmmem_probes_init - give each hook of the hot path its probes for this processor
 *
 * After the registry's hooks, before any is attached. Context: may sleep.
 */
void kvmmem_probes_init(void)
{
	if (kvmmem_cpu_is_svm()) {
		kvmmem_fault_init(fault_svm_probes, fault_reflected_probes);
		kvmmem_run_init(entry_svm_probes, exit_svm_probes);
	} else {
		kvmmem_fault_init(fault_vmx_probes, fault_reflected_probes);
		kvmmem_run_init(entry_vmx_probes, exit_vmx_probes);
	}
	kvmmem_mmio_init(&mmio_probes);
	kvmmem_away_init(away_on_out, away_on_in);
	kvmmem_async_init(async_begun_probes, async_ready_probes);
	kvmmem_tlb_hooks_init(flush_funcs, tlb_pv_flush_probes, tlb_on_remote_flush);
}
