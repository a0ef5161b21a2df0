// SPDX-License-Identifier: GPL-2.0
/*
 * Service time of faults. Where the thread was meanwhile is away.c's.
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

#include "compat/probe.h"
#include "count/async.h"
#include "count/away.h"
#include "count/dirty.h"
#include "count/fault.h"
#include "count/huge.h"
#include "count/latency.h"
#include "count/run.h"
#include "count/ticks.h"
#include "count/violation.h"
#include "decode/param.h"
#include "decode/quantile.h"
#include "registry/info.h"
#include "registry/observed.h"
#include "registry/tally.h"

DEFINE_STATIC_KEY_FALSE(kvmmem_latency_key);

static bool service_time = true;
static u64 ticks_short __read_mostly;

/* Bits of the TSC that are all 0 at one fault of KVMMEM_SAMPLE; the lowest may stand still. */
#define SAMPLED		((KVMMEM_SAMPLE - 1) << 6)

static __always_inline void latency_count(struct kvmmem_vcpu *rec, u64 ticks,
					  unsigned long bucket, u64 away)
{
	struct kvmmem_served *served = &rec->served[kvmmem_access_of(rec->fault_class)];

	served->kvm += ticks - away;
	served->away += away;
	if (ticks > served->longest)
		served->longest = ticks;
	rec->bucket[bucket]++;
	served->count++;
}

static void latency_tally(const struct kvmmem_vcpu *rec, u64 ns, u64 asleep, u64 user)
{
	kvmmem_tally(rec->vm, KVMMEM_TALLY_SERVED, 1);
	kvmmem_tally(rec->vm, KVMMEM_TALLY_KVM_NS, ns - min(ns, asleep + user));
	if (!asleep && !user)
		return;
	kvmmem_tally(rec->vm, KVMMEM_TALLY_ASLEEP_NS, asleep);
	kvmmem_tally(rec->vm, KVMMEM_TALLY_USER_NS, user);
}

/*
 * What is rare: the thread was elsewhere, huge mappings came or went, it took long, the
 * clock went back, or this is the one of KVMMEM_SAMPLE at which more is looked at.
 */
static noinline void latency_served_rare(struct kvmmem_vcpu *rec, u64 exit, u64 now)
{
	u64 taken = kvmmem_vcpu_pf_taken(rec->vcpu);
	bool huge = kvmmem_huge_fault(rec);
	u64 ticks, ns, asleep, user;

	exit &= ~KVMMEM_TSC_RARE;
	ticks = now - exit;
	if (taken < rec->pf_top)
		kvmmem_fault_cleared(rec, taken);
	else
		rec->pf_top = taken;
	/* While somebody observes, each fault comes here. */
	if (!kvmmem_observed() || !(now & SAMPLED))
		rec->special |= KVMMEM_VCPU_SAMPLE;
	if (rec->logged)
		kvmmem_dirty_served(rec, exit == KVMMEM_NO_EXIT ? 0 : max_t(s64, ticks, 0));
	if (exit == KVMMEM_NO_EXIT || (s64)ticks < 0) {
		rec->clock_back += exit != KVMMEM_NO_EXIT;
		if (rec->observed.open)
			kvmmem_violation_end(rec, -1);
		return;
	}
	kvmmem_away_parts(rec, exit, ticks, &asleep, &user);
	if (huge) {
		rec->huge++;
		rec->huge_ticks += ticks;
	}
	rec->away.asleep_sum += asleep;
	rec->away.user_sum += user;
	ns = kvmmem_ticks_to_ns(ticks);
	latency_count(rec, ticks, kvmmem_latency_bucket(ns), asleep + user);
	if (kvmmem_observed())
		latency_tally(rec, ns, kvmmem_ticks_to_ns(asleep), kvmmem_ticks_to_ns(user));
	if (rec->observed.open)
		kvmmem_violation_end(rec, ns);
}

/**
 * kvmmem_latency_served - a fault is over, for the probe on kvm_entry
 * @rec: record of the vCPU, with a fault begun
 *
 * No call on the straight path and nothing wider than 64 bits, so no stack frame
 * either: each instruction counts.
 */
noinline notrace void kvmmem_latency_served(struct kvmmem_vcpu *rec)
{
	u64 exit = rec->fault_tsc, now = rdtsc();
	u64 ticks = now - exit, ns = kvmmem_tsc_short_to_ns(ticks, kvmmem_ticks_mult);

	rec->fault_tsc = 0;
	/* KVMMEM_TSC_RARE makes a long time of a short one. */
	if (unlikely(kvmmem_away_was(rec, exit) || kvmmem_huge_changed(rec) ||
		     ticks > ticks_short || !(now & SAMPLED)))
		latency_served_rare(rec, exit, now);
	else
		latency_count(rec, ticks, kvmmem_latency_short_bucket(ns), 0);
}

/* Faults whose service time is measured, or should be. */
static u64 latency_faults(const struct kvmmem_vcpu *rec)
{
	struct kvmmem_fault_sum sum = {};

	kvmmem_fault_add(&sum, rec->fault);
	return sum.violations + sum.shadow;
}

/* Those of which it is, or will be. */
static u64 latency_timed(const struct kvmmem_vcpu *rec)
{
	u64 sum = READ_ONCE(rec->clock_back) + (READ_ONCE(rec->fault_tsc) > KVMMEM_NO_EXIT);
	int i;

	for (i = 0; i < KVMMEM_NR_ACCESSES; i++)
		sum += READ_ONCE(rec->served[i].count);
	return sum;
}

/* From here on each fault is measured. */
static void latency_begin(struct kvmmem_vm *vm)
{
	struct kvmmem_vcpu *rec;

	kvmmem_vm_for_each_vcpu(rec, vm) {
		int tries = 10;
		u64 timed;

		/* Of one moment: a vCPU may be at work. */
		do {
			timed = latency_timed(rec);
			WRITE_ONCE(rec->time_base, latency_faults(rec) - timed);
		} while (timed != latency_timed(rec) && --tries);
	}
}

/* Nobody writes: what was begun stays without an end. */
static void latency_forget(struct kvmmem_vm *vm)
{
	struct kvmmem_vcpu *rec;

	kvmmem_vm_for_each_vcpu(rec, vm) {
		rec->exit_tsc = KVMMEM_NO_EXIT;
		rec->fault_tsc = 0;
		rec->away.exit = 0;
		rec->async.open = 0;
		rec->stuck.repeats = 0;
		rec->logged = false;
		rec->observed.open = false;
	}
}

static void latency_switch_on(void)
{
	if (!kvmmem_ticks_init())
		return;
	ticks_short = kvmmem_tsc_short(kvmmem_ticks_mult);
	kvmmem_run_want(KVMMEM_RUN_TIME, true);
	kvmmem_away_switch(true);
	kvmmem_async_switch(true);
	static_branch_enable(&kvmmem_latency_key);
	kvmmem_vm_for_all(latency_begin);
}

static void latency_switch_off(void)
{
	kvmmem_ticks_exit();
	static_branch_disable(&kvmmem_latency_key);
	kvmmem_away_switch(false);
	kvmmem_async_switch(false);
	kvmmem_run_want(KVMMEM_RUN_TIME, false);
	/*
	 * The fault probe, and one on kvm_exit that is needed for tags, go on: without the
	 * key they leave alone what is forgotten.
	 */
	kvmmem_probes_synchronize();
	kvmmem_vm_for_all(latency_forget);
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
 * kvmmem_latency_on - is service time being measured?
 *
 * Context: any.
 *
 * Return: true while what that needs is attached, and the TSC is good.
 */
bool kvmmem_latency_on(void)
{
	return kvmmem_fault_on() && kvmmem_run_attached(KVMMEM_RUN_TIME) && !check_tsc_unstable();
}

static bool latency_known(struct kvmmem_latency *sum)
{
	if (kvmmem_latency_on()) {
		memset(sum, 0, sizeof(*sum));
		return true;
	}
	/* All bits: everything is unknown. */
	memset(sum, 0xff, sizeof(*sum));
	return false;
}

/* In ticks; the parts of an away fault are there before its whole, so they may be ahead. */
static void latency_add(struct kvmmem_latency *sum, const struct kvmmem_vcpu *rec)
{
	int i;

	sum->clock += READ_ONCE(rec->clock_back);
	sum->under_way += READ_ONCE(rec->fault_tsc) > KVMMEM_NO_EXIT;

	for (i = 0; i < KVMMEM_NR_ACCESSES; i++) {
		const struct kvmmem_served *served = &rec->served[i];
		u64 kvm = READ_ONCE(served->kvm);

		if (!READ_ONCE(served->count))
			continue;
		sum->count[i] += READ_ONCE(served->count);
		sum->access_ns[i] += kvm + READ_ONCE(served->away);
		sum->access_max_ns[i] = max(sum->access_max_ns[i], READ_ONCE(served->longest));
		sum->kvm_ns += kvm;
	}
	sum->huge += READ_ONCE(rec->huge);
	sum->huge_ns += READ_ONCE(rec->huge_ticks);
	/* Written before the counts and read after them: never fewer. */
	for (i = 0; i < KVMMEM_LATENCY_BUCKETS; i++)
		sum->bucket[i] += READ_ONCE(rec->bucket[i]);
	sum->asleep_ns += READ_ONCE(rec->away.asleep_sum);
	sum->user_ns += READ_ONCE(rec->away.user_sum);
}

static void latency_to_ns(struct kvmmem_latency *sum)
{
	unsigned int i;

	sum->total_ns = kvmmem_ticks_to_ns(sum->kvm_ns + sum->asleep_ns + sum->user_ns);
	for (i = 0; i < KVMMEM_NR_ACCESSES; i++) {
		sum->served += sum->count[i];
		sum->access_ns[i] = kvmmem_ticks_to_ns(sum->access_ns[i]);
		sum->access_max_ns[i] = kvmmem_ticks_to_ns(sum->access_max_ns[i]);
		sum->max_ns = max(sum->max_ns, sum->access_max_ns[i]);
	}
	sum->huge = KVMMEM_KVM_COUNTS_LEAVES ? sum->huge : KVMMEM_UNKNOWN;
	sum->huge_ns = KVMMEM_KVM_COUNTS_LEAVES ? kvmmem_ticks_to_ns(sum->huge_ns) :
						  KVMMEM_UNKNOWN;
	sum->kvm_ns = kvmmem_ticks_to_ns(sum->kvm_ns);
	sum->asleep_ns = kvmmem_ticks_to_ns(sum->asleep_ns);
	sum->user_ns = kvmmem_ticks_to_ns(sum->user_ns);
	if (kvmmem_away_on())
		return;
	sum->kvm_ns = KVMMEM_UNKNOWN;
	sum->asleep_ns = KVMMEM_UNKNOWN;
	sum->user_ns = KVMMEM_UNKNOWN;
}

/**
 * kvmmem_latency_of_vcpu - service times of a vCPU
 * @rec: its record
 * @sum: where to
 *
 * Context: rcu_read_lock(), or a reference on the VM's record.
 */
void kvmmem_latency_of_vcpu(struct kvmmem_vcpu *rec, struct kvmmem_latency *sum)
{
	if (!latency_known(sum))
		return;
	latency_add(sum, rec);
	latency_to_ns(sum);
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

	if (!latency_known(sum))
		return;
	kvmmem_vm_for_each_vcpu(rec, vm)
		latency_add(sum, rec);
	latency_to_ns(sum);
}

/**
 * kvmmem_latency_no_exit - faults of a VM whose exit was not seen
 * @vm: its record
 *
 * Or that came twice in an exit. Context: rcu_read_lock(), or a reference on the VM's
 * record.
 *
 * Return: how many since service time was switched on; KVMMEM_UNKNOWN while it is off.
 */
u64 kvmmem_latency_no_exit(struct kvmmem_vm *vm)
{
	struct kvmmem_vcpu *rec;
	u64 sum = 0;

	if (!kvmmem_latency_on())
		return KVMMEM_UNKNOWN;
	kvmmem_vm_for_each_vcpu(rec, vm) {
		/* Ends before beginnings, so that there are never more of them. */
		u64 timed = latency_timed(rec) + READ_ONCE(rec->time_base);

		sum += max_t(s64, latency_faults(rec) - timed, 0);
	}
	return sum;
}

/**
 * kvmmem_latency_quantile - the time that so many faults did not exceed
 * @sum: service times
 * @percent: how many
 *
 * Return: the time in ns, to a factor of two; KVMMEM_UNKNOWN if none was served.
 */
u64 kvmmem_latency_quantile(const struct kvmmem_latency *sum, unsigned int percent)
{
	return sum->served == KVMMEM_UNKNOWN ? KVMMEM_UNKNOWN :
	       kvmmem_quantile(sum->bucket, sum->served, percent, sum->max_ns);
}
