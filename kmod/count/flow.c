// SPDX-License-Identifier: GPL-2.0
/*
 * The flow of huge mappings, each one at its change.
 *
 * KVM's tracepoint fires at every change of an entry of the newer MMU's tables,
 * those of faults included, so this is off until somebody asks for it
 * (huge_flows=1): huge.c tells nearly as much for less. Changes of 4K entries,
 * nearly all there are, cost a comparison.
 *
 * The tracepoint does not say which VM it is about. Whoever faults, logs or
 * unmaps runs in the VM's process, so it is the VM of current->mm, if that
 * process has only one. What others do (khugepaged, the NX recovery worker, whoever
 * reclaims memory) is counted as nobody's, and a process with two VMs is left to huge.c.
 */
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/sched.h>

#include "attach/hooks.h"
#include "compat/memory.h"
#include "compat/probe.h"
#include "count/flow.h"
#include "decode/param.h"
#include "decode/size.h"
#include "registry/info.h"
#include "registry/process.h"
#include "registry/trace.h"

static bool huge_flows;
static struct kvmmem_hook spte_hook;

/* The hook has gone, and what it has counted is not known to others yet. */
static bool flow_leaves;

/* A slot that is being logged is split for it, any other for the mitigation. */
static bool flow_is_logged(struct kvmmem_vm *vm, u64 gfn)
{
	bool logged = false;

	raw_spin_lock(&vm->lock);
	if (vm->kvm)
		logged = kvmmem_slot_flags(vm->kvm, gfn) & KVM_MEM_LOG_DIRTY_PAGES;
	raw_spin_unlock(&vm->lock);
	return logged;
}

/**
 * struct frozen - a huge mapping that is not there for the moment
 * @task: who took it away; NULL: there is none
 * @mm: its mm
 * @gfn: first guest page
 *
 * To split a huge mapping in a fault, kernels before 6.2 take it away first and
 * put a table there in a second step, on the same processor.
 */
struct frozen {
	const struct task_struct *task;
	const struct mm_struct *mm;
	u64 gfn;
};

static DEFINE_PER_CPU(struct frozen, frozen);

static void flow_trace(const struct kvmmem_vm *vm, enum kvmmem_flow flow, u64 gfn, int level)
{
	const char *page = level == 2 ? "2m" : "1g";

	if (flow == KVMMEM_FLOW_SPLIT)
		trace_huge_split(vm, gfn << PAGE_SHIFT, page, vm ? "nx" : "-");
	else if (flow == KVMMEM_FLOW_SPLIT_LOGGED)
		trace_huge_split(vm, gfn << PAGE_SHIFT, page, "dirty_log");
	else if (flow == KVMMEM_FLOW_RECOVERED)
		trace_huge_recovered(vm, gfn << PAGE_SHIFT, page, "-");
}

/* A mapping was split: into 2M mappings, which no event tells of, if that of 1G @stays. */
static void flow_count_split(struct kvmmem_vm *vm, enum kvmmem_flow flow, int level, bool stays)
{
	u64 nr = level == 2 ? 1 : KVMMEM_2M_OF_1G;

	if (level > 2 && stays)
		atomic64_add(nr, &vm->flows[KVMMEM_FLOW_INSTALLED]);
	else if (flow == KVMMEM_FLOW_SPLIT_LOGGED)
		atomic64_add(nr, &vm->dirty.split_2m);
}

static void flow_count(const struct mm_struct *mm, enum kvmmem_flow flow, u64 gfn, int level,
		       bool stays)
{
	struct kvmmem_vm *vm;

	if (flow >= KVMMEM_NR_FLOWS)
		return;
	rcu_read_lock();
	vm = mm ? kvmmem_vm_of_mm(mm) : NULL;
	if (vm && kvmmem_flow_counts(vm)) {
		if (flow == KVMMEM_FLOW_SPLIT && flow_is_logged(vm, gfn))
			flow = KVMMEM_FLOW_SPLIT_LOGGED;
		atomic64_inc(&vm->flows[flow]);
		if (flow == KVMMEM_FLOW_SPLIT || flow == KVMMEM_FLOW_SPLIT_LOGGED)
			flow_count_split(vm, flow, level, stays);
	}
	flow_trace(vm, flow, gfn, level);
	rcu_read_unlock();
}

static noinline void flow_account(enum kvmmem_flow flow, u64 gfn, int level)
{
	/* Who is short of memory takes anybody's. */
	const struct mm_struct *mm = current->flags & PF_MEMALLOC ? NULL : current->mm;
	struct frozen *last = get_cpu_ptr(&frozen);
	bool stays = flow == KVMMEM_FLOW_SPLIT;

	if (last->task == current && last->gfn == gfn && flow == KVMMEM_FLOW_LINKED)
		flow = KVMMEM_FLOW_SPLIT;
	else if (last->task)
		flow_count(last->mm, KVMMEM_FLOW_ZAPPED, last->gfn, level, false);
	last->task = NULL;
	if (flow == KVMMEM_FLOW_FROZEN) {
		last->task = current;
		last->mm = mm;
		last->gfn = gfn;
	}
	flow_count(mm, flow, gfn, level, stays);
	put_cpu_ptr(&frozen);
}

static __always_inline void flow_spte_changed(u64 gfn, int level, u64 old_spte, u64 new_spte)
{
	enum kvmmem_flow flow;

	if (level == 1)
		return;
	kvmmem_hook_seen(KVMMEM_HOOK_SPTE_CHANGED);
	flow = kvmmem_flow_kind(level, old_spte, new_spte);
	if (flow != KVMMEM_FLOW_NONE)
		flow_account(flow, gfn, level);
}

KVMMEM_SPTE_CHANGED_PROBES(flow_spte_changed);

static struct kvmmem_hook spte_hook = {
	.id = KVMMEM_HOOK_SPTE_CHANGED,
	.name = "kvm_tdp_mmu_spte_changed",
	.module = "kvm",
	.purpose = "huge-flows",
	.probes = flow_spte_changed_probes,
};

static const struct kvmmem_flow_others *flow_others;

/*
 * What came before is counted by whoever has counted until now. While the hook comes and
 * goes nobody counts.
 */
static void flow_switch(bool on)
{
	kvmmem_vm_for_all(flow_others->settle);
	WRITE_ONCE(flow_leaves, !on && kvmmem_hook_attached(&spte_hook));
	kvmmem_hook_switch(&spte_hook, on);
	if (flow_leaves) {
		kvmmem_vm_for_all(flow_others->skip);
		WRITE_ONCE(flow_leaves, false);
	}
	flow_others->balance();
}

static int flow_set_switch(const char *val, const struct kernel_param *kp)
{
	return kvmmem_param_switch(val, kp, flow_switch);
}

static const struct kernel_param_ops huge_flows_ops = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG,
	.set = flow_set_switch,
	.get = param_get_bool,
};

module_param_cb(huge_flows, &huge_flows_ops, &huge_flows, 0644);
MODULE_PARM_DESC(huge_flows, "count huge mappings that KVM installs, splits, recovers and zaps at each change of its tables; costs some instructions per EPT violation (default off)");

/**
 * kvmmem_flow_init - add the hook
 * @others: who counts while nobody listens
 */
void kvmmem_flow_init(const struct kvmmem_flow_others *others)
{
	flow_others = others;
	kvmmem_process_ask(others->skip);
	spte_hook.state = huge_flows ? KVMMEM_HOOK_WAITING : KVMMEM_HOOK_OFF;
	kvmmem_hook_add(&spte_hook);
}

/**
 * kvmmem_flow_counts - are the flows of a VM counted here?
 * @vm: the record
 *
 * Context: any.
 *
 * Return: false while nobody listens, if the VM's process has several VMs, where nobody
 * can say whose a change is, or if it has the older MMU, which tells of none.
 */
bool kvmmem_flow_counts(const struct kvmmem_vm *vm)
{
	return (kvmmem_hook_attached(&spte_hook) || READ_ONCE(flow_leaves)) && vm->newer_mmu &&
	       !READ_ONCE(vm->mm_shared);
}
