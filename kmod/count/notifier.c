// SPDX-License-Identifier: GPL-2.0
/*
 * MMU notifiers: one for each process that has a VM.
 *
 * A worker looks at births, deaths and changes of slots. Two others do what a tenant can
 * make long, and hold nothing meanwhile: the joiner has processes' notifiers made, and
 * looks afterwards whether the VM is still to be counted; the settler waits for those who
 * may still use what is to go.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "attach/hooks.h"
#include "compat/memory.h"
#include "compat/workqueue.h"
#include "count/inval.h"
#include "count/listener.h"
#include "count/notifier.h"
#include "decode/param.h"
#include "registry/info.h"
#include "registry/records.h"
#include "registry/watch.h"

#define RETRY_BUSY	(HZ / 10)
#define RETRY_FAILED	HZ

/* How long somebody waits for each of those who look, settle and join. */
#define WAIT_TRIES	10
#define WAIT_NAP_MS	10

/* How long VMs are looked at in a second: one, and all together. */
#define LOOK_US		(100 * USEC_PER_MSEC)
#define LOOKS_US	(250 * USEC_PER_MSEC)

/* What callbacks may still look at: so much is kept, where memory lay and VMs. */
#define OLD_MAX		256
#define RETIRED_MAX	1024

static DEFINE_MUTEX(notifier_mutex);
static LIST_HEAD(counted);		/* notifier_mutex */
static LIST_HEAD(asking);		/* of them those that are to join; notifier_mutex */
static LIST_HEAD(retired);		/* of those that were; notifier_mutex */
static struct kvmmem_ranges *old_ranges;	/* notifier_mutex */
static unsigned int nr_retired, nr_old;	/* with those that are waited for; notifier_mutex */
static bool leaving;			/* notifier_mutex */
static bool invalidations = true;

static void notifier_run(struct work_struct *work);
static DECLARE_DELAYED_WORK(worker, notifier_run);
static void joiner_run(struct work_struct *work);
static DECLARE_DELAYED_WORK(joiner, joiner_run);
static void settler_run(struct work_struct *work);
static DECLARE_WORK(settler, settler_run);

static struct kvmmem_hook notifier_hook = {
	.id = KVMMEM_HOOK_NOTIFIER,
	.name = "mmu-notifier",
	.module = "kvm",
	.purpose = "invalidations",
};

static void notifier_show_ranges(struct kvmmem_inval_counts *counts,
				 struct kvmmem_ranges *ranges)
{
	struct kvmmem_ranges *old;

	old = rcu_replace_pointer(counts->ranges, ranges, lockdep_is_held(&notifier_mutex));
	if (old) {
		old->next = old_ranges;
		old_ranges = old;
		nr_old++;
	}
}

/* Note where a VM's memory lies, by going through all of its slots; an errno. */
static int notifier_look(struct kvmmem_inval_counts *counts)
{
	struct kvmmem_ranges *ranges;
	int err;

	WRITE_ONCE(counts->vm->slots_changed, false);
	smp_mb(); /* what changes from here on is looked at once more */
	ranges = kvmmem_vm_ranges(counts->vm);
	err = PTR_ERR_OR_ZERO(ranges);
	counts->looked = err != -ENOMEM;
	notifier_show_ranges(counts, err ? NULL : ranges);
	return err;
}

static struct kvmmem_pace looks;	/* notifier_mutex */

static bool notifier_may_look(struct kvmmem_pace *pace, unsigned int most_us)
{
	if ((u32)jiffies - pace->since >= HZ) {
		pace->since = jiffies;
		pace->us = 0;
	}
	return pace->us < most_us;
}

/*
 * Everything that is to be done for a VM; an errno. Who changes one of thousands of slots
 * all the while is not looked at all the while.
 */
static int notifier_tend(struct kvmmem_inval_counts *counts, bool *looked)
{
	u64 begun, took;
	int err;

	if (!counts->listener) {
		/* A process without memory will have none. */
		if (list_empty(&counts->asking) && counts->joined != -E2BIG &&
		    counts->joined != -ESRCH) {
			list_add_tail(&counts->asking, &asking);
			mod_delayed_work(kvmmem_unbound_workqueue(), &joiner, 0);
		}
		/* Whoever is only busy the joiner tries again. */
		return counts->joined == -EBUSY ? 0 : counts->joined;
	}
	if (counts->looked && !READ_ONCE(counts->vm->slots_changed))
		return rcu_access_pointer(counts->ranges) ? 0 : -ENOSPC;
	if (!notifier_may_look(&counts->pace, LOOK_US) ||
	    !notifier_may_look(&looks, LOOKS_US) ||
	    (nr_old >= OLD_MAX && rcu_access_pointer(counts->ranges)))
		return -EBUSY;
	*looked = true;
	begun = ktime_get_ns();
	err = notifier_look(counts);
	took = div_u64(ktime_get_ns() - begun, NSEC_PER_USEC);
	counts->pace.us += min_t(u64, took, LOOK_US);
	looks.us += min_t(u64, took, LOOK_US);
	return err == -E2BIG ? -ENOSPC : err;
}

/* Take VMs that are dead, or all, out of where callbacks look. */
static void notifier_retire(bool all)
{
	struct kvmmem_inval_counts *counts, *next;
	bool room = false;

	list_for_each_entry_safe(counts, next, &counted, node) {
		if (!all && kvmmem_vm_alive(counts->vm))
			continue;
		list_del_init(&counts->asking);
		counts->retired = true;
		room |= kvmmem_listener_leave(counts);
		notifier_show_ranges(counts, NULL);
		list_move_tail(&counts->node, &retired);
		nr_retired++;
		cond_resched();
	}
	/* Perhaps in the process of one of those that had too many. */
	if (!room)
		return;
	list_for_each_entry(counts, &counted, node) {
		if (counts->joined == -E2BIG)
			counts->joined = 0;
		cond_resched();
	}
}

/* The counters of a VM, with a reference on its record while they are in the list. */
static struct kvmmem_inval_counts *notifier_count(struct kvmmem_vm *vm)
{
	struct kvmmem_inval_counts *counts = vm->inval ?: kvmmem_inval_make(vm);

	if (!counts || !list_empty(&counts->node) || !kvmmem_vm_alive(vm))
		kvmmem_vm_put(vm);
	else
		list_add_tail(&counts->node, &counted);
	return counts;
}

/* Tend all VMs; in how many ticks to come again, or 0. */
static unsigned long notifier_tend_all(void)
{
	struct kvmmem_inval_counts *counts, *next;
	const char *note = NULL;
	LIST_HEAD(seen);
	unsigned long later = 0;
	struct kvmmem_vm *vm;
	unsigned int slot;

	for (slot = kvmmem_vm_next(0); slot < kvmmem_vm_slots(); slot = kvmmem_vm_next(slot + 1)) {
		if (nr_retired >= RETIRED_MAX) {
			later = RETRY_BUSY;
			break;
		}
		vm = kvmmem_vm_get(slot);
		if (vm && !notifier_count(vm))
			later = RETRY_FAILED;
		cond_resched();
	}
	list_for_each_entry_safe(counts, next, &counted, node) {
		bool looked = false;

		switch (notifier_tend(counts, &looked)) {
		case 0:
		case -ESRCH:	/* there is no memory any more */
			break;
		case -EBUSY:
			later = later ?: RETRY_BUSY;
			break;
		case -E2BIG:
			note = "some-vm-of-very-many";
			break;
		case -ENOSPC:
			note = "some-vm-in-too-many-slots";
			break;
		default:
			note = "some-vm-refused";
			later = RETRY_FAILED;
		}
		/* Those for whom there was no time come first in the next run. */
		if (looked)
			list_move_tail(&counts->node, &seen);
		cond_resched();
	}
	list_splice_tail(&seen, &counted);
	notifier_hook.note = note;
	return later;
}

static void notifier_run(struct work_struct *work)
{
	unsigned long later = 0;
	bool on;

	mutex_lock(&notifier_mutex);
	/* Whoever comes later sees what was written later. */
	on = READ_ONCE(invalidations);
	notifier_retire(leaving || !on);
	if (!leaving && on)
		later = notifier_tend_all();
	if (!list_empty(&retired) || old_ranges)
		queue_work(kvmmem_unbound_workqueue(), &settler);
	mutex_unlock(&notifier_mutex);
	if (later)
		schedule_delayed_work(&worker, later);
}

/* Not at once: births come in crowds, and a VM's slots right after it. */
static void notifier_kick(void)
{
	schedule_delayed_work(&worker, 1);
}

/*
 * Wait for callbacks that may still use what is to go, and let go of it. The end of a
 * process with much memory is such a callback, of KVM's, so nobody else waits for it.
 */
static void settler_run(struct work_struct *work)
{
	struct kvmmem_inval_counts *counts, *next;
	struct kvmmem_ranges *ranges, *range;
	unsigned int nr = 0;
	bool back = false;
	LIST_HEAD(gone);

	mutex_lock(&notifier_mutex);
	list_splice_init(&retired, &gone);
	ranges = old_ranges;
	old_ranges = NULL;
	mutex_unlock(&notifier_mutex);

	mmu_notifier_synchronize();
	while ((range = ranges)) {
		ranges = range->next;
		kvfree(range);
		nr++;
	}
	mutex_lock(&notifier_mutex);
	nr_old -= nr;
	list_for_each_entry_safe(counts, next, &gone, node) {
		list_del_init(&counts->node);
		nr_retired--;
		counts->retired = false;
		counts->joined = 0;
		/* It may be wanted again, which nobody could see until now. */
		back |= kvmmem_vm_alive(counts->vm);
		kvmmem_vm_put(counts->vm);
		cond_resched();
	}
	if (back && !leaving)
		notifier_kick();
	mutex_unlock(&notifier_mutex);
}

/* Is it in the list of those that are counted? */
static bool notifier_counts(const struct kvmmem_inval_counts *counts)
{
	return !list_empty(&counts->node) && !counts->retired;
}

/* Join the notifier of the VM's process; an errno. Lets go of the mutex meanwhile. */
static int joiner_join(struct kvmmem_inval_counts *counts)
{
	struct mm_struct *mm = kvmmem_vm_get_mm(counts->vm);
	struct kvmmem_listener *listener;

	if (!mm)
		return -ESRCH;
	mutex_unlock(&notifier_mutex);
	listener = kvmmem_listener_get(mm);
	mmput_async(mm);
	mutex_lock(&notifier_mutex);
	if (IS_ERR(listener))
		return PTR_ERR(listener);
	/* It is dead, or it is not to be counted any more. */
	if (!notifier_counts(counts)) {
		kvmmem_listener_put(listener);
		return -ESRCH;
	}
	counts->looked = false;
	return kvmmem_listener_join(listener, counts);
}

/* One that asks; an errno. It goes on asking if that may help. */
static int joiner_try(struct kvmmem_inval_counts *counts)
{
	struct kvmmem_vm *vm = counts->vm;
	int err;

	list_del_init(&counts->asking);
	refcount_inc(&vm->refs);	/* the list has one, while we hold the mutex */
	err = joiner_join(counts);
	if (notifier_counts(counts)) {
		counts->joined = err;
		/* It may have asked once more meanwhile. */
		list_del_init(&counts->asking);
		if (err && err != -E2BIG && err != -ESRCH)
			list_add_tail(&counts->asking, &asking);
	}
	kvmmem_vm_put(vm);
	return err;
}

/* The process has too many: so none of its VMs needs to ask, which takes long with many. */
static void joiner_refuse(struct list_head *now, const struct mm_struct *mm)
{
	struct kvmmem_inval_counts *counts, *next;

	list_for_each_entry_safe(counts, next, now, asking) {
		if (counts->vm->mm == mm) {
			counts->joined = -E2BIG;
			list_del_init(&counts->asking);
		}
		cond_resched();
	}
}

static void joiner_run(struct work_struct *work)
{
	bool busy = false, failed = false;
	struct kvmmem_inval_counts *counts;
	const struct mm_struct *mm;
	LIST_HEAD(now);

	mutex_lock(&notifier_mutex);
	list_splice_init(&asking, &now);
	while (!list_empty(&now)) {
		counts = list_first_entry(&now, struct kvmmem_inval_counts, asking);
		mm = counts->vm->mm;
		switch (joiner_try(counts)) {
		case -ESRCH:
			break;
		case -EBUSY:
			busy = true;
			break;
		case -E2BIG:
			joiner_refuse(&now, mm);
			fallthrough;
		case 0:
			/* Something is to be looked at or noted; the next may take long. */
			notifier_kick();
			break;
		default:
			failed = true;
			notifier_kick();
		}
		cond_resched();
	}
	mutex_unlock(&notifier_mutex);
	if (busy || failed)
		queue_delayed_work(kvmmem_unbound_workqueue(), &joiner,
				   busy ? RETRY_BUSY : RETRY_FAILED);
}

static void notifier_wait_for(struct work_struct *work)
{
	unsigned int tries = WAIT_TRIES;

	while (tries-- && work_busy(work))
		msleep(WAIT_NAP_MS);
}

/**
 * kvmmem_notifier_settle - as a rule VMs that have ended are let go of when this returns
 *
 * Whoever makes that long is not waited for. Context: may sleep, some 200 ms.
 */
void kvmmem_notifier_settle(void)
{
	notifier_wait_for(&worker.work);
	notifier_wait_for(&settler);
}

/* As a rule all are counted when this returns. Whoever makes that long is not waited for. */
static void notifier_switch(bool on)
{
	kvmmem_hook_switch(&notifier_hook, on);
	if (on)
		notifier_wait_for(&settler);
	notifier_run(NULL);
	if (!on)
		return;
	notifier_wait_for(&joiner.work);
	notifier_run(NULL);
}

static int notifier_set_switch(const char *val, const struct kernel_param *kp)
{
	return kvmmem_param_switch(val, kp, notifier_switch);
}

static const struct kernel_param_ops invalidations_ops = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG,
	.set = notifier_set_switch,
	.get = param_get_bool,
};

module_param_cb(invalidations, &invalidations_ops, &invalidations, 0644);
MODULE_PARM_DESC(invalidations, "count who takes memory away from guests, by an MMU notifier on each VM's process (default on)");

/**
 * kvmmem_notifier_init - be there, before the hooks start
 *
 * Context: may sleep.
 */
void kvmmem_notifier_init(void)
{
	leaving = true;
	notifier_hook.state = invalidations ? KVMMEM_HOOK_WAITING : KVMMEM_HOOK_OFF;
	kvmmem_hook_add(&notifier_hook);
	kvmmem_watch_kick_too(notifier_kick);
}

/**
 * kvmmem_notifier_start - begin to listen, when the hooks have started
 *
 * Context: may sleep.
 */
void kvmmem_notifier_start(void)
{
	mutex_lock(&notifier_mutex);
	leaving = false;
	mutex_unlock(&notifier_mutex);
	notifier_kick();
}

/**
 * kvmmem_notifier_leave - let go of all processes, before the hooks stop
 *
 * From when they do nobody hears any more that a VM is gone. When it returns, whatever
 * the worker is kicked for, it asks KVM nothing about a VM. The joiner may be with a
 * process still, whose notifier it gives back. Context: may sleep.
 */
void kvmmem_notifier_leave(void)
{
	mutex_lock(&notifier_mutex);
	leaving = true;
	mutex_unlock(&notifier_mutex);
	notifier_run(NULL);
}

/**
 * kvmmem_notifier_stop - wait for all who listen
 *
 * After kvmmem_notifier_leave(), when the hooks have stopped, so that nobody kicks any
 * more. When it returns no notifier is running and none will. Context: may sleep.
 */
void kvmmem_notifier_stop(void)
{
	kvmmem_watch_kick_too(NULL);
	cancel_delayed_work_sync(&joiner);	/* kicks the worker */
	cancel_delayed_work_sync(&worker);
	notifier_run(NULL);
	flush_work(&settler);
	kvmmem_listeners_wait();
}
