// SPDX-License-Identifier: GPL-2.0
/*
 * Where a vCPU's thread is while a fault is served: asleep or preempted, or in user
 * space; what is neither is KVM's own time.
 *
 * The scheduler tells KVM when a vCPU's thread loses its processor and when it gets one
 * again: kvm_sched_out(), kvm_sched_in(). Those are hooked. On its way to user space
 * and back a thread passes nothing that other exits do not pass, too, and they
 * shall not pay. But KVM notes the time whenever it puts a vCPU away
 * (arch.last_host_tsc): when that is after the exit and not the scheduler's doing, the
 * fault was left to the process. The scheduler's next note replaces it, so it is looked
 * at before that, too. Since when is not known then, for the process may have had KVM
 * load and put the vCPU many times; all of the fault that KVM did not sleep is booked as
 * user space's. KVM's own share of such a fault is small.
 */
#include "attach/hooks.h"
#include "compat/guest.h"
#include "count/away.h"
#include "count/ticks.h"

static struct kvmmem_hook_group away_group;

#define AWAY_FUNC(_id, _name)							\
	{ .id = _id, .name = _name, .module = "kvm", .purpose = "service-time",	\
	  .group = &away_group, .why_not = kvmmem_ticks_why_not }

static struct kvmmem_hook out_hook = AWAY_FUNC(KVMMEM_HOOK_SCHED_OUT, "kvm_sched_out");
static struct kvmmem_hook in_hook = AWAY_FUNC(KVMMEM_HOOK_SCHED_IN, "kvm_sched_in");

/**
 * kvmmem_away_init - add the hooks, off
 * @out: what is called at kvm_sched_out()
 * @in: what is called at kvm_sched_in()
 *
 * Before any kvmmem_away_switch(). Context: may sleep.
 */
void kvmmem_away_init(ftrace_func_t out, ftrace_func_t in)
{
	out_hook.func = out;
	in_hook.func = in;
	out_hook.state = KVMMEM_HOOK_OFF;
	in_hook.state = KVMMEM_HOOK_OFF;
	kvmmem_hook_add(&out_hook);
	kvmmem_hook_add(&in_hook);
}

/**
 * kvmmem_away_switch - attach the hooks, or let go of them
 * @on: are they wanted?
 *
 * Context: may sleep; not beside itself.
 */
void kvmmem_away_switch(bool on)
{
	kvmmem_hook_group_switch(&away_group, on);
}

/**
 * kvmmem_away_on - is it known where threads are?
 *
 * Context: any.
 *
 * Return: true while what that needs is attached.
 */
bool kvmmem_away_on(void)
{
	return kvmmem_hook_attached(&out_hook) && kvmmem_hook_attached(&in_hook);
}

/**
 * kvmmem_away_out - the thread loses its processor, in KVM
 * @vcpu: whose thread
 *
 * Context: a hook in that thread, in the scheduler; or in another thread's ioctl on
 * the vCPU.
 */
void kvmmem_away_out(struct kvm_vcpu *vcpu)
{
	struct kvmmem_vcpu *rec = kvmmem_vcpu_of_hook(vcpu);
	struct kvmmem_away *away;
	u64 put;

	if (!rec || rec->exit_tsc == KVMMEM_NO_EXIT)
		return;
	away = &rec->away;
	put = vcpu->arch.last_host_tsc;
	if (away->exit != rec->exit_tsc) {
		u64 cr3 = kvmmem_away_left_l2(rec) ? U64_MAX : kvmmem_vcpu_out_cr3(vcpu);

		WRITE_ONCE(away->exit, 0);
		smp_wmb(); /* regs_kept() takes no CR3 of another exit */
		WRITE_ONCE(away->cr3, cr3);
		smp_wmb(); /* nor the old one of this */
		WRITE_ONCE(away->exit, rec->exit_tsc);
		WRITE_ONCE(away->gpa, KVMMEM_UNKNOWN);
		away->asleep = 0;
		away->put = 0;
		WRITE_ONCE(rec->in_user, false);
	}
	/* KVM is about to note another time there. */
	if (put > rec->exit_tsc && put != away->put)
		WRITE_ONCE(rec->in_user, true);
	if (rec->fault_tsc && away->gpa == KVMMEM_UNKNOWN)
		WRITE_ONCE(away->gpa, kvmmem_vcpu_fault_gpa(vcpu, KVMMEM_UNKNOWN));
	WRITE_ONCE(away->off, rdtsc());
}

/**
 * kvmmem_away_in - the thread has a processor again
 * @vcpu: whose thread
 *
 * Context: as kvmmem_away_out().
 */
void kvmmem_away_in(struct kvm_vcpu *vcpu)
{
	struct kvmmem_vcpu *rec = kvmmem_vcpu_of_hook(vcpu);
	struct kvmmem_away *away;

	if (!rec || !rec->away.off)
		return;
	away = &rec->away;
	/* TSCs of two processors may be some ticks apart. */
	away->asleep += max_t(s64, rdtsc() - away->off, 0);
	WRITE_ONCE(away->put, vcpu->arch.last_host_tsc);
	WRITE_ONCE(away->off, 0);
}

/**
 * kvmmem_away_parts - where the thread was during a fault
 * @rec: record of the vCPU, which the calling thread runs
 * @exit: TSC at the exit for the fault
 * @ticks: time since
 * @asleep: where to put the time without a processor
 * @user: where to put the time in user space
 */
void kvmmem_away_parts(const struct kvmmem_vcpu *rec, u64 exit, u64 ticks, u64 *asleep,
		       u64 *user)
{
	const struct kvmmem_away *away = &rec->away;
	bool in_user = false;
	u64 put = 0;

	*asleep = 0;
	*user = 0;
	if (!kvmmem_away_was(rec, exit))
		return;
	if (away->exit == exit) {
		*asleep = min(away->asleep, ticks);
		put = away->put;
		in_user = rec->in_user;
	}
	if (in_user || rec->vcpu->arch.last_host_tsc != put)
		*user = ticks - *asleep;
}

/**
 * kvmmem_away_in_user - has a vCPU gone to user space with a fault begun?
 * @rec: its record
 *
 * Context: @rec->vm->lock, the VM alive.
 *
 * Return: true if it has.
 */
bool kvmmem_away_in_user(const struct kvmmem_vcpu *rec)
{
	const struct kvmmem_away *away = &rec->away;
	u64 exit = READ_ONCE(rec->fault_tsc) & ~KVMMEM_TSC_RARE;
	u64 put = READ_ONCE(rec->vcpu->arch.last_host_tsc);

	if (put <= exit)
		return false;
	return READ_ONCE(away->exit) != exit ||
	       (!READ_ONCE(away->off) && READ_ONCE(away->put) != put);
}

/**
 * kvmmem_away_stayed - was a vCPU put away by nobody but the scheduler since its last exit?
 * @rec: its record
 *
 * Context: a hook in its thread, or in one that holds its mutex.
 *
 * Return: false if it was, or if that is not known.
 */
bool kvmmem_away_stayed(const struct kvmmem_vcpu *rec)
{
	u64 put = rec->vcpu->arch.last_host_tsc;

	if (rec->exit_tsc <= KVMMEM_NO_EXIT)
		return false;
	return put <= rec->exit_tsc ||
	       (rec->away.exit == rec->exit_tsc && rec->away.put == put && !rec->in_user);
}
