// SPDX-License-Identifier: GPL-2.0
#include "attach/hook.h"

DEFINE_PER_CPU(u64[KVMMEM_NR_HOOKS], kvmmem_hook_events);

/**
 * kvmmem_hook_settle - note how attaching a hook ended
 * @hook: the hook
 * @err: 0 or an errno
 *
 * Context: hooks_mutex.
 */
void kvmmem_hook_settle(struct kvmmem_hook *hook, int err)
{
	hook->err = err;
	if (!err)
		WRITE_ONCE(hook->state, KVMMEM_HOOK_ATTACHED);
	else
		WRITE_ONCE(hook->state, KVMMEM_HOOK_FAILED);
}

/**
 * kvmmem_hook_let_go - note that a hook is not attached any more
 * @hook: the hook
 *
 * One that a parameter has switched off stays off. Context: hooks_mutex.
 */
void kvmmem_hook_let_go(struct kvmmem_hook *hook)
{
	hook->err = 0;
	if (hook->state != KVMMEM_HOOK_OFF)
		WRITE_ONCE(hook->state, KVMMEM_HOOK_WAITING);
}

/**
 * kvmmem_hook_attached - is this hook on?
 * @hook: the hook
 *
 * Context: any; the answer may be old by the time it is used.
 *
 * Return: true when it is.
 */
bool kvmmem_hook_attached(const struct kvmmem_hook *hook)
{
	return READ_ONCE(hook->state) == KVMMEM_HOOK_ATTACHED;
}

/**
 * kvmmem_hook_events_seen - events that a hook has seen since load
 * @hook: the hook
 *
 * Return: how many, of all processors.
 */
u64 kvmmem_hook_events_seen(const struct kvmmem_hook *hook)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(kvmmem_hook_events, cpu)[hook->id]);
	return sum;
}
