// SPDX-License-Identifier: GPL-2.0
/*
 * The one file that makes the trace events of trace.h.
 */
#include <linux/capability.h>
#include <linux/perf_event.h>
#include <linux/trace_events.h>

#define CREATE_TRACE_POINTS
#include "registry/observed.h"
#include "registry/trace.h"

/* One that is inherited was allowed to its parent. */
static int trace_perf_perm(struct trace_event_call *call, struct perf_event *event)
{
	return event->parent || perfmon_capable() ? 0 : -EACCES;
}

/**
 * kvmmem_trace_init - nobody but who may look into the kernel opens an event by perf
 *
 * perf lets anybody count an event of his own threads, by its number. An open event keeps
 * kvmmem loaded, and has each VM's faults go the longer way.
 *
 * Context: may sleep; first of all, since the events are there before any of kvmmem's
 * code runs.
 */
void kvmmem_trace_init(void)
{
	event_ept_violation.perf_perm = trace_perf_perm;
	event_tlb_flush.perf_perm = trace_perf_perm;
	event_invalidate.perf_perm = trace_perf_perm;
	event_huge_split.perf_perm = trace_perf_perm;
	event_huge_recovered.perf_perm = trace_perf_perm;
	event_vcpu_stuck.perf_perm = trace_perf_perm;
	event_vm_begin.perf_perm = trace_perf_perm;
	event_vm_end.perf_perm = trace_perf_perm;
}
