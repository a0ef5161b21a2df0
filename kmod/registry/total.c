// SPDX-License-Identifier: GPL-2.0
/*
 * Counts of all VMs since load: see total.h.
 *
 * A record is in the list from its birth until its counts are in the sum of those
 * that ended, which is when nobody writes to them any more. A reader adds up the
 * list and that sum. Whoever moves a record from the one to the other holds the
 * mutex meanwhile, so a reader finds each VM exactly once, and nothing ever falls.
 */
#include <linux/bits.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "registry/total.h"

static DEFINE_MUTEX(total_mutex);
static struct kvmmem_total ended;		/* total_mutex */

/* Births come from where a mutex cannot be taken. Nests inside everything. */
static DEFINE_RAW_SPINLOCK(counted_lock);
static LIST_HEAD(counted);			/* counted_lock to write, total_mutex to read */

/**
 * kvmmem_total_born - a VM's record was made
 * @vm: the record
 *
 * Context: a hook; does not sleep.
 */
void kvmmem_total_born(struct kvmmem_vm *vm)
{
	raw_spin_lock(&counted_lock);
	list_add_rcu(&vm->counted, &counted);
	raw_spin_unlock(&counted_lock);
}

static void total_add_tags(struct kvmmem_total *total, const struct kvmmem_vcpu *rec)
{
	struct kvmmem_tag one, *sum = &total->tags;
	u64 range;
	unsigned int seq, tag, i;

	do {
		seq = read_seqcount_begin(&rec->tags_seq);
		/* Most have but one; only that has flushes without having been come to. */
		one = rec->tags[0];
		range = READ_ONCE(rec->range[0]);
		for (tag = 1; tag < KVMMEM_TAGS; tag++) {
			if (!READ_ONCE(rec->tags[tag].moves))
				continue;
			one.entries += READ_ONCE(rec->tags[tag].entries);
			one.single += READ_ONCE(rec->tags[tag].single);
			range += READ_ONCE(rec->range[tag]);
			for (i = 0; i < KVMMEM_NR_CAUSES; i++)
				one.flushes[i] += READ_ONCE(rec->tags[tag].flushes[i]);
		}
	} while (read_seqcount_retry(&rec->tags_seq, seq));
	sum->entries += one.entries;
	sum->single += one.single;
	total->range += range;
	for (i = 0; i < KVMMEM_NR_CAUSES; i++)
		sum->flushes[i] += one.flushes[i];
}

static void total_add_service(struct kvmmem_total *total, const struct kvmmem_vcpu *rec)
{
	unsigned int i;

	for (i = 0; i < KVMMEM_NR_ACCESSES; i++) {
		total->served += READ_ONCE(rec->served[i].count);
		total->ticks += READ_ONCE(rec->served[i].kvm) + READ_ONCE(rec->served[i].away);
	}
}

static void total_add_vm(struct kvmmem_total *total, struct kvmmem_vm *vm)
{
	struct kvmmem_fault_sum before = total->faults, *faults = &total->faults;
	struct kvmmem_vcpu *rec;
	unsigned int vcpus = 0;

	kvmmem_vm_for_each_vcpu(rec, vm) {
		kvmmem_fault_add(&total->faults, rec->fault);
		total_add_tags(total, rec);
		total_add_service(total, rec);
		if (++vcpus % 64 == 0)
			cond_resched();
	}
	if (READ_ONCE(vm->hides_mmio))	/* its MMIO does not come by faults, see mmio.c */
		faults->mmio = before.mmio;
	else
		total->shows_mmio = true;
	if (vm->is_tdx) {	/* nor is it told how it accesses, see kvmmem_fault_mask() */
		before.violations = faults->violations;
		before.mmio = faults->mmio;
		before.shadow = faults->shadow;
		*faults = before;
	} else {
		total->shows_access = true;
	}
	total->modes |= BIT(READ_ONCE(vm->mode));
	if (READ_ONCE(vm->kvm)) {
		total->vms++;
	} else {
		total->vms_ended++;
		total->vcpus_ended += vcpus;
	}
}

/**
 * kvmmem_total_ended - keep the counts of a VM that is gone
 * @vm: its record, which no hook can find any more
 * @total: where to put them, too
 *
 * Context: may sleep.
 */
void kvmmem_total_ended(struct kvmmem_vm *vm, struct kvmmem_total *total)
{
	memset(total, 0, sizeof(*total));
	total_add_vm(total, vm);
	mutex_lock(&total_mutex);
	total_add_vm(&ended, vm);
	raw_spin_lock(&counted_lock);
	list_del_rcu(&vm->counted);
	raw_spin_unlock(&counted_lock);
	mutex_unlock(&total_mutex);
}

/**
 * kvmmem_total_read - the counts of all VMs
 * @total: where to
 *
 * Context: may sleep.
 */
void kvmmem_total_read(struct kvmmem_total *total)
{
	struct kvmmem_vm *vm;

	mutex_lock(&total_mutex);
	*total = ended;
	list_for_each_entry_rcu(vm, &counted, counted, lockdep_is_held(&total_mutex)) {
		total_add_vm(total, vm);
		cond_resched();
	}
	mutex_unlock(&total_mutex);
}
