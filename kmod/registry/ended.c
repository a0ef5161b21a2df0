// SPDX-License-Identifier: GPL-2.0
/*
 * The VMs that ended last: a ring of fixed size, which the reaper fills and readers
 * copy one by one. Each has a number, that of the VMs that had ended before it.
 */
#include <linux/ktime.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "registry/ended.h"

/* Held to copy one entry. Nests inside nothing of ours. */
static DEFINE_SPINLOCK(ended_lock);
static struct kvmmem_ended ring[KVMMEM_NR_ENDED];	/* ended_lock */
static u64 nr_ended;					/* ended_lock */

static unsigned int (*ended_counts_of)(const struct kvmmem_vm *vm);

/**
 * kvmmem_ended_ask - who knows what is being counted of a VM
 * @counts_of: tells it, KVMMEM_COUNTS_*; called from a hook, so it must not sleep
 *
 *	NULL: from now on the records say what they were told
 *
 * Context: before any VM is met, or before the hooks go.
 */
void kvmmem_ended_ask(unsigned int (*counts_of)(const struct kvmmem_vm *vm))
{
	WRITE_ONCE(ended_counts_of, counts_of);
}

/**
 * kvmmem_ended_note - a VM ends: what cannot be told later
 * @vm: its record, which nobody can find any more
 *
 * Context: a hook; does not sleep.
 */
void kvmmem_ended_note(struct kvmmem_vm *vm)
{
	unsigned int (*counts_of)(const struct kvmmem_vm *vm) = READ_ONCE(ended_counts_of);
	struct task_struct *task;

	vm->ended = ktime_get_ns();
	if (counts_of)
		WRITE_ONCE(vm->ended_counts, counts_of(vm));
	rcu_read_lock();
	task = pid_task(vm->pid, PIDTYPE_TGID);
	strscpy(vm->last_comm, task ? task->comm : vm->comm, sizeof(vm->last_comm));
	rcu_read_unlock();
}

/**
 * kvmmem_ended_mask - turn what was not counted of a VM's faults into KVMMEM_UNKNOWN
 * @faults: the sums
 * @mode: of the VM
 * @is_tdx: is it of a TDX guest?
 * @counts: what was being counted
 *
 * Context: any.
 */
void kvmmem_ended_mask(struct kvmmem_fault_sum *faults, enum kvmmem_mode mode, bool is_tdx,
		       unsigned int counts)
{
	if (!(counts & KVMMEM_COUNTS_FAULTS))
		memset(faults, 0xff, sizeof(*faults));
	else
		kvmmem_fault_mask(faults, mode, is_tdx, counts & KVMMEM_COUNTS_MMIO);
}

/**
 * kvmmem_ended_add - keep the counts of a VM
 * @vm: its record, after kvmmem_ended_note()
 * @total: its counts
 *
 * Context: process.
 */
void kvmmem_ended_add(const struct kvmmem_vm *vm, const struct kvmmem_total *total)
{
	struct kvmmem_ended *one;

	spin_lock(&ended_lock);
	one = &ring[nr_ended++ % KVMMEM_NR_ENDED];
	memcpy(one->id, vm->id, sizeof(one->id));
	memcpy(one->comm, vm->last_comm, sizeof(one->comm));
	one->mode = vm->mode;
	one->counts = vm->ended_counts;
	one->is_tdx = vm->is_tdx;
	one->lived_ns = vm->ended - vm->born;
	one->at = vm->ended;
	one->total = *total;
	spin_unlock(&ended_lock);
}

/**
 * kvmmem_ended_count - VMs that have ended
 *
 * Context: process.
 *
 * Return: how many, since load; the numbers below it are those of VMs that ended.
 */
u64 kvmmem_ended_count(void)
{
	u64 count;

	spin_lock(&ended_lock);
	count = nr_ended;
	spin_unlock(&ended_lock);
	return count;
}

/**
 * kvmmem_ended_get - copy what is kept of a VM
 * @nr: its number, below kvmmem_ended_count()
 * @one: where to
 *
 * Context: process.
 *
 * Return: false when so many have ended since that it is not kept any more.
 */
bool kvmmem_ended_get(u64 nr, struct kvmmem_ended *one)
{
	bool kept;

	spin_lock(&ended_lock);
	kept = nr + KVMMEM_NR_ENDED >= nr_ended;
	if (kept)
		*one = ring[nr % KVMMEM_NR_ENDED];
	spin_unlock(&ended_lock);
	return kept;
}
