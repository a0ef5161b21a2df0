// SPDX-License-Identifier: GPL-2.0
/*
 * Called when a trace event is switched on and off, which can be before kvmmem has
 * started and after it has stopped.
 */
#include <linux/capability.h>
#include <linux/mutex.h>

#include "registry/observed.h"

DEFINE_STATIC_KEY_FALSE(kvmmem_observed_key);

/* Nests inside tracepoints_mutex, the kernel's own. */
static DEFINE_MUTEX(stuck_mutex);
static void (*stuck_begin)(void);	/* stuck_mutex */
static bool stuck_wanted;		/* stuck_mutex */

static bool ready;

/**
 * kvmmem_trace_ready - from here on perf asks by itself who may open an event
 *
 * Context: any.
 */
void kvmmem_trace_ready(void)
{
	WRITE_ONCE(ready, true);
}

/**
 * kvmmem_trace_allowed - may a trace event be switched on?
 *
 * Events are there before any of kvmmem's code runs, and until then perf lets anybody
 * open one, which keeps kvmmem loaded: see kvmmem_trace_init(). Context: any.
 *
 * Return: 0 or -EACCES.
 */
int kvmmem_trace_allowed(void)
{
	return READ_ONCE(ready) || perfmon_capable() ? 0 : -EACCES;
}

/**
 * kvmmem_observe - one more wants to hear of each fault
 *
 * Context: may sleep.
 *
 * Return: 0 or an errno.
 */
int kvmmem_observe(void)
{
	int err = kvmmem_trace_allowed();

	if (!err)
		static_branch_inc(&kvmmem_observed_key);
	return err;
}

/**
 * kvmmem_unobserve - one who does not any more
 *
 * Context: may sleep.
 */
void kvmmem_unobserve(void)
{
	static_branch_dec(&kvmmem_observed_key);
}

/**
 * kvmmem_stuck_wanted - somebody wants to hear of vCPUs that do not get on
 *
 * Context: may sleep.
 *
 * Return: 0 or an errno.
 */
int kvmmem_stuck_wanted(void)
{
	int err = kvmmem_trace_allowed();

	if (err)
		return err;
	mutex_lock(&stuck_mutex);
	WRITE_ONCE(stuck_wanted, true);
	if (stuck_begin)
		stuck_begin();
	mutex_unlock(&stuck_mutex);
	return 0;
}

/**
 * kvmmem_stuck_unwanted - nobody does any more
 *
 * Context: may sleep.
 */
void kvmmem_stuck_unwanted(void)
{
	mutex_lock(&stuck_mutex);
	WRITE_ONCE(stuck_wanted, false);
	mutex_unlock(&stuck_mutex);
}

/**
 * kvmmem_stuck_is_wanted - does somebody want to hear of them?
 *
 * True a little before the trace event is on, so that who looks does not give up
 * meanwhile. Context: any.
 *
 * Return: true if so.
 */
bool kvmmem_stuck_is_wanted(void)
{
	return READ_ONCE(stuck_wanted);
}

/**
 * kvmmem_stuck_watch_by - who looks for them
 * @begin: begins to; NULL: nobody. Called at once if they are wanted already.
 *
 * When it returns the former one is not being called. Context: may sleep.
 */
void kvmmem_stuck_watch_by(void (*begin)(void))
{
	mutex_lock(&stuck_mutex);
	stuck_begin = begin;
	if (begin && stuck_wanted)
		begin();
	mutex_unlock(&stuck_mutex);
}
