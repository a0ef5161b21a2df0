// SPDX-License-Identifier: GPL-2.0
/*
 * Who wants the probes on kvm_entry and kvm_exit (probes.c).
 *
 * There is one probe on each, for flush accounting and service time together:
 * two probes on one tracepoint cost more than the work they do. A tracepoint that
 * nobody wants has no probe.
 */
#include <linux/kernel.h>
#include <linux/string.h>

#include "attach/hooks.h"
#include "count/run.h"
#include "count/ticks.h"

static struct kvmmem_hook entry_hook = {
	.id = KVMMEM_HOOK_ENTRY,
	.name = "kvm_entry",
	.module = "kvm",
};

static struct kvmmem_hook exit_hook = {
	.id = KVMMEM_HOOK_EXIT,
	.name = "kvm_exit",
	.module = "kvm",
};

static struct kvmmem_hook *tag_hook, *time_hook;	/* by whose need it stands or falls */
static bool run_wanted[KVMMEM_NR_RUN_NEEDS];

/**
 * kvmmem_run_init - add the hooks on kvm_entry and kvm_exit
 * @entry: probes of kvm_entry
 * @exit: probes of kvm_exit
 *
 * Before any kvmmem_run_want(). Context: may sleep.
 */
void kvmmem_run_init(const struct kvmmem_probe *entry, const struct kvmmem_probe *exit)
{
	entry_hook.probes = entry;
	exit_hook.probes = exit;
	/*
	 * The tag is read where the processor uses it: on Intel in kvm_entry, where
	 * the vCPU's VMCS is current; on AMD in kvm_exit, since the ASID is chosen
	 * after kvm_entry (svm.c, pre_svm_run).
	 */
	tag_hook = kvmmem_cpu_is_svm() ? &exit_hook : &entry_hook;
	time_hook = kvmmem_cpu_is_svm() ? &entry_hook : &exit_hook;
	tag_hook->purpose = "hardware-tag,service-time";
	time_hook->purpose = "service-time";
	time_hook->why_not = kvmmem_ticks_why_not;
	tag_hook->why_not = NULL;
	entry_hook.state = KVMMEM_HOOK_OFF;
	exit_hook.state = KVMMEM_HOOK_OFF;
	memset(run_wanted, 0, sizeof(run_wanted));
	kvmmem_hook_add(&entry_hook);
	kvmmem_hook_add(&exit_hook);
}

/**
 * kvmmem_run_want - attach the probes that something needs, or let go of them
 * @need: what for
 * @on: is it wanted?
 *
 * When it returns after off, probes that nothing else needs are not running.
 * Context: may sleep; not beside itself.
 */
void kvmmem_run_want(enum kvmmem_run_need need, bool on)
{
	run_wanted[need] = on;
	if (need == KVMMEM_RUN_TAG && !on)
		WRITE_ONCE(tag_hook->note, NULL);
	kvmmem_hook_switch(tag_hook, run_wanted[KVMMEM_RUN_TAG] || run_wanted[KVMMEM_RUN_TIME]);
	kvmmem_hook_switch(time_hook, run_wanted[KVMMEM_RUN_TIME]);
}

/**
 * kvmmem_run_wanted - does something need the probes?
 * @need: what
 *
 * Context: any.
 *
 * Return: true if so, whether they are attached or not.
 */
bool kvmmem_run_wanted(enum kvmmem_run_need need)
{
	return READ_ONCE(run_wanted[need]);
}

/**
 * kvmmem_run_attached - are the probes at work?
 * @need: what for
 *
 * Context: any.
 *
 * Return: true when all that @need needs is attached.
 */
bool kvmmem_run_attached(enum kvmmem_run_need need)
{
	return READ_ONCE(run_wanted[need]) && kvmmem_hook_attached(tag_hook) &&
	       (need == KVMMEM_RUN_TAG || kvmmem_hook_attached(time_hook));
}

/**
 * kvmmem_run_note - what the tags' probe cannot do here
 * @note: a word for 'hooks'
 *
 * Context: any.
 */
void kvmmem_run_note(const char *note)
{
	WRITE_ONCE(tag_hook->note, note);
}
