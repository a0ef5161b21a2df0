// SPDX-License-Identifier: GPL-2.0
/*
 * KVM's MMU notifier, at whose entry kvmmem hears what is taken away from a VM's process,
 * and the worker that looks which of that is the VM's memory.
 *
 * Not a notifier of kvmmem's own: to register one on a process that runs, the kernel takes
 * mm_all_locks_mutex and the locks of all that is mapped, without end if a tenant has one
 * of them held; and the process's mmap lock is taken meanwhile. KVM has one for each VM.
 */
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "attach/hooks.h"
#include "attach/queue.h"
#include "compat/taker.h"
#include "count/inval.h"
#include "count/notifier.h"
#include "decode/param.h"
#include "decode/ranges.h"
#include "registry/info.h"
#include "registry/life.h"
#include "registry/records.h"
#include "registry/watch.h"

#define RETRY_BUSY	(HZ / 10)
#define RETRY_FAILED	HZ

/* How long VMs are looked at in a second: one, and all together. */
#define LOOK_US		(100 * USEC_PER_MSEC)
#define LOOKS_US	(250 * USEC_PER_MSEC)

/* A kick is heard after ten times as long as the last round took, at most so many ticks. */
#define PAUSE		10
#define PAUSE_MOST	(HZ / 10)

static unsigned long pause;		/* that is to follow the last round, in ticks */
static DEFINE_MUTEX(notifier_mutex);
static struct kvmmem_pace looks;	/* notifier_mutex */
static unsigned int turn;		/* slot of the VM that is looked at next; notifier_mutex */
static bool leaving;			/* notifier_mutex */
static bool invalidations = true;

static void notifier_run(struct work_struct *work);
static DECLARE_DELAYED_WORK(worker, notifier_run);	/* by kicks */
static DECLARE_DELAYED_WORK(again, notifier_run);	/* for what could not be done */

static KVMMEM_FTRACE_FUNC(notifier_on_start)
{
	kvmmem_hook_seen(KVMMEM_HOOK_NOTIFIER);
	kvmmem_inval_range(kvmmem_vm_notified((struct mmu_notifier *)kvmmem_ftrace_arg(0)),
			   (const struct mmu_notifier_range *)kvmmem_ftrace_arg(1));
}

static struct kvmmem_hook_group notifier_group;

static struct kvmmem_hook notifier_hook = {
	.id = KVMMEM_HOOK_NOTIFIER,
	.name = "kvm_mmu_notifier_invalidate_range_start",
	.module = "kvm",
	.purpose = "invalidations",
	.func = notifier_on_start,
	.group = &notifier_group,
};

/**
 * struct notifier_round - once through all VMs
 * @old: what is to be freed when nobody reads it any more
 * @note: what could not be done, for 'hooks'
 * @later: in how many ticks to come again; 0: when there is something to do
 */
struct notifier_round {
	struct kvmmem_ranges *old;
	const char *note;
	unsigned long later;
};

static void notifier_show_ranges(struct kvmmem_vm *vm, struct kvmmem_ranges *ranges,
				 struct notifier_round *round)
{
	struct kvmmem_ranges *old;

	old = rcu_replace_pointer(vm->ranges, ranges, lockdep_is_held(&notifier_mutex));
	if (old) {
		old->next = round->old;
		round->old = old;
	}
}

/* Note where a VM's memory lies, by going through all of its slots; an errno. */
static int notifier_look(struct kvmmem_vm *vm, struct notifier_round *round)
{
	struct kvmmem_ranges *ranges;
	int err;

	WRITE_ONCE(vm->slots_changed, false);
	smp_mb(); /* what changes from here on is looked at once more */
	ranges = kvmmem_vm_ranges(vm);
	err = PTR_ERR_OR_ZERO(ranges);
	/* What was known of one that has ended meanwhile is its last. */
	if (!kvmmem_vm_alive(vm)) {
		if (!err)
			kvfree(ranges);
		return 0;
	}
	vm->inval->looked = err != -ENOMEM;
	notifier_show_ranges(vm, err ? NULL : ranges, round);
	return err;
}

static bool notifier_may_look(struct kvmmem_pace *pace, unsigned int most_us)
{
	if ((u32)jiffies - pace->since >= HZ) {
		pace->since = jiffies;
		pace->us = 0;
	}
	return pace->us < most_us;
}

/*
 * See to it that what is taken away from a VM is counted; an errno. Who changes one of
 * thousands of slots all the while is not looked at all the while.
 */
static int notifier_tend(struct kvmmem_vm *vm, struct notifier_round *round)
{
	struct kvmmem_inval_counts *counts = vm->inval ?: kvmmem_inval_make(vm);
	bool known = counts && counts->looked;
	u64 begun, took;
	int err;

	if (!counts)
		return -ENOMEM;
	if (counts->looked && !rcu_access_pointer(vm->ranges))
		round->note = "some-vm-in-too-many-slots";
	if (counts->looked && !READ_ONCE(vm->slots_changed))
		return 0;
	if (!notifier_may_look(&counts->pace, LOOK_US) || !notifier_may_look(&looks, LOOKS_US))
		return -EBUSY;
	begun = ktime_get_ns();
	err = notifier_look(vm, round);
	took = div_u64(ktime_get_ns() - begun, NSEC_PER_USEC);
	counts->pace.us += min_t(u64, took, LOOK_US);
	looks.us += min_t(u64, took, LOOK_US);
	/* New ones are not in turn. */
	if (known)
		WRITE_ONCE(turn, vm->slot + 1);
	return err;
}

/* Nobody counts, so nothing is known. */
static void notifier_forget(struct kvmmem_vm *vm, struct notifier_round *round)
{
	if (!vm->inval)
		return;
	vm->inval->looked = false;
	notifier_show_ranges(vm, NULL, round);
}

static bool notifier_counts(void)
{
	lockdep_assert_held(&notifier_mutex);
	return !leaving && kvmmem_hook_attached(&notifier_hook) && kvmmem_slots_heard();
}

/* One VM, if it is one that has (not) been looked at before. */
static void notifier_see(struct kvmmem_vm *vm, bool looked, struct notifier_round *round)
{
	int err;

	if ((vm->inval && vm->inval->looked) != looked)
		return;
	/* Whoever comes later sees what was switched later. */
	if (!notifier_counts()) {
		notifier_forget(vm, round);
		return;
	}
	err = notifier_tend(vm, round);
	if (err == -EBUSY) {
		round->later = min_not_zero(round->later, (unsigned long)RETRY_BUSY);
	} else if (err == -E2BIG) {
		round->note = "some-vm-in-too-many-slots";
	} else if (err) {
		round->note = "some-vm-refused";
		round->later = min_not_zero(round->later, (unsigned long)RETRY_FAILED);
	}
}

/* Those of the VMs in slots @from to @to - 1. Others come in between. */
static void notifier_see_some(unsigned int from, unsigned int to, bool looked,
			      struct notifier_round *round)
{
	struct kvmmem_vm *vm;
	unsigned int slot;

	for (slot = kvmmem_vm_next(from); slot < to; slot = kvmmem_vm_next(slot + 1)) {
		mutex_lock(&notifier_mutex);
		vm = kvmmem_vm_get(slot);
		if (vm) {
			notifier_see(vm, looked, round);
			kvmmem_vm_put(vm);
		}
		mutex_unlock(&notifier_mutex);
		cond_resched();
	}
}

static void notifier_run(struct work_struct *work)
{
	unsigned int slots = kvmmem_vm_slots(), first = READ_ONCE(turn);
	struct kvmmem_ranges *range, *next;
	struct notifier_round round = {};
	u64 begun = ktime_get_ns(), ticks;

	/* New ones first; of the others those for whom there was no time come first. */
	first = first < slots ? first : 0;
	notifier_see_some(0, slots, false, &round);
	notifier_see_some(first, slots, true, &round);
	notifier_see_some(0, first, true, &round);
	mutex_lock(&notifier_mutex);
	WRITE_ONCE(notifier_hook.note, notifier_counts() ? round.note : NULL);
	mutex_unlock(&notifier_mutex);
	ticks = div_u64(PAUSE * (ktime_get_ns() - begun), NSEC_PER_SEC / HZ);
	WRITE_ONCE(pause, min_t(u64, ticks, PAUSE_MOST));

	if (round.old)
		synchronize_rcu();
	for (range = round.old; range; range = next) {
		next = range->next;
		kvfree(range);
	}
	if (round.later)
		queue_delayed_work(kvmmem_queue, &again, round.later);
}

/* Not at once: births come in crowds, and a VM's slots right after it. */
static void notifier_kick(void)
{
	queue_delayed_work(kvmmem_queue, &worker, 1 + READ_ONCE(pause));
}

/**
 * kvmmem_notifier_settle - VMs that have ended are let go of when this returns
 *
 * Context: may sleep.
 */
void kvmmem_notifier_settle(void)
{
	mutex_lock(&notifier_mutex);	/* whoever looks has references only with it */
	mutex_unlock(&notifier_mutex);
}

/* As a rule all are counted when this returns. */
static void notifier_switch(bool on)
{
	kvmmem_hook_group_switch(&notifier_group, on);
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
MODULE_PARM_DESC(invalidations, "count who takes memory away from guests, at the entry of KVM's MMU notifier (default on)");

/**
 * kvmmem_notifier_init - add the hook, before the hooks start
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
 * kvmmem_notifier_start - begin to look where VMs' memory lies, when the hooks have started
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
 * kvmmem_notifier_leave - look no more, before the hooks stop
 *
 * From when they do nobody hears any more that a VM is gone. When it returns, whatever
 * the worker is kicked for, it asks KVM nothing about a VM, and nothing is known of any.
 * Context: may sleep.
 */
void kvmmem_notifier_leave(void)
{
	mutex_lock(&notifier_mutex);
	leaving = true;
	mutex_unlock(&notifier_mutex);
	notifier_run(NULL);
}

/**
 * kvmmem_notifier_stop - wait for the worker
 *
 * After kvmmem_notifier_leave(), when the hooks have stopped, so that nobody kicks any
 * more. Context: may sleep.
 */
void kvmmem_notifier_stop(void)
{
	kvmmem_watch_kick_too(NULL);
	cancel_delayed_work_sync(&worker);	/* which may come again */
	cancel_delayed_work_sync(&again);
}
