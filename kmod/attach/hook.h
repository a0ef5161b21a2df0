/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A hook: a function of kvmmem that KVM calls without knowing it, at one of its
 * tracepoints or at the entry of one of its functions.
 */
#ifndef _KVMMEM_HOOK_H
#define _KVMMEM_HOOK_H

#include <linux/ftrace.h>
#include <linux/list.h>
#include <linux/percpu.h>

#include "compat/probe.h"

/* One a hook; the index of its event counter. */
enum kvmmem_hook_id {
	KVMMEM_HOOK_VM_DESTROY,
	KVMMEM_HOOK_VM_CREATE,
	KVMMEM_HOOK_VCPU_CREATE,
	KVMMEM_HOOK_VCPU_DESTROY,
	KVMMEM_HOOK_PAGE_FAULT,
	KVMMEM_HOOK_FLUSH_ALL,
	KVMMEM_HOOK_FLUSH_CURRENT,
	KVMMEM_HOOK_FLUSH_GUEST,
	KVMMEM_HOOK_FLUSH_ASID,
	KVMMEM_HOOK_FLUSH_ANY,
	KVMMEM_HOOK_REMOTE,
	KVMMEM_HOOK_PV_FLUSH,
	KVMMEM_HOOK_ENTRY,
	KVMMEM_HOOK_EXIT,
	KVMMEM_HOOK_SPTE_CHANGED,
	KVMMEM_HOOK_EMULATE,
	KVMMEM_HOOK_FAST_MMIO,
	KVMMEM_HOOK_CHECK_MMIO,
	KVMMEM_HOOK_MARK_MMIO,
	KVMMEM_HOOK_NESTED_INJECT,
	KVMMEM_HOOK_SCHED_OUT,
	KVMMEM_HOOK_SCHED_IN,
	KVMMEM_HOOK_ASYNC_BEGUN,
	KVMMEM_HOOK_ASYNC_READY,
	KVMMEM_HOOK_SLOT_COMMIT,
	KVMMEM_HOOK_SPLIT,
	KVMMEM_HOOK_RING_EXIT,
	KVMMEM_HOOK_PML_FULL,
	KVMMEM_HOOK_SLOTS,
	KVMMEM_HOOK_NOTIFIER,
	KVMMEM_NR_HOOKS
};

/* Events seen, a counter for each hook and processor. */
DECLARE_PER_CPU(u64[KVMMEM_NR_HOOKS], kvmmem_hook_events);

/**
 * kvmmem_hook_seen - count one event of a hook, from the hook itself
 * @id: the hook
 */
static __always_inline void kvmmem_hook_seen(enum kvmmem_hook_id id)
{
	this_cpu_inc(kvmmem_hook_events[id]);
}

/**
 * enum kvmmem_hook_state - is a hook on, and why not
 * @KVMMEM_HOOK_OFF: a parameter switched it off
 * @KVMMEM_HOOK_WAITING: the module that has its place is not loaded
 * @KVMMEM_HOOK_ATTACHED: on
 * @KVMMEM_HOOK_ABSENT: this kernel has no such place
 * @KVMMEM_HOOK_FAILED: the kernel refused, see the error
 * @KVMMEM_HOOK_REFUSED: the tracepoint has a prototype that no probe expects
 */
enum kvmmem_hook_state {
	KVMMEM_HOOK_OFF,
	KVMMEM_HOOK_WAITING,
	KVMMEM_HOOK_ATTACHED,
	KVMMEM_HOOK_ABSENT,
	KVMMEM_HOOK_FAILED,
	KVMMEM_HOOK_REFUSED,
};

#define KVMMEM_GROUP_PLACES	5

/**
 * struct kvmmem_hook_group - functions of one module that are hooked together
 * @ops: one for all, since the kernel takes its time for each
 * @nr: of @places; 0: the group is not attached
 * @places: addresses of the functions and what is called there; they change only
 *	while nothing is attached
 */
struct kvmmem_hook_group {
	struct ftrace_ops ops;
	unsigned int nr;
	struct {
		unsigned long addr;
		ftrace_func_t func;
	} places[KVMMEM_GROUP_PLACES];
};

/**
 * struct kvmmem_hook - one hook
 * @id: index of its event counter
 * @name: name of the tracepoint, or symbol of the function
 * @module: name of the module that has it, as struct module spells it
 * @purpose: what for, a word for the reader
 * @probes: for a tracepoint: a probe for each prototype that it has on one kernel
 *	or another, the likeliest on this one first; ends with an empty one
 * @func: for a function: what is called at its entry. The kernel may call it with
 *	preemption on.
 * @group: for a function: with which others it is hooked
 * @node: list of all hooks; hooks_mutex, as everything below
 * @tp: the tracepoint while KVM is there
 * @probe: the one of @probes that is or will be attached
 * @checked: is @probe known to fit?
 * @found: the prototype that the tracepoint has, when no probe fits it; empty
 *	otherwise
 * @note: a word on what an attached hook cannot do here; or NULL
 * @why_not: the same of one that is on or off, asked whenever somebody wants to know;
 *	or NULL. Context: any.
 * @state: see enum kvmmem_hook_state
 * @err: errno when @state is KVMMEM_HOOK_FAILED
 */
struct kvmmem_hook {
	enum kvmmem_hook_id id;
	const char *name;
	const char *module;
	const char *purpose;
	const struct kvmmem_probe *probes;
	ftrace_func_t func;
	struct kvmmem_hook_group *group;

	struct list_head node;
	struct tracepoint *tp;
	const struct kvmmem_probe *probe;
	bool checked;
	char found[KVMMEM_PROTO_LEN];
	const char *note;
	const char *(*why_not)(void);
	enum kvmmem_hook_state state;
	int err;
};

void kvmmem_hook_settle(struct kvmmem_hook *hook, int err);
void kvmmem_hook_let_go(struct kvmmem_hook *hook);
bool kvmmem_hook_attached(const struct kvmmem_hook *hook);
u64 kvmmem_hook_events_seen(const struct kvmmem_hook *hook);

#endif /* _KVMMEM_HOOK_H */
