// SPDX-License-Identifier: GPL-2.0
/*
 * The worker: a process context that tops up the reserve of records, tells the
 * watcher of births and deaths (debugfs directories) and frees dead records once
 * no hook and no reader can hold them.
 */
#include <linux/llist.h>
#include <linux/rcupdate.h>
#include <linux/tracepoint.h>
#include <linux/workqueue.h>

#include "registry/records.h"
#include "registry/worker.h"

static LLIST_HEAD(dead_vms);
static const struct kvmmem_vm_watch *watch;	/* changed only with no worker */

static void worker_fn(struct work_struct *work);
static DECLARE_WORK(worker, worker_fn);

/**
 * kvmmem_worker_kick - there may be something to do
 *
 * Context: any.
 */
void kvmmem_worker_kick(void)
{
	schedule_work(&worker);
}

/**
 * kvmmem_worker_bury - free a record when nobody can hold it any more
 * @vm: from kvmmem_record_unlink()
 *
 * When it returns nobody follows @vm->kvm any more. Context: a hook; does not
 * sleep.
 */
void kvmmem_worker_bury(struct kvmmem_vm *vm)
{
	/* Whoever was reading the struct kvm is done when this lock is ours. */
	raw_spin_lock(&vm->lock);
	WRITE_ONCE(vm->kvm, NULL);
	raw_spin_unlock(&vm->lock);
	llist_add(&vm->dead, &dead_vms);
	kvmmem_worker_kick();
}

/* Let go of the dead. Their slots may have new VMs already. */
static void worker_reap(void)
{
	struct llist_node *list = llist_del_all(&dead_vms);
	struct kvmmem_vm *vm, *next;

	if (!list)
		return;
	llist_for_each_entry(vm, list, dead)
		if (vm->announced)
			watch->died(vm);
	/* Hooks that found a record before it left the hash, and readers. */
	tracepoint_synchronize_unregister();
	synchronize_rcu();
	llist_for_each_entry_safe(vm, next, list, dead)
		kvmmem_vm_put(vm);
}

static void worker_announce(void)
{
	unsigned int slot;

	if (!watch)
		return;
	for (slot = 0; slot < kvmmem_vm_slots(); slot++) {
		/* Only the worker frees records, so the pointer stays good. */
		struct kvmmem_vm *vm = kvmmem_record_peek(slot);

		if (!vm || vm->announced)
			continue;
		/*
		 * A VM of the same id may have died before this one was born;
		 * its burial is visible by now, and its directory goes first.
		 */
		worker_reap();
		vm->announced = true;
		watch->born(vm);
	}
}

static void worker_fn(struct work_struct *work)
{
	kvmmem_records_top_up(GFP_KERNEL);
	worker_reap();
	worker_announce();
}

/**
 * kvmmem_worker_watch - have somebody told of births and deaths
 * @new: who, or NULL for nobody. Must stay until replaced.
 *
 * VMs that are there already are told of. When it returns after NULL, the
 * former watcher is not being called and will not be. Context: may sleep.
 */
void kvmmem_worker_watch(const struct kvmmem_vm_watch *new)
{
	unsigned int slot;

	cancel_work_sync(&worker);
	if (!new) {
		worker_reap();
		for (slot = 0; slot < kvmmem_vm_slots(); slot++) {
			struct kvmmem_vm *vm = kvmmem_record_peek(slot);

			if (vm)
				vm->announced = false;
		}
	}
	watch = new;
	schedule_work(&worker);
}

/**
 * kvmmem_worker_settle - wait until births and deaths so far have been told
 *
 * Context: may sleep.
 */
void kvmmem_worker_settle(void)
{
	flush_work(&worker);
}

/**
 * kvmmem_worker_stop - bury the last
 *
 * No hook is attached and there is no watcher. Context: may sleep.
 */
void kvmmem_worker_stop(void)
{
	cancel_work_sync(&worker);
	worker_reap();
}
