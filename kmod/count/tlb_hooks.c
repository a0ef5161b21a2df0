// SPDX-License-Identifier: GPL-2.0
/*
 * The hooks that flush accounting (tlb.c) has beside the run probes, and the
 * parameter that switches it on and off.
 */
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/tracepoint.h>

#include "attach/hooks.h"
#include "count/requests.h"
#include "count/run.h"
#include "count/tlb.h"
#include "count/tlb_hooks.h"
#include "decode/param.h"
#include "registry/info.h"

static bool flush_accounting = true;

static struct kvmmem_hook_group flush_group;

#define FLUSH_HOOK(_id, _name, _module)						\
	{ .id = _id, .name = _name, .module = _module,				\
	  .purpose = "flush-cause", .group = &flush_group }

static struct kvmmem_hook vmx_flush_hooks[] = {
	FLUSH_HOOK(KVMMEM_HOOK_FLUSH_ALL, "vmx_flush_tlb_all", "kvm_intel"),
	FLUSH_HOOK(KVMMEM_HOOK_FLUSH_CURRENT, "vmx_flush_tlb_current", "kvm_intel"),
	FLUSH_HOOK(KVMMEM_HOOK_FLUSH_GUEST, "vmx_flush_tlb_guest", "kvm_intel"),
};

/* The others call the one for the ASID; 5.10 has nothing but the last. */
static struct kvmmem_hook svm_flush_hooks[] = {
	FLUSH_HOOK(KVMMEM_HOOK_FLUSH_ALL, "svm_flush_tlb_all", "kvm_amd"),
	FLUSH_HOOK(KVMMEM_HOOK_FLUSH_CURRENT, "svm_flush_tlb_current", "kvm_amd"),
	FLUSH_HOOK(KVMMEM_HOOK_FLUSH_GUEST, "svm_flush_tlb_guest", "kvm_amd"),
	FLUSH_HOOK(KVMMEM_HOOK_FLUSH_ASID, "svm_flush_tlb_asid", "kvm_amd"),
	FLUSH_HOOK(KVMMEM_HOOK_FLUSH_ANY, "svm_flush_tlb", "kvm_amd"),
};

static struct kvmmem_hook pv_hook = {
	.id = KVMMEM_HOOK_PV_FLUSH,
	.name = "kvm_pv_tlb_flush",
	.module = "kvm",
	.purpose = "flush-cause",
};

static void tlb_add_hook(struct kvmmem_hook *hook, ftrace_func_t func)
{
	hook->func = func;
	hook->state = flush_accounting ? KVMMEM_HOOK_WAITING : KVMMEM_HOOK_OFF;
	kvmmem_hook_add(hook);
}

static void tlb_switch_hooks(bool on)
{
	kvmmem_hook_group_switch(&flush_group, on);
	kvmmem_requests_switch(on);
	kvmmem_hook_switch(&pv_hook, on);
}

static void tlb_want(void)
{
	kvmmem_run_want(KVMMEM_RUN_TAG, true);
	if (!kvmmem_requests_reach_vcpus())
		kvmmem_run_note("remote-by-hypercall");
}

static void tlb_is_older(struct kvmmem_vm *vm)
{
	struct kvmmem_vcpu *rec;

	kvmmem_vm_for_each_vcpu(rec, vm)
		WRITE_ONCE(rec->flush_older, true);
}

/*
 * Without all of its hooks nobody can say what a flush was. They come and go one after the
 * other, as ftrace waits for everybody each time: meanwhile nothing is counted. Nor do the
 * run probes look for flushes while the hooks are not listened to; a key's places in the
 * code do not change all at once, so there is a word for the hooks.
 */
static void tlb_switch(bool on)
{
	if (on) {
		tlb_switch_hooks(true);
		kvmmem_vm_for_all(tlb_is_older);
		WRITE_ONCE(kvmmem_tlb_heard, true);
		tlb_want();
		static_branch_enable(&kvmmem_tlb_key);
		return;
	}
	static_branch_disable(&kvmmem_tlb_key);
	kvmmem_run_want(KVMMEM_RUN_TAG, false);
	/* The run probes go on for service time. */
	kvmmem_probes_synchronize();
	WRITE_ONCE(kvmmem_tlb_heard, false);
	tlb_switch_hooks(false);
	kvmmem_vm_for_all(kvmmem_tlb_untrack);
}

static int tlb_set_switch(const char *val, const struct kernel_param *kp)
{
	return kvmmem_param_switch(val, kp, tlb_switch);
}

static const struct kernel_param_ops flush_accounting_ops = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG,
	.set = tlb_set_switch,
	.get = param_get_bool,
};

module_param_cb(flush_accounting, &flush_accounting_ops, &flush_accounting, 0644);
MODULE_PARM_DESC(flush_accounting, "count TLB flushes by tag and cause; off: its hooks are not attached (default on)");

/**
 * kvmmem_tlb_hooks_init - add the hooks of flush accounting
 * @funcs: what is called at KVM's flush functions, by the hook's id
 * @pv: probes of kvm_pv_tlb_flush
 * @remote: what is called at a request for a remote flush
 *
 * After kvmmem_run_init(). Context: may sleep.
 */
void kvmmem_tlb_hooks_init(const ftrace_func_t *funcs, const struct kvmmem_probe *pv,
			   ftrace_func_t remote)
{
	int i;

	if (kvmmem_cpu_is_svm())
		for (i = 0; i < ARRAY_SIZE(svm_flush_hooks); i++)
			tlb_add_hook(&svm_flush_hooks[i], funcs[svm_flush_hooks[i].id]);
	else
		for (i = 0; i < ARRAY_SIZE(vmx_flush_hooks); i++)
			tlb_add_hook(&vmx_flush_hooks[i], funcs[vmx_flush_hooks[i].id]);
	kvmmem_requests_init(remote, flush_accounting);
	pv_hook.probes = pv;
	tlb_add_hook(&pv_hook, NULL);
	kvmmem_tlb_ask(kvmmem_tlb_causes_known, kvmmem_tlb_ranges_known);

	/* No VM is known before all hooks are attached. */
	WRITE_ONCE(kvmmem_tlb_heard, flush_accounting);
	if (flush_accounting) {
		tlb_want();
		static_branch_enable(&kvmmem_tlb_key);
	}
}

/**
 * kvmmem_tlb_on - is flush accounting at work?
 *
 * Context: any.
 *
 * Return: true while what it needs is attached.
 */
bool kvmmem_tlb_on(void)
{
	return kvmmem_run_attached(KVMMEM_RUN_TAG);
}

/**
 * kvmmem_tlb_waits - is KVM's module for this vendor's processors not there?
 *
 * Context: any.
 *
 * Return: true while it is not loaded, and its flushes would be accounted for.
 */
bool kvmmem_tlb_waits(void)
{
	const struct kvmmem_hook *hook = kvmmem_cpu_is_svm() ? svm_flush_hooks :
							       vmx_flush_hooks;

	return READ_ONCE(hook->state) == KVMMEM_HOOK_WAITING;
}

/**
 * kvmmem_tlb_ranges_known - are all of KVM's flush functions hooked?
 *
 * What KVM counts and none of them did was in a range that the guest asked for.
 * Context: any.
 *
 * Return: true if so.
 */
bool kvmmem_tlb_ranges_known(void)
{
	const struct kvmmem_hook *hooks = kvmmem_cpu_is_svm() ? svm_flush_hooks :
								vmx_flush_hooks;

	if (kvmmem_cpu_is_svm() && (kvmmem_hook_attached(&svm_flush_hooks[3]) ||
				    kvmmem_hook_attached(&svm_flush_hooks[4])))
		return true;
	return kvmmem_hook_attached(&hooks[0]) && kvmmem_hook_attached(&hooks[1]) &&
	       kvmmem_hook_attached(&hooks[2]);
}

/**
 * kvmmem_tlb_causes_known - can causes be told apart on this kernel?
 *
 * Context: any.
 *
 * Return: false where flushes of one cause would pass for another's.
 */
bool kvmmem_tlb_causes_known(void)
{
	return kvmmem_hook_attached(&pv_hook) && kvmmem_requests_known() &&
	       kvmmem_tlb_ranges_known();
}

/**
 * kvmmem_tlb_vm_causes_known - can the causes of a VM's flushes be told apart?
 * @vm: its record
 *
 * Context: any.
 *
 * Return: false, too, for a TDX guest, whose flush functions are others.
 */
bool kvmmem_tlb_vm_causes_known(const struct kvmmem_vm *vm)
{
	return !vm->is_tdx && kvmmem_tlb_causes_known();
}
