// SPDX-License-Identifier: GPL-2.0
/*
 * The trace event of a violation. What KVM made of it and how long it took are known
 * when the vCPU enters the guest again, so that is where the event is; in between its
 * beginning is kept in the vCPU's record. All of it is off the straight path of the
 * probes: the fault probe takes its other path while somebody observes, and marks the
 * fault as one after which there is more to do.
 *
 * While nobody measures service time nobody comes by at the end, so the event is where
 * the fault is, and leaves open what is not known there.
 */
#include "compat/guest.h"
#include "count/requests.h"
#include "count/violation.h"
#include "registry/observed.h"
#include "registry/trace.h"

static void violation_base(struct kvmmem_violation *base, const struct kvmmem_vcpu *rec)
{
	u64 sums[KVMMEM_NR_OUTCOMES] = {};

	kvmmem_vcpu_add_outcomes(rec->vcpu, sums);
	base->fixed = sums[KVMMEM_OUTCOME_FIXED];
	base->fast = sums[KVMMEM_OUTCOME_FAST];
	base->spurious = sums[KVMMEM_OUTCOME_SPURIOUS];
	base->emulated = sums[KVMMEM_OUTCOME_EMULATED];
}

/* By what has grown since. A fast one has been fixed, or was spurious, too. */
static const char *violation_outcome(const struct kvmmem_vcpu *rec)
{
	const struct kvmmem_violation *base = &rec->violation;
	struct kvmmem_violation now;

	if ((u8)rec->reflected != rec->observed.reflected)
		return "reflected";
	if (!KVMMEM_KVM_COUNTS_FAULTS)
		return "-";
	if ((u8)rec->async.begun != rec->observed.async)
		return "async";
	violation_base(&now, rec);
	if (now.fast != base->fast)
		return "fast";
	if (now.emulated != base->emulated)
		return "emulated";
	if (now.spurious != base->spurious)
		return "spurious";
	return now.fixed != base->fixed ? "fixed" : "retried";
}

static const char *violation_page(const struct kvm_vcpu *vcpu, u64 gpa)
{
	static const char * const words[] = { "-", "4k", "2m", "1g" };
	unsigned int level = 0;

	if (kvmmem_requests_reach_vcpus())
		level = kvmmem_vcpu_mapped_level(vcpu, gpa);
	return words[level < ARRAY_SIZE(words) ? level : 0];
}

static void violation_emit(const struct kvmmem_vcpu *rec, const char *outcome,
			   const char *page, s64 ns)
{
	static const char * const accesses[] = {
		[KVMMEM_ACCESS_READ] = "read",
		[KVMMEM_ACCESS_WRITE] = "write",
		[KVMMEM_ACCESS_EXEC] = "exec",
		[KVMMEM_ACCESS_BOTH] = "exec",
	};
	unsigned int class = rec->observed.class;
	struct kvmmem_seen seen = {
		.gpa = rec->violation.gpa,
		.ns = ns,
		/* KVM makes both up for TDX: see kvmmem_fault_mask(). */
		.access = rec->vm->is_tdx ? "-" : accesses[kvmmem_access_of(class)],
		.cause = rec->vm->is_tdx ? "-" :
			 class & KVMMEM_FAULT_PROT ? "protection" : "not-present",
		.outcome = outcome,
		.page = page,
		.walk = class & KVMMEM_FAULT_WALK,
		.l2 = rec->observed.l2,
	};

	trace_ept_violation(rec, &seen);
}

/**
 * kvmmem_violation_begin - a fault, while somebody observes
 * @rec: record of the vCPU, after kvmmem_latency_fault()
 * @vcpu: the vCPU, which the calling thread runs
 * @gpa: where
 * @class: of the fault
 * @timed: is its service time measured?
 *
 * Context: the fault probe's other path.
 */
void kvmmem_violation_begin(struct kvmmem_vcpu *rec, struct kvm_vcpu *vcpu, u64 gpa,
			    unsigned int class, bool timed)
{
	struct kvmmem_observed *observed = &rec->observed;

	if (timed)
		rec->fault_tsc |= KVMMEM_TSC_RARE;
	if (!trace_ept_violation_enabled() || class >= KVMMEM_FAULT_CLASSES)
		return;
	/* One more in the same exit: the first is over, and nobody has measured it. */
	if (observed->open)
		kvmmem_violation_end(rec, -1);
	rec->violation.gpa = gpa;
	observed->class = class;
	observed->l2 = !!(vcpu->arch.hflags & HF_GUEST_MASK);
	if (!timed) {
		violation_emit(rec, "-", "-", -1);
		return;
	}
	violation_base(&rec->violation, rec);
	observed->async = rec->async.begun;
	observed->reflected = rec->reflected;
	observed->open = true;
}

/**
 * kvmmem_violation_end - a violation is over
 * @rec: record of the vCPU, which the calling thread runs
 * @ns: its service time; -1 if not known
 *
 * Context: a hook in the vCPU's thread.
 */
void kvmmem_violation_end(struct kvmmem_vcpu *rec, s64 ns)
{
	rec->observed.open = false;
	if (trace_ept_violation_enabled())
		violation_emit(rec, violation_outcome(rec),
			       violation_page(rec->vcpu, rec->violation.gpa), ns);
}
