// SPDX-License-Identifier: GPL-2.0
/*
 * vCPUs that do not get on: one that faults on the same page again and again, or one
 * whose fault does not come to an end.
 *
 * Of some 256 faults of a vCPU the probe looks at one more closely, by chance.
 * When the next one that it looks at is of the same page, with the same registers, and
 * KVM has mended none since, it looks at each from then on, until one differs. A guest
 * that refaults on what was taken away has it mended each time; one that copies has
 * other registers; one whose instruction touches several pages has another page.
 *
 * A vCPU in user space is not stuck: its process has stopped it.
 */
#include <linux/hash.h>
#include <linux/jiffies.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>
#include <asm/tsc.h>

#include "attach/queue.h"
#include "compat/guest.h"
#include "count/away.h"
#include "count/fault.h"
#include "count/run.h"
#include "count/stuck.h"
#include "count/ticks.h"
#include "decode/param.h"
#include "registry/observed.h"
#include "registry/records.h"
#include "registry/trace.h"

/* Repeats before a vCPU passes for stuck. */
#define STUCK_REPEATS	128

/* A vCPU that faulted not so long ago is at it still. */
#define STUCK_LATELY	(100 * (u64)NSEC_PER_MSEC)

static unsigned int stuck_ms = 5000;
module_param_cb(stuck_ms, &kvmmem_param_ms_ops, &stuck_ms, 0644);
MODULE_PARM_DESC(stuck_ms, "time in ms after which a vCPU that does not get on passes for stuck (default 5000)");

static bool stuck_log;

/**
 * kvmmem_stuck_look - look at a fault more closely
 * @rec: record of the vCPU
 * @vcpu: the vCPU, which the calling thread runs
 * @addr: where it faulted
 *
 * Context: the fault probe's other path, when @rec has KVMMEM_VCPU_SAMPLE.
 */
void kvmmem_stuck_look(struct kvmmem_vcpu *rec, const struct kvm_vcpu *vcpu, u64 addr)
{
	struct kvmmem_stuck *stuck = &rec->stuck;
	/* They are only compared, so half of the bits will do. L1 mends what it is given. */
	u32 state = hash_64(kvmmem_vcpu_state(vcpu), 32);
	u32 fixed = kvmmem_vcpu_fixed(vcpu) + rec->reflected;
	u64 page = addr >> PAGE_SHIFT, now = ktime_get_mono_fast_ns();

	if (stuck->page == page && stuck->state == state && stuck->fixed == fixed) {
		WRITE_ONCE(stuck->last, now);
		WRITE_ONCE(stuck->repeats, stuck->repeats + 1);
		return;
	}
	WRITE_ONCE(stuck->repeats, 0);
	WRITE_ONCE(stuck->page, page);
	WRITE_ONCE(stuck->since, now);
	stuck->state = state;
	stuck->fixed = fixed;
	rec->special &= ~KVMMEM_VCPU_SAMPLE;
}

/* Has its process stopped it, or another vCPU reset it? */
static bool stuck_by_others(const struct kvmmem_vcpu *rec)
{
	struct kvmmem_vm *vm = rec->vm;
	bool others = true;

	raw_spin_lock(&vm->lock);
	if (vm->kvm)
		others = kvmmem_away_in_user(rec) || kvmmem_vcpu_waits_for_init(rec->vcpu);
	raw_spin_unlock(&vm->lock);
	return others;
}

/* One whose fault does not end; where it is asleep its address is known. */
static bool stuck_in_one(const struct kvmmem_vcpu *rec, struct kvmmem_stuck_state *state)
{
	u64 begun = READ_ONCE(rec->fault_tsc) & ~KVMMEM_TSC_RARE;
	s64 ticks = rdtsc() - begun;

	if (begun <= KVMMEM_NO_EXIT || ticks <= 0)
		return false;
	state->since_ms = div_u64(kvmmem_ticks_to_ns(ticks), NSEC_PER_MSEC);
	state->gpa = READ_ONCE(rec->away.exit) == begun ? READ_ONCE(rec->away.gpa) :
							  KVMMEM_UNKNOWN;
	state->repeats = 0;
	return state->since_ms >= READ_ONCE(stuck_ms) && !stuck_by_others(rec);
}

static bool stuck_repeats(const struct kvmmem_vcpu *rec, struct kvmmem_stuck_state *state)
{
	const struct kvmmem_stuck *stuck = &rec->stuck;
	u64 least = READ_ONCE(stuck_ms) * (u64)NSEC_PER_MSEC;
	u64 now = ktime_get_mono_fast_ns();

	state->repeats = READ_ONCE(stuck->repeats);
	state->gpa = READ_ONCE(stuck->page) << PAGE_SHIFT;
	/* A guest that got on and has not faulted since is as it was left. */
	if (now - min(now, READ_ONCE(stuck->last)) > max(least, STUCK_LATELY))
		return false;
	now -= min(now, READ_ONCE(stuck->since));
	state->since_ms = div_u64(now, NSEC_PER_MSEC);
	return now >= least;
}

/**
 * kvmmem_stuck_of_vcpu - does a vCPU not get on?
 * @rec: its record
 * @state: where to, if so
 *
 * Context: rcu_read_lock(), or a reference on the VM's record.
 *
 * Return: true if it is stuck.
 */
bool kvmmem_stuck_of_vcpu(const struct kvmmem_vcpu *rec, struct kvmmem_stuck_state *state)
{
	/*
	 * Of most vCPUs there is no more to be asked. One that repeats a fault is mostly in the
	 * middle of one: the repeats are asked for first, as they have lasted longer.
	 */
	if (!(READ_ONCE(rec->stuck.repeats) >= STUCK_REPEATS && stuck_repeats(rec, state)) &&
	    !(READ_ONCE(rec->fault_tsc) && stuck_in_one(rec, state)))
		return false;
	/* Under shadow paging the address is the guest's virtual one. */
	if (rec->vm->mode == KVMMEM_MODE_SHADOW)
		state->gpa = KVMMEM_UNKNOWN;
	return true;
}

/**
 * kvmmem_stuck_of_vm - how many of a VM's vCPUs do not get on?
 * @vm: its record
 *
 * Context: rcu_read_lock(), or a reference on the VM's record.
 *
 * Return: how many; KVMMEM_UNKNOWN while nobody looks.
 */
u64 kvmmem_stuck_of_vm(struct kvmmem_vm *vm)
{
	struct kvmmem_stuck_state state;
	struct kvmmem_vcpu *rec;
	u64 n = 0;

	if (!kvmmem_fault_on() || !kvmmem_run_attached(KVMMEM_RUN_TIME))
		return KVMMEM_UNKNOWN;
	kvmmem_vm_for_each_vcpu(rec, vm)
		n += kvmmem_stuck_of_vcpu(rec, &state);
	return n;
}

/* The log gets a line a round, for the first of all vCPUs: tenants can have many. */
static void stuck_warn(struct kvmmem_vm *vm, bool *logged)
{
	struct kvmmem_stuck_state state;
	struct kvmmem_vcpu *rec;

	kvmmem_vm_for_each_vcpu(rec, vm) {
		if (!kvmmem_stuck_of_vcpu(rec, &state))
			continue;
		trace_vcpu_stuck(rec, state.gpa, state.repeats, state.since_ms);
		if (!READ_ONCE(stuck_log) || *logged)
			continue;
		pr_warn_ratelimited("VM %s: vCPU %u has not got on for %llu ms, see vms/*/stuck\n",
				    vm->id, rec->id, state.since_ms);
		*logged = true;
	}
}

static void stuck_watch(struct work_struct *work);
static DECLARE_DELAYED_WORK(stuck_work, stuck_watch);

static void stuck_watch_later(void)
{
	queue_delayed_work(kvmmem_queue, &stuck_work,
			   msecs_to_jiffies(clamp(READ_ONCE(stuck_ms), 1000U, 60000U)));
}

static void stuck_watch(struct work_struct *work)
{
	unsigned int slot;
	bool logged = false;

	if (!READ_ONCE(stuck_log) && !kvmmem_stuck_is_wanted())
		return;
	for (slot = kvmmem_vm_next(0); slot < kvmmem_vm_slots();
	     slot = kvmmem_vm_next(slot + 1)) {
		struct kvmmem_vm *vm = kvmmem_vm_get(slot);

		if (!vm)
			continue;
		stuck_warn(vm, &logged);
		kvmmem_vm_put(vm);
		cond_resched();
	}
	stuck_watch_later();
}

static void stuck_switch(bool on)
{
	/* The work ends by itself when nobody wants it. */
	if (on)
		stuck_watch_later();
}

static int stuck_set_switch(const char *val, const struct kernel_param *kp)
{
	return kvmmem_param_switch(val, kp, stuck_switch);
}

static const struct kernel_param_ops stuck_log_ops = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG,
	.set = stuck_set_switch,
	.get = param_get_bool,
};

module_param_cb(stuck_log, &stuck_log_ops, &stuck_log, 0644);
MODULE_PARM_DESC(stuck_log, "write to the kernel log that a vCPU is stuck (default off)");

/**
 * kvmmem_stuck_init - begin to watch, if the parameter says so or the trace event is on
 */
void kvmmem_stuck_init(void)
{
	if (stuck_log)
		stuck_watch_later();
	kvmmem_stuck_watch_by(stuck_watch_later);
}

/**
 * kvmmem_stuck_exit - end that, before the records go
 *
 * Context: may sleep.
 */
void kvmmem_stuck_exit(void)
{
	kvmmem_stuck_watch_by(NULL);
	cancel_delayed_work_sync(&stuck_work);
}
