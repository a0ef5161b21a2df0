// SPDX-License-Identifier: GPL-2.0
/*
 * Service time of faults.
 *
 * Three probes work on it, all in the vCPU's thread: that on kvm_exit notes the
 * TSC in the vCPU's record, the fault probe says that this exit is a fault's,
 * and that on kvm_entry, when it finds a fault begun, counts the time passed.
 * The vCPU may be preempted or sleep in between and continue on another processor;
 * a TSC that then lies behind is counted apart.
 */
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/rculist.h>
#include <linux/tracepoint.h>
#include <asm/tsc.h>

#include "count/fault.h"
#include "count/latency.h"
#include "count/run.h"
#include "decode/param.h"
#include "registry/info.h"

DEFINE_STATIC_KEY_FALSE(kvmmem_latency_key);

static bool service_time = true;
static u32 tsc_mult __read_mostly;

/**
 * kvmmem_latency_served - a fault is over, for the probe on kvm_entry
 * @rec: record of the vCPU, with a fault begun
 */
noinline void kvmmem_latency_served(struct kvmmem_vcpu *rec)
{
	s64 ticks = rdtsc() - rec->fault_tsc;
	u64 taken = kvmmem_vcpu_pf_taken(rec->vcpu);

	rec->fault_tsc = 0;
	if (unlikely(taken < rec->pf_top))
		kvmmem_fault_cleared(rec, taken);
	rec->pf_top = taken;
	if (likely(ticks >= 0))
		rec->served[kvmmem_latency_bucket(kvmmem_tsc_to_ns(ticks, tsc_mult))]++;
	else
		rec->clock_back++;
}

/* Nobody writes: what was begun stays without an end. */
static void latency_forget(struct kvmmem_vcpu *rec)
{
	rec->exit_tsc = 0;
	rec->fault_tsc = 0;
}

static void latency_switch_on(void)
{
	tsc_mult = kvmmem_tsc_mult(tsc_khz);
	if (check_tsc_unstable() || !tsc_mult) {
		kvmmem_run_want(KVMMEM_RUN_TIME, false, "tsc-not-usable");
		return;
	}
	kvmmem_run_want(KVMMEM_RUN_TIME, true, NULL);
	static_branch_enable(&kvmmem_latency_key);
}

static void latency_switch_off(void)
{
	static_branch_disable(&kvmmem_latency_key);
	kvmmem_run_want(KVMMEM_RUN_TIME, false, NULL);
	/* The fault probe, and one on kvm_exit that is needed for tags, go on. */
	tracepoint_synchronize_unregister();
	kvmmem_vcpu_for_all(latency_forget);
}

static void latency_switch(bool on)
{
	if (on)
		latency_switch_on();
	else
		latency_switch_off();
}

static int latency_set_switch(const char *val, const struct kernel_param *kp)
{
	return kvmmem_param_switch(val, kp, latency_switch);
}

static const struct kernel_param_ops service_time_ops = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG,
	.set = latency_set_switch,
	.get = param_get_bool,
};

module_param_cb(service_time, &service_time_ops, &service_time, 0644);
MODULE_PARM_DESC(service_time, "measure the service time of faults; off: its hooks are not attached (default on)");

/**
 * kvmmem_latency_init - say which hooks are needed, before they start
 */
void kvmmem_latency_init(void)
{
	if (service_time)
		latency_switch_on();
}

/**
 * kvmmem_latency_of_vm - service times of all vCPUs of a VM
 * @vm: its record
 * @sum: where to
 *
 * Context: rcu_read_lock(), or a reference on the VM's record.
 */
void kvmmem_latency_of_vm(struct kvmmem_vm *vm, struct kvmmem_latency *sum)
{
	struct kvmmem_vcpu *rec;
	int i;

	if (!kvmmem_run_attached(KVMMEM_RUN_TIME) || check_tsc_unstable()) {
		/* All bits: everything is unknown. */
		memset(sum, 0xff, sizeof(*sum));
		return;
	}
	memset(sum, 0, sizeof(*sum));
	kvmmem_vm_for_each_vcpu(rec, vm) {
		u64 known = 0;

		/* Ends before beginnings, so that there are never more of them. */
		for (i = 0; i < KVMMEM_LATENCY_BUCKETS; i++) {
			u64 n = READ_ONCE(rec->served[i]);

			sum->served[i] += n;
			known += n;
		}
		sum->clock += READ_ONCE(rec->clock_back);
		known += READ_ONCE(rec->clock_back);
		sum->under_way += !!READ_ONCE(rec->fault_tsc);
		known += !!READ_ONCE(rec->fault_tsc);
		sum->no_exit += max_t(s64, READ_ONCE(rec->begun) - known, 0);
	}
}
