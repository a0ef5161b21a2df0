// SPDX-License-Identifier: GPL-2.0
/*
 * The events that the perf PMU has, and which of them can be told here.
 */
#include <linux/build_bug.h>
#include <linux/kernel.h>

#include "attach/hooks.h"
#include "compat/memory.h"
#include "count/requests.h"
#include "count/tlb_hooks.h"
#include "registry/tally.h"
#include "show/pmu_gauges.h"
#include "show/pmu_kinds.h"

#define FAULTS		BIT_ULL(KVMMEM_HOOK_PAGE_FAULT)
#define MMIO		(FAULTS | BIT_ULL(KVMMEM_HOOK_FAST_MMIO) | BIT_ULL(KVMMEM_HOOK_EMULATE))
#define REFLECTED	(FAULTS | BIT_ULL(KVMMEM_HOOK_NESTED_INJECT))
#define TIME		(FAULTS | BIT_ULL(KVMMEM_HOOK_ENTRY) | BIT_ULL(KVMMEM_HOOK_EXIT))
#define PARTS		(TIME | BIT_ULL(KVMMEM_HOOK_SCHED_OUT) | BIT_ULL(KVMMEM_HOOK_SCHED_IN))
#define FLUSHES		BIT_ULL(KVMMEM_HOOK_PV_FLUSH)
#define INVALS		BIT_ULL(KVMMEM_HOOK_NOTIFIER)

#define KIND(_name, _tallies, _hooks)						\
	{ .name = #_name, .tallies = _tallies, .hooks = _hooks }
#define KIND_NS(_name, _tallies, _hooks)					\
	{ .name = #_name, .tallies = _tallies, .hooks = _hooks, .unit = KVMMEM_PMU_NS }
#define KIND_CAUSE(_name, _cause)						\
	{ .name = "tlb_flushes_" #_name, .hooks = FLUSHES, .cause = true,	\
	  .tallies = BIT_ULL(KVMMEM_TALLY_FLUSH + KVMMEM_CAUSE_##_cause) }
#define INVAL(_who)		BIT_ULL(KVMMEM_TALLY_INVAL + KVMMEM_INVAL_##_who)
#define KIND_GAUGE(_name, _gauge)						\
	{ .name = #_name, .tallies = KVMMEM_GAUGE_##_gauge, .unit = KVMMEM_PMU_KIB }
#define KIND_MAPPED(_name, _gauge)						\
	{ .name = #_name, .tallies = KVMMEM_GAUGE_##_gauge, .unit = KVMMEM_PMU_KIB, \
	  .mappings = true }

/* The number of an event is its place, from 1: new ones go last. */
const struct kvmmem_pmu_kind kvmmem_pmu_kinds[] = {
	KIND(ept_violations, 0xffff, FAULTS),
	/* By the bits of the class: neither WRITE nor EXEC, WRITE alone, EXEC, PROT, WALK. */
	KIND(ept_violations_read, 0x0303, FAULTS),
	KIND(ept_violations_write, 0x0c0c, FAULTS),
	KIND(ept_violations_exec, 0xf0f0, FAULTS),
	KIND(ept_violations_protection, 0xaaaa, FAULTS),
	KIND(ept_violations_page_walk, 0xff00, FAULTS),
	KIND(mmio, BIT_ULL(KVMMEM_FAULT_MMIO) | BIT_ULL(KVMMEM_FAULT_NO_SLOT), MMIO),
	KIND(shadow, BIT_ULL(KVMMEM_FAULT_SHADOW), FAULTS),
	KIND(ept_violations_l2, BIT_ULL(KVMMEM_TALLY_L2), FAULTS),
	KIND(ept_violations_reflected, BIT_ULL(KVMMEM_TALLY_REFLECTED), REFLECTED),
	KIND(refaults, BIT_ULL(KVMMEM_TALLY_REFAULT), FAULTS | INVALS),
	KIND(served, BIT_ULL(KVMMEM_TALLY_SERVED), TIME),
	KIND_NS(service_time, BIT_ULL(KVMMEM_TALLY_KVM_NS) | BIT_ULL(KVMMEM_TALLY_ASLEEP_NS) |
		BIT_ULL(KVMMEM_TALLY_USER_NS), TIME),
	KIND_NS(service_time_kvm, BIT_ULL(KVMMEM_TALLY_KVM_NS), PARTS),
	KIND_NS(service_time_asleep, BIT_ULL(KVMMEM_TALLY_ASLEEP_NS), PARTS),
	KIND_NS(service_time_user, BIT_ULL(KVMMEM_TALLY_USER_NS), PARTS),
	KIND(tlb_flushes, GENMASK_ULL(KVMMEM_TALLY_FLUSH + KVMMEM_NR_CAUSES - 1,
				      KVMMEM_TALLY_FLUSH), FLUSHES),
	KIND_CAUSE(remote, REMOTE),
	KIND_CAUSE(guest, GUEST),
	KIND_CAUSE(nested, NESTED),
	KIND_CAUSE(tag, TAG),
	KIND_CAUSE(other, OTHER),
	KIND(tlb_flushes_range, BIT_ULL(KVMMEM_TALLY_RANGE), FLUSHES),
	KIND(invalidations, GENMASK_ULL(KVMMEM_TALLY_INVAL + KVMMEM_NR_INVALS - 1,
					KVMMEM_TALLY_INVAL), INVALS),
	KIND(invalidations_vmm, INVAL(DISCARD) | INVAL(UNMAP), INVALS),
	KIND(invalidations_discard, INVAL(DISCARD), INVALS),
	KIND(invalidations_reclaim, INVAL(RECLAIM), INVALS),
	KIND(invalidations_ksm, INVAL(KSM), INVALS),
	KIND(invalidations_thp, INVAL(THP), INVALS),
	KIND(invalidations_migrate, INVAL(MIGRATE), INVALS),
	KIND(invalidations_numa_scan, INVAL(NUMA_SCAN), INVALS),
	KIND(invalidations_in_run, INVAL(IN_RUN), INVALS),
	KIND(invalidations_fork, INVAL(FORK), INVALS),
	KIND(invalidations_protect, INVAL(PROTECT), INVALS),
	KIND(invalidations_other, INVAL(OTHER), INVALS),
	{ .name = "invalidated", .tallies = BIT_ULL(KVMMEM_TALLY_INVAL_PAGES), .hooks = INVALS,
	  .unit = KVMMEM_PMU_PAGES },
	KIND_MAPPED(ept_4k, EPT_4K),
	KIND_MAPPED(ept_2m, EPT_2M),
	KIND_MAPPED(ept_1g, EPT_1G),
	KIND_MAPPED(ept_tables, TABLES),
	KIND_GAUGE(host_4k, HOST_4K),
	KIND_GAUGE(host_2m, HOST_2M),
	KIND_GAUGE(host_1g, HOST_1G),
	KIND_GAUGE(swap, SWAP),
	KIND_GAUGE(ksm, KSM),
};

const unsigned int kvmmem_pmu_nr_kinds = ARRAY_SIZE(kvmmem_pmu_kinds);

static_assert(ARRAY_SIZE(kvmmem_pmu_kinds) <= KVMMEM_PMU_MAX_KINDS);
static_assert(KVMMEM_NR_TALLIES <= 64);

/**
 * kvmmem_pmu_kind - an event by its number
 * @config: the number
 *
 * Return: NULL if there is none.
 */
const struct kvmmem_pmu_kind *kvmmem_pmu_kind(u64 config)
{
	const struct kvmmem_pmu_kind *kind;

	if (config - 1 >= kvmmem_pmu_nr_kinds)
		return NULL;
	kind = &kvmmem_pmu_kinds[config - 1];
	return kvmmem_pmu_kind_exists(kind) ? kind : NULL;
}

/**
 * kvmmem_pmu_kind_exists - can this kernel tell it?
 * @kind: the event
 *
 * Return: false if not.
 */
bool kvmmem_pmu_kind_exists(const struct kvmmem_pmu_kind *kind)
{
	return !kind->mappings || KVMMEM_KVM_COUNTS_LEAVES;
}

static void kinds_look_at_hook(const struct kvmmem_hook *hook, void *data)
{
	u64 *missing = data;

	if (hook->state != KVMMEM_HOOK_WAITING && hook->state != KVMMEM_HOOK_ATTACHED)
		*missing |= BIT_ULL(hook->id);
}

/**
 * kvmmem_pmu_kind_works - can it be told as things are?
 * @kind: the event
 *
 * Not what a parameter has switched off, or a hook was refused for. Context: may sleep.
 *
 * Return: false if not.
 */
bool kvmmem_pmu_kind_works(const struct kvmmem_pmu_kind *kind)
{
	u64 missing = 0;

	kvmmem_hooks_for_each(kinds_look_at_hook, &missing);
	if (kind->hooks & missing)
		return false;
	if (kind->tallies == BIT_ULL(KVMMEM_TALLY_FLUSH + KVMMEM_CAUSE_REMOTE) &&
	    kind->cause && !kvmmem_requests_reach_vcpus())
		return false;
	return !kind->cause || !kvmmem_tlb_on() || kvmmem_tlb_causes_known();
}
