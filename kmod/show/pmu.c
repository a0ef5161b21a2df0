// SPDX-License-Identifier: GPL-2.0
/*
 * The perf PMU kvmmem: counting, for perf stat. See Documentation/perf.rst.
 *
 * An event of a processor counts what happens on it, one of a thread what that thread
 * does: its value is what the counts by processor (registry/tally.h) have grown by
 * while it was active. So reading is a sum over a few cells of the processor's own,
 * whatever there is of VMs, with interrupts off as perf does it; and what was counted
 * stays when a VM ends.
 *
 * An event open keeps kvmmem loaded, by the PMU's module.
 */
#include <linux/bitops.h>
#include <linux/capability.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/perf_event.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "registry/records.h"
#include "registry/tally.h"
#include "show/pmu.h"
#include "show/pmu_gauges.h"
#include "show/pmu_kinds.h"

/* Of config1: which VM, by its process and, if that has several, its descriptor. */
#define VM_PID(config1)		((u32)(config1))
#define VM_FD(config1)		((u32)((config1) >> 32))

/**
 * struct scope - what an event is about
 * @vm: one VM, with a reference on its record; NULL: all
 * @gauged: of a gauge: where it is read; NULL: at the first processor
 */
struct scope {
	struct kvmmem_vm *vm;
	struct kvmmem_gauged *gauged;
};

static struct pmu pmu;

/* The VM that an event names, with a reference on its record, or an errno. */
static struct kvmmem_vm *pmu_vm(u64 config1)
{
	struct kvmmem_vm *vm, *found = ERR_PTR(-ESRCH);
	unsigned int slot;

	for (slot = kvmmem_vm_next(0); slot < kvmmem_vm_slots();
	     slot = kvmmem_vm_next(slot + 1)) {
		vm = kvmmem_vm_get(slot);
		if (!vm)
			continue;
		if ((vm->tgid != VM_PID(config1) && vm->id_pid != VM_PID(config1)) ||
		    (VM_FD(config1) && vm->fd != VM_FD(config1))) {
			kvmmem_vm_put(vm);
		} else if (IS_ERR(found)) {
			found = vm;
		} else {
			/* Several, of which none was chosen. */
			kvmmem_vm_put(vm);
			kvmmem_vm_put(found);
			return ERR_PTR(-EINVAL);
		}
		cond_resched();
	}
	return found;
}

static void scope_free(struct scope *scope)
{
	if (scope->gauged)
		kvmmem_gauges_put(scope->gauged);
	if (scope->vm)
		kvmmem_vm_put(scope->vm);
	kfree(scope);
}

static int scope_fill(struct scope *scope, const struct perf_event *event,
		      const struct kvmmem_pmu_kind *kind)
{
	struct kvmmem_gauged *gauged;
	int err;

	if (event->attr.config1) {
		struct kvmmem_vm *vm = pmu_vm(event->attr.config1);

		if (IS_ERR(vm))
			return PTR_ERR(vm);
		scope->vm = vm;
		err = kvmmem_tally_vm(vm);
		if (err)
			return err;
	}
	/* A gauge is the same on all processors, and perf adds them up. */
	if (kind->unit != KVMMEM_PMU_KIB || event->cpu != cpumask_first(cpu_online_mask))
		return 0;
	gauged = kvmmem_gauges_get(scope->vm, kind->tallies);
	if (IS_ERR(gauged))
		return PTR_ERR(gauged);
	scope->gauged = gauged;
	return 0;
}

static void pmu_destroy(struct perf_event *event)
{
	kvmmem_unobserve();
	scope_free(event->pmu_private);
}

static int pmu_event_init(struct perf_event *event)
{
	const struct kvmmem_pmu_kind *kind = kvmmem_pmu_kind(event->attr.config);
	struct scope *scope;
	int err;

	if (event->attr.type != event->pmu->type)
		return -ENOENT;
	/* Of a thread's child: its parent's, which stays as long. */
	if (event->parent) {
		event->pmu_private = event->parent->pmu_private;
		return 0;
	}
	if (!perfmon_capable())
		return -EACCES;
	if (!kind || event->attr.config2)
		return -EINVAL;
	if (is_sampling_event(event) || !kvmmem_pmu_kind_works(kind))
		return -EOPNOTSUPP;
	/* Memory is a VM's and no thread's. */
	if (kind->unit == KVMMEM_PMU_KIB && event->attach_state & PERF_ATTACH_TASK)
		return -EINVAL;

	scope = kzalloc(sizeof(*scope), GFP_KERNEL);
	if (!scope)
		return -ENOMEM;
	err = scope_fill(scope, event, kind);
	if (err) {
		scope_free(scope);
		return err;
	}
	event->pmu_private = scope;
	event->destroy = pmu_destroy;
	kvmmem_observe();
	return 0;
}

/* On the event's processor, which it does not leave. */
static u64 pmu_value(const struct kvmmem_pmu_kind *kind, const struct scope *scope)
{
	const u64 *counts = scope->vm ? this_cpu_ptr(scope->vm->tallies) :
					this_cpu_ptr(kvmmem_tallies);
	unsigned long which, tallies = kind->tallies;
	u64 sum = 0;

	for_each_set_bit(which, &tallies, KVMMEM_NR_TALLIES)
		sum += READ_ONCE(counts[which]);
	return sum;
}

static void pmu_read(struct perf_event *event)
{
	const struct kvmmem_pmu_kind *kind = &kvmmem_pmu_kinds[event->attr.config - 1];
	const struct scope *scope = event->pmu_private;
	u64 now;

	if (kind->unit == KVMMEM_PMU_KIB) {
		if (scope->gauged)
			local64_set(&event->count, kvmmem_gauges_read(scope->gauged,
								      kind->tallies));
		return;
	}
	now = pmu_value(kind, scope);
	local64_add(now - local64_xchg(&event->hw.prev_count, now), &event->count);
}

static void pmu_start(struct perf_event *event, int flags)
{
	const struct kvmmem_pmu_kind *kind = &kvmmem_pmu_kinds[event->attr.config - 1];

	event->hw.state = 0;
	if (kind->unit != KVMMEM_PMU_KIB)
		local64_set(&event->hw.prev_count, pmu_value(kind, event->pmu_private));
}

static void pmu_stop(struct perf_event *event, int flags)
{
	if (event->hw.state & PERF_HES_STOPPED)
		return;
	pmu_read(event);
	event->hw.state = PERF_HES_STOPPED | PERF_HES_UPTODATE;
}

/* Not known before, in pmu_event_init(). */
static bool pmu_is_of_cgroup(const struct perf_event *event)
{
#ifdef CONFIG_CGROUP_PERF
	return event->cgrp;
#else
	return false;
#endif
}

static int pmu_add(struct perf_event *event, int flags)
{
	const struct kvmmem_pmu_kind *kind = &kvmmem_pmu_kinds[event->attr.config - 1];

	/* Memory is a VM's and no control group's. */
	if (kind->unit == KVMMEM_PMU_KIB && pmu_is_of_cgroup(event))
		return -EINVAL;
	event->hw.state = PERF_HES_STOPPED | PERF_HES_UPTODATE;
	if (flags & PERF_EF_START)
		pmu_start(event, flags);
	return 0;
}

static void pmu_del(struct perf_event *event, int flags)
{
	pmu_stop(event, PERF_EF_UPDATE);
}

/**
 * struct pmu_attribute - a file of sysfs
 * @attr: the kernel's
 * @name: its name
 * @text: what is in it
 */
struct pmu_attribute {
	struct device_attribute attr;
	char name[40];
	char text[16];
};

/* An event has its name, and may have a unit, a scale, and be a gauge. */
#define PER_KIND	4

static struct pmu_attribute attributes[PER_KIND * KVMMEM_PMU_MAX_KINDS];
static struct attribute *event_attrs[ARRAY_SIZE(attributes) + 1];

static ssize_t pmu_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", container_of(attr, struct pmu_attribute, attr)->text);
}

static void pmu_add_file(unsigned int *nr, const char *name, const char *suffix,
			 const char *text)
{
	struct pmu_attribute *attribute = &attributes[*nr];

	snprintf(attribute->name, sizeof(attribute->name), "%s%s", name, suffix);
	strscpy(attribute->text, text, sizeof(attribute->text));
	attribute->attr.attr.name = attribute->name;
	attribute->attr.attr.mode = 0444;
	attribute->attr.show = pmu_show;
	event_attrs[(*nr)++] = &attribute->attr.attr;
}

static void pmu_add_files(void)
{
	unsigned int i, nr = 0;

	for (i = 0; i < kvmmem_pmu_nr_kinds; i++) {
		const struct kvmmem_pmu_kind *kind = &kvmmem_pmu_kinds[i];
		char event[16];

		if (!kvmmem_pmu_kind_exists(kind))
			continue;
		snprintf(event, sizeof(event), "event=0x%02x", i + 1);
		pmu_add_file(&nr, kind->name, "", event);
		if (kind->unit == KVMMEM_PMU_COUNT)
			continue;
		pmu_add_file(&nr, kind->name, ".unit", kind->unit == KVMMEM_PMU_NS ? "ns" : "B");
		if (kind->unit == KVMMEM_PMU_NS)
			continue;
		pmu_add_file(&nr, kind->name, ".scale",
			     kind->unit == KVMMEM_PMU_KIB ? "1024" : "4096");
		if (kind->unit == KVMMEM_PMU_KIB)
			pmu_add_file(&nr, kind->name, ".snapshot", "1");
	}
}

PMU_FORMAT_ATTR(event, "config:0-7");
PMU_FORMAT_ATTR(vm, "config1:0-31");
PMU_FORMAT_ATTR(fd, "config1:32-63");

static struct attribute *format_attrs[] = {
	&format_attr_event.attr,
	&format_attr_vm.attr,
	&format_attr_fd.attr,
	NULL
};

static const struct attribute_group format_group = {
	.name = "format",
	.attrs = format_attrs,
};

static const struct attribute_group event_group = {
	.name = "events",
	.attrs = event_attrs,
};

static const struct attribute_group *groups[] = {
	&format_group,
	&event_group,
	NULL
};

static struct pmu pmu = {
	.module = THIS_MODULE,
	.task_ctx_nr = perf_sw_context,
	.capabilities = PERF_PMU_CAP_NO_INTERRUPT | PERF_PMU_CAP_NO_EXCLUDE,
	.attr_groups = groups,
	.event_init = pmu_event_init,
	.add = pmu_add,
	.del = pmu_del,
	.start = pmu_start,
	.stop = pmu_stop,
	.read = pmu_read,
};

/**
 * kvmmem_pmu_init - register the PMU, the last of all steps of start
 *
 * Context: may sleep.
 *
 * Return: 0 or an errno.
 */
int kvmmem_pmu_init(void)
{
	pmu_add_files();
	return perf_pmu_register(&pmu, KBUILD_MODNAME, -1);
}

/**
 * kvmmem_pmu_exit - let go of it
 *
 * No event is open. Context: may sleep.
 */
void kvmmem_pmu_exit(void)
{
	perf_pmu_unregister(&pmu);
	kvmmem_gauges_stop();
}
