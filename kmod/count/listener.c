// SPDX-License-Identifier: GPL-2.0
/*
 * The notifier of a process, which hears what is taken away from its VMs.
 *
 * The kernel keeps it for us: mmu_notifier_get_locked() finds the one that there is or
 * makes one, and with the last mmu_notifier_put() it goes, by itself and after a grace
 * period, so many go at once. Nothing is called when the process ends: a notifier of a
 * dead process costs nothing, and goes with its last VM.
 *
 * Callbacks run in a read section of an SRCU of the kernel's own. So what they use is
 * freed after mmu_notifier_synchronize(), and they take no lock of any kind.
 */
#include <linux/err.h>
#include <linux/rculist.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "attach/hooks.h"
#include "compat/memory.h"
#include "count/listener.h"

/* VMs of one process, each of which is looked at in each call. */
#define VMS_MAX		64

static atomic_t listeners = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(none_left);

static int listener_on_start(struct mmu_notifier *notifier,
			     const struct mmu_notifier_range *range)
{
	kvmmem_hook_seen(KVMMEM_HOOK_NOTIFIER);
	kvmmem_inval_range(&container_of(notifier, struct kvmmem_listener, notifier)->vms,
			   range);
	return 0;
}

static struct mmu_notifier *listener_alloc(struct mm_struct *mm)
{
	struct kvmmem_listener *listener = kzalloc(sizeof(*listener), GFP_KERNEL);

	if (!listener)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&listener->vms);
	atomic_inc(&listeners);
	return &listener->notifier;
}

/* From SRCU, with bottom halves off; or at once, if the kernel cannot register it. */
static void listener_free(struct mmu_notifier *notifier)
{
	kfree(container_of(notifier, struct kvmmem_listener, notifier));
	if (atomic_dec_and_test(&listeners))
		wake_up(&none_left);
}

static const struct mmu_notifier_ops listener_ops = {
	.invalidate_range_start = listener_on_start,
	.alloc_notifier = listener_alloc,
	.free_notifier = listener_free,
};

/**
 * kvmmem_listener_get - the notifier of a process, made if there is none
 * @mm: whose
 *
 * The kernel takes the locks of all that is mapped, one process at a time, as it does
 * when a VM is made: who else holds one of a file keeps the caller waiting. So hold
 * nothing. The mmap lock is only tried: somebody in the process may hold it as long as he
 * likes.
 *
 * Context: may sleep, long.
 *
 * Return: for kvmmem_listener_join() or kvmmem_listener_put(); -EBUSY: the mmap lock is
 * taken; another errno: the kernel makes none.
 */
struct kvmmem_listener *kvmmem_listener_get(struct mm_struct *mm)
{
	struct mmu_notifier *notifier;

	if (!kvmmem_mmap_write_trylock(mm))
		return ERR_PTR(-EBUSY);
	notifier = mmu_notifier_get_locked(&listener_ops, mm);
	mmap_write_unlock(mm);
	return IS_ERR(notifier) ? ERR_CAST(notifier) :
	       container_of(notifier, struct kvmmem_listener, notifier);
}

/**
 * kvmmem_listener_join - count what is taken away from a VM
 * @listener: from kvmmem_listener_get(), which is given away in any case
 * @counts: the VM's counters, which have none
 *
 * Context: the notifiers' mutex.
 *
 * Return: 0 or -E2BIG: the process has very many VMs.
 */
int kvmmem_listener_join(struct kvmmem_listener *listener, struct kvmmem_inval_counts *counts)
{
	if (listener->nr == VMS_MAX) {
		kvmmem_listener_put(listener);
		return -E2BIG;
	}
	listener->nr++;
	counts->listener = listener;
	list_add_tail_rcu(&counts->sibling, &listener->vms);
	return 0;
}

/**
 * kvmmem_listener_leave - count no more, if it was counted
 * @counts: the VM's counters, which callbacks use until mmu_notifier_synchronize()
 *
 * Context: the notifiers' mutex.
 *
 * Return: true if no other VM of the process could be counted until now.
 */
bool kvmmem_listener_leave(struct kvmmem_inval_counts *counts)
{
	struct kvmmem_listener *listener = counts->listener;
	bool was_full;

	if (!listener)
		return false;
	list_del_rcu(&counts->sibling);
	was_full = listener->nr-- == VMS_MAX;
	counts->listener = NULL;
	kvmmem_listener_put(listener);
	return was_full;
}

/**
 * kvmmem_listeners_wait - wait until the last one is gone
 *
 * When nobody makes any more. Context: may sleep.
 */
void kvmmem_listeners_wait(void)
{
	wait_event(none_left, !atomic_read(&listeners));
	synchronize_rcu();	/* for the end of listener_free() */
}
