// SPDX-License-Identifier: GPL-2.0
/*
 * perf reads with interrupts off, where nobody can go through VMs and their locks. So
 * a worker does, once a second while somebody has such an event open, and perf reads
 * what it found.
 */
#include <linux/err.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "attach/queue.h"
#include "decode/value.h"
#include "memory/backing.h"
#include "memory/budget.h"
#include "registry/records.h"
#include "show/pmu_gauges.h"

#define PERIOD	HZ

/**
 * struct kvmmem_gauged - one VM, or all of them, that somebody looks at
 * @node: in the list of those
 * @refs: events that read it
 * @vm: the VM, with a reference on its record; NULL: all
 * @kb: by enum kvmmem_gauge; of a VM that has ended, the last; KVMMEM_UNKNOWN: never known
 */
struct kvmmem_gauged {
	struct list_head node;
	unsigned int refs;
	struct kvmmem_vm *vm;
	u64 kb[KVMMEM_NR_GAUGES];
};

static DEFINE_MUTEX(gauges_mutex);
static LIST_HEAD(gauged_list);		/* gauges_mutex */

static void gauges_run(struct work_struct *work);
static DECLARE_DELAYED_WORK(worker, gauges_run);

static void gauges_add(u64 *sums, enum kvmmem_gauge gauge, u64 kb)
{
	if (kb != KVMMEM_UNKNOWN)
		sums[gauge] = (sums[gauge] == KVMMEM_UNKNOWN ? 0 : sums[gauge]) + kb;
}

/* What is not known of a VM adds nothing. */
static void gauges_of_vm(struct kvmmem_vm *vm, u64 *sums)
{
	struct kvmmem_levels levels;
	int i;

	if (!kvmmem_backing_levels(vm, &levels))
		return;
	for (i = 0; i < KVMMEM_NR_SIZES; i++) {
		gauges_add(sums, KVMMEM_GAUGE_EPT_4K + i, levels.ept_kb[i]);
		gauges_add(sums, KVMMEM_GAUGE_HOST_4K + i, levels.host.host_kb[i]);
	}
	gauges_add(sums, KVMMEM_GAUGE_TABLES, levels.table_kb);
	gauges_add(sums, KVMMEM_GAUGE_SWAP, levels.host.swap_kb);
	gauges_add(sums, KVMMEM_GAUGE_KSM, levels.host.ksm_kb);
}

static void gauges_look(struct kvmmem_gauged *gauged)
{
	u64 sums[KVMMEM_NR_GAUGES];
	struct kvmmem_vm *vm;
	unsigned int slot, i;

	memset(sums, 0xff, sizeof(sums));
	if (gauged->vm) {
		gauges_of_vm(gauged->vm, sums);
	} else {
		memset(sums, 0, sizeof(sums));
		for (slot = kvmmem_vm_next(0); slot < kvmmem_vm_slots();
		     slot = kvmmem_vm_next(slot + 1)) {
			vm = kvmmem_vm_get(slot);
			if (!vm)
				continue;
			gauges_of_vm(vm, sums);
			kvmmem_vm_put(vm);
			cond_resched();
		}
	}
	for (i = 0; i < KVMMEM_NR_GAUGES; i++)
		if (sums[i] != KVMMEM_UNKNOWN)
			WRITE_ONCE(gauged->kb[i], sums[i]);
}

static void gauges_run(struct work_struct *work)
{
	struct kvmmem_gauged *gauged;
	struct kvmmem_budget budget;

	mutex_lock(&gauges_mutex);
	if (!list_empty(&gauged_list)) {
		/* A walk that is due; if it cannot be done, what was found before stays. */
		if (kvmmem_backing_refresh(&budget))
			pr_debug("no walk\n");
		list_for_each_entry(gauged, &gauged_list, node)
			gauges_look(gauged);
		/* A walk does not sleep: nobody else's work shall wait for its processor. */
		queue_delayed_work(kvmmem_queue, &worker, PERIOD);
	}
	mutex_unlock(&gauges_mutex);
}

/* That of a VM, made if there is none; NULL without memory. */
static struct kvmmem_gauged *gauges_of(struct kvmmem_vm *vm)
{
	struct kvmmem_gauged *gauged;

	list_for_each_entry(gauged, &gauged_list, node) {
		if (gauged->vm == vm) {
			gauged->refs++;
			return gauged;
		}
	}
	gauged = kzalloc(sizeof(*gauged), GFP_KERNEL);
	if (!gauged)
		return NULL;
	gauged->refs = 1;
	gauged->vm = vm;
	memset(gauged->kb, 0xff, sizeof(gauged->kb));
	list_add(&gauged->node, &gauged_list);
	return gauged;
}

/**
 * kvmmem_gauges_get - begin to look at a VM, or at all
 * @vm: the VM; NULL: all; the caller's reference must last
 * @gauge: what is wanted
 *
 * Context: may sleep.
 *
 * Return: to be given back; -ENOMEM, or -EOPNOTSUPP where it is not known.
 */
struct kvmmem_gauged *kvmmem_gauges_get(struct kvmmem_vm *vm, enum kvmmem_gauge gauge)
{
	struct kvmmem_gauged *gauged;

	mutex_lock(&gauges_mutex);
	gauged = gauges_of(vm);
	mutex_unlock(&gauges_mutex);
	if (!gauged)
		return ERR_PTR(-ENOMEM);
	gauges_run(NULL);
	if (gauged->kb[gauge] == KVMMEM_UNKNOWN) {
		kvmmem_gauges_put(gauged);
		return ERR_PTR(-EOPNOTSUPP);
	}
	return gauged;
}

/**
 * kvmmem_gauges_put - do not look any more
 * @gauged: from kvmmem_gauges_get()
 *
 * After the last one the worker ends by itself. Context: may sleep.
 */
void kvmmem_gauges_put(struct kvmmem_gauged *gauged)
{
	mutex_lock(&gauges_mutex);
	if (!--gauged->refs) {
		list_del(&gauged->node);
		kfree(gauged);
	}
	mutex_unlock(&gauges_mutex);
}

/**
 * kvmmem_gauges_stop - nobody looks any more, and nobody will
 *
 * When it returns no worker is running. Context: may sleep.
 */
void kvmmem_gauges_stop(void)
{
	cancel_delayed_work_sync(&worker);
}

/**
 * kvmmem_gauges_read - what the worker found
 * @gauged: from kvmmem_gauges_get()
 * @gauge: what is wanted
 *
 * Context: any.
 *
 * Return: KiB.
 */
u64 kvmmem_gauges_read(const struct kvmmem_gauged *gauged, enum kvmmem_gauge gauge)
{
	return READ_ONCE(gauged->kb[gauge]);
}
