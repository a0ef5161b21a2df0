// SPDX-License-Identifier: GPL-2.0
/*
 * The reaper: lets go of the records of dead VMs once no hook and no reader under
 * RCU can have found them.
 *
 * What it lets go of is the registry's reference. Whoever else keeps the record
 * (a reader, the watcher for its directory) has one of its own, so a record is
 * freed by whoever lets go last, and never under anybody's feet.
 *
 * It waits for grace periods, once for all that have died meanwhile, and for a reader
 * that adds up the counts of all VMs.
 */
#include <linux/llist.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/tracepoint.h>
#include <linux/workqueue.h>
#include <asm/tsc.h>

#include "attach/queue.h"
#include "compat/probe.h"
#include "registry/ended.h"
#include "registry/info.h"
#include "registry/reaper.h"
#include "registry/records.h"
#include "registry/total.h"
#include "registry/trace.h"

static LLIST_HEAD(dead_vms);

static void reaper_run(struct work_struct *work);
static DECLARE_WORK(reaper, reaper_run);

static void reaper_trace(const struct kvmmem_vm *vm, const struct kvmmem_total *total)
{
	struct kvmmem_total known = *total;
	u64 flushes = 0, ns = KVMMEM_UNKNOWN;
	unsigned int i;

	if (!trace_vm_end_enabled())
		return;
	for (i = 0; i < KVMMEM_NR_CAUSES; i++)
		flushes += total->tags.flushes[i];
	kvmmem_ended_mask(&known.faults, vm->mode, vm->is_tdx, vm->ended_counts);
	if (!(vm->ended_counts & KVMMEM_COUNTS_FLUSHES))
		flushes = KVMMEM_UNKNOWN;
	if (vm->ended_counts & KVMMEM_COUNTS_TIME)
		ns = kvmmem_tsc_to_ns(total->ticks, kvmmem_tsc_mult(tsc_khz));
	else
		known.served = KVMMEM_UNKNOWN;
	trace_vm_end(vm, &known, flushes, ns);
}

/* vCPUs that leave the hash in one go. */
#define UNHASH_BATCH	256

/**
 * struct reaper_place - where in a VM's list of vCPUs we are
 * @vm: the VM
 * @next: the next one, or the list's head
 */
struct reaper_place {
	struct kvmmem_vm *vm;
	struct kvmmem_vcpu *next;
};

/* The registry is locked. */
static void reaper_unhash_some(void *data)
{
	struct reaper_place *place = data;
	unsigned int n = 0;

	list_for_each_entry_from(place->next, &place->vm->vcpus, sibling) {
		if (n++ == UNHASH_BATCH)
			break;
		if (!hlist_unhashed(&place->next->node))
			hlist_del_init_rcu(&place->next->node);
	}
}

/**
 * kvmmem_reaper_unhash - take a VM's vCPUs out of their hash, those that are still there
 * @vm: from kvmmem_record_unlink(), so that nobody adds to its list
 *
 * Context: any that may take a raw lock; long for a VM of thousands, but nothing is held
 * meanwhile.
 */
void kvmmem_reaper_unhash(struct kvmmem_vm *vm)
{
	struct reaper_place place = {
		.vm = vm,
		.next = list_first_entry(&vm->vcpus, struct kvmmem_vcpu, sibling),
	};

	while (&place.next->sibling != &vm->vcpus)
		kvmmem_records_locked(reaper_unhash_some, &place);
}

static void reaper_run(struct work_struct *work)
{
	/* In the order in which they died. */
	struct llist_node *list = llist_reverse_order(llist_del_all(&dead_vms));
	struct kvmmem_vm *vm, *next;
	struct kvmmem_total total;

	if (!list)
		return;
	llist_for_each_entry(vm, list, dead) {
		kvmmem_reaper_unhash(vm);
		cond_resched();
	}
	/* Hooks that found a record before it left the hash, and readers. */
	kvmmem_probes_synchronize();
	llist_for_each_entry_safe(vm, next, list, dead) {
		kvmmem_total_ended(vm, &total);
		kvmmem_ended_add(vm, &total);
		reaper_trace(vm, &total);
		kvmmem_vm_forget_slots(vm);
		kvmmem_vm_put(vm);
		cond_resched();
	}
}

/**
 * kvmmem_reaper_bury - let go of a record when nobody can find it any more
 * @vm: from kvmmem_record_unlink()
 *
 * When it returns nobody follows @vm->kvm any more, nor a pointer to one of its vCPUs.
 * Those may be in their hash until each ends, or the reaper runs. Context: a hook; does
 * not sleep.
 */
void kvmmem_reaper_bury(struct kvmmem_vm *vm)
{
	/* Whoever was reading the struct kvm is done when this lock is ours. */
	raw_spin_lock(&vm->lock);
	WRITE_ONCE(vm->kvm, NULL);
	raw_spin_unlock(&vm->lock);
	kvmmem_ended_note(vm);
	llist_add(&vm->dead, &dead_vms);
	queue_work(kvmmem_queue, &reaper);
}

/**
 * kvmmem_reaper_settle - wait until the dead so far have been let go of
 *
 * Context: may sleep.
 */
void kvmmem_reaper_settle(void)
{
	flush_work(&reaper);
}

/**
 * kvmmem_reaper_stop - let go of the last
 *
 * No hook is attached, so nobody is buried any more. Context: may sleep.
 */
void kvmmem_reaper_stop(void)
{
	cancel_work_sync(&reaper);
	reaper_run(NULL);
}
