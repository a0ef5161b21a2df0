// SPDX-License-Identifier: GPL-2.0
/*
 * Telling the watcher (debugfs, which makes directories) of births and deaths.
 *
 * A work item of its own, since the watcher may have to wait for readers of what
 * it removes; nobody else's work waits with it. The watcher's side of a VM holds a
 * reference on the record from before it is told of the birth until it has been
 * told of the death.
 *
 * watch_mutex guards who the watcher is and whom it has been told of: births and
 * deaths go on while it is changed, so the work may begin at any moment. The
 * watcher's own locks nest inside it.
 */
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

#include "attach/queue.h"
#include "registry/info.h"
#include "registry/records.h"
#include "registry/watch.h"

static DEFINE_MUTEX(watch_mutex);
static const struct kvmmem_vm_watch *watcher;
static LIST_HEAD(told_vms);

static void watch_run(struct work_struct *work);
static DECLARE_WORK(watch, watch_run);

static void (*kick_too)(void);

static void watch_tell_death(struct kvmmem_vm *vm)
{
	watcher->died(vm);
	list_del(&vm->told_node);
	WRITE_ONCE(vm->told, false);
	kvmmem_vm_put(vm);
}

/* The dead first, since a new VM may have the id of one that has died. */
static void watch_tell_deaths(void)
{
	struct kvmmem_vm *vm, *next;

	list_for_each_entry_safe(vm, next, &told_vms, told_node)
		if (!kvmmem_vm_alive(vm))
			watch_tell_death(vm);
}

static void watch_tell_births(void)
{
	unsigned int slot;

	for (slot = kvmmem_vm_next(0); slot < kvmmem_vm_slots(); slot = kvmmem_vm_next(slot + 1)) {
		struct kvmmem_vm *vm = kvmmem_vm_get(slot);

		cond_resched();
		if (!vm)
			continue;
		/* One that dies from here on is told of in the next round. */
		if (!vm->told && kvmmem_vm_alive(vm) && watcher->born(vm)) {
			WRITE_ONCE(vm->told, true);
			list_add_tail(&vm->told_node, &told_vms);
			/* Whoever finds it told kicks nobody. */
			kvmmem_watch_kick_slots();
		} else {
			kvmmem_vm_put(vm);
		}
	}
}

static void watch_run(struct work_struct *work)
{
	mutex_lock(&watch_mutex);
	if (watcher) {
		watch_tell_deaths();
		watch_tell_births();
	}
	mutex_unlock(&watch_mutex);
}

/**
 * kvmmem_watch_kick_slots - memory slots have changed
 *
 * Of which the watcher need not hear. Context: any.
 */
void kvmmem_watch_kick_slots(void)
{
	typeof(kick_too) fn = READ_ONCE(kick_too);

	if (fn)
		fn();
}

/**
 * kvmmem_watch_kick - a VM was born or has died
 *
 * Context: any.
 */
void kvmmem_watch_kick(void)
{
	queue_work(kvmmem_queue, &watch);
	kvmmem_watch_kick_slots();
}

/**
 * kvmmem_watch_kick_too - call somebody at each kick of both kinds
 * @fn: who; does not sleep; NULL for nobody, after which calls may still be under way
 *	while there are hooks
 *
 * Context: any.
 */
void kvmmem_watch_kick_too(void (*fn)(void))
{
	WRITE_ONCE(kick_too, fn);
}

/**
 * kvmmem_watch_by - have somebody told of births and deaths
 * @new: who, or NULL for nobody. Must stay until replaced.
 *
 * VMs that are there already are told of. When it returns after NULL, the former
 * watcher has been told that all are dead, is not being called and will not be.
 * Context: may sleep.
 */
void kvmmem_watch_by(const struct kvmmem_vm_watch *new)
{
	struct kvmmem_vm *vm, *next;

	mutex_lock(&watch_mutex);
	list_for_each_entry_safe(vm, next, &told_vms, told_node)
		watch_tell_death(vm);
	watcher = new;
	mutex_unlock(&watch_mutex);
	kvmmem_watch_kick();
}

/**
 * kvmmem_watch_settle - wait until births and deaths so far have been told
 *
 * Context: may sleep.
 */
void kvmmem_watch_settle(void)
{
	flush_work(&watch);
}

/**
 * kvmmem_watch_stop - no more kicks will come
 *
 * There is no watcher. Context: may sleep.
 */
void kvmmem_watch_stop(void)
{
	cancel_work_sync(&watch);
}
