// SPDX-License-Identifier: GPL-2.0
/*
 * Asking a vCPU for its registers.
 *
 * On EPT the guest's CR3 is in the VMCS, which only the vCPU's thread can read, and
 * only while KVM has it loaded. So whoever wants it leaves a question and leads the
 * vCPU's probes off their straight path (detour.c); its thread answers at its next exit or
 * entry. Nobody is stopped or interrupted for it: a vCPU that does neither in time is
 * answered for by what KVM or we have kept of its last exit.
 *
 * A vCPU that runs a guest of its guest has the registers of that one, one in system
 * management mode those of its handler. The question waits until it exits from L1.
 */
#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>
#include <asm/tsc.h>

#include "count/away.h"
#include "count/regs.h"
#include "count/run.h"
#include "count/ticks.h"
#include "registry/detour.h"

/* So long a vCPU has to leave the guest; a tick of the host makes it do so. */
#define REGS_WAIT_MS	100

/* Questions at a time, of all readers together. */
#define REGS_QUESTIONS	8

enum { REGS_FREE, REGS_TAKEN, REGS_ASKED, REGS_BUSY, REGS_ANSWERED };

/**
 * struct regs_question - a question
 * @state: whose it is: the reader's, or, from ASKED to BUSY, the vCPU's thread's
 * @rec: record of the vCPU
 * @regs: the answer
 * @at: when, ktime_get_mono_fast_ns()
 * @in_l2: a vCPU, its record, that was seen in a guest of its guest
 */
struct regs_question {
	atomic_t state;
	struct kvmmem_vcpu *rec;
	struct kvmmem_regs regs;
	u64 at;
	const struct kvmmem_vcpu *in_l2;
};

static struct regs_question questions[REGS_QUESTIONS];
atomic_t kvmmem_regs_asked = ATOMIC_INIT(0);	/* how many */

static bool regs_is_tdp(const struct kvmmem_vm *vm)
{
	return vm->mode != KVMMEM_MODE_SHADOW;
}

/**
 * kvmmem_regs_reply - answer questions about a vCPU
 * @rec: its record
 * @vcpu: the vCPU, which the calling thread runs and has loaded
 *
 * Context: the other path of the probes on kvm_entry and kvm_exit.
 */
void kvmmem_regs_reply(struct kvmmem_vcpu *rec, const struct kvm_vcpu *vcpu)
{
	struct regs_question *question;
	unsigned int i;

	for (i = 0; i < REGS_QUESTIONS; i++) {
		question = &questions[i];
		if (READ_ONCE(question->rec) != rec ||
		    atomic_read_acquire(&question->state) != REGS_ASKED)
			continue;
		if (kvmmem_vcpu_in_l2(vcpu)) {
			WRITE_ONCE(question->in_l2, rec);
			continue;
		}
		if (kvmmem_vcpu_in_smm(vcpu) ||
		    atomic_cmpxchg(&question->state, REGS_ASKED, REGS_BUSY) != REGS_ASKED)
			continue;
		/* It may have been given up, and be another one's by now. */
		if (READ_ONCE(question->rec) != rec ||
		    !kvmmem_vcpu_regs(vcpu, regs_is_tdp(rec->vm), &question->regs)) {
			atomic_set_release(&question->state, REGS_ASKED);
			continue;
		}
		question->at = ktime_get_mono_fast_ns();
		atomic_set_release(&question->state, REGS_ANSWERED);
	}
}

static struct regs_question *regs_take(void)
{
	unsigned int i;

	for (i = 0; i < REGS_QUESTIONS; i++)
		if (atomic_cmpxchg(&questions[i].state, REGS_FREE, REGS_TAKEN) == REGS_FREE)
			return &questions[i];
	return NULL;
}

static u64 regs_age_us(u64 tsc)
{
	s64 ticks = rdtsc() - tsc;

	return kvmmem_ticks_to_us(max_t(s64, ticks, 0));
}

/* Is there an answer? Nobody works on the question any more when it returns. */
static bool regs_wait(struct regs_question *question)
{
	u64 end = ktime_get_ns() + REGS_WAIT_MS * NSEC_PER_MSEC;
	unsigned int nap = 20;

	while (atomic_read_acquire(&question->state) != REGS_ANSWERED) {
		if ((ktime_get_ns() > end || fatal_signal_pending(current)) &&
		    atomic_cmpxchg(&question->state, REGS_ASKED, REGS_TAKEN) == REGS_ASKED)
			return false;
		usleep_range(nap, 2 * nap);
		nap = min(2 * nap, 2000U);
	}
	return true;
}

/* Ask its thread. */
static bool regs_ask(struct kvmmem_vcpu *rec, struct regs_question *question,
		     struct kvmmem_regs_answer *answer)
{
	struct kvmmem_detour *detour = kvmmem_detour_begin(rec);
	bool answered;
	u64 now;

	if (!detour)
		return false;
	WRITE_ONCE(question->in_l2, NULL);
	WRITE_ONCE(question->rec, rec);
	atomic_inc(&kvmmem_regs_asked);
	atomic_set_release(&question->state, REGS_ASKED);
	answered = regs_wait(question);
	atomic_dec(&kvmmem_regs_asked);
	kvmmem_detour_end(detour);
	answer->in_l2 = READ_ONCE(question->in_l2) == rec;
	if (answered) {
		answer->regs = question->regs;
		now = ktime_get_mono_fast_ns();
		answer->age_us = div_u64(now - min(now, question->at), NSEC_PER_USEC);
		answer->fresh = true;
	}
	return answered;
}

/* What KVM has of this exit, while nobody runs the vCPU. */
static bool regs_of_standing(struct kvmmem_vcpu *rec, u64 exit, struct kvmmem_regs *regs)
{
	if (!kvmmem_vcpu_stands(rec->vcpu))
		return false;
	smp_rmb(); /* it stands, before what it stands at */
	kvmmem_vcpu_kept_regs(rec->vcpu, regs);
	if (!kvmmem_vcpu_has_cr3(rec->vcpu))
		return false;
	smp_rmb(); /* and still does */
	return kvmmem_vcpu_stands(rec->vcpu) && READ_ONCE(rec->exit_tsc) == exit;
}

/* What kvm_sched_out() has left of an exit. */
static bool regs_left(const struct kvmmem_vcpu *rec, u64 exit, struct kvmmem_regs *regs)
{
	if (READ_ONCE(rec->away.exit) != exit || exit <= KVMMEM_NO_EXIT)
		return false;
	smp_rmb(); /* kvmmem_away_out() clears it first */
	kvmmem_vcpu_kept_regs(rec->vcpu, regs);
	regs->cr3 = READ_ONCE(rec->away.cr3);
	smp_rmb(); /* and sets it last */
	return READ_ONCE(rec->away.exit) == exit && regs->cr3 != KVMMEM_UNKNOWN;
}

/*
 * Of an exit before. AMD's copy of CR3 is as good while the vCPU is in the guest; while
 * it is on its way it may be that of the exit before the last.
 */
static bool regs_old(const struct kvmmem_vcpu *rec, u64 *exit, struct kvmmem_regs *regs)
{
	u64 left = READ_ONCE(rec->away.exit);

	if (kvmmem_cpu_is_svm()) {
		kvmmem_vcpu_kept_regs(rec->vcpu, regs);
		return true;
	}
	if (!regs_left(rec, left, regs))
		return false;
	*exit = left;
	return true;
}

/* Those of the last exit; of an older one only if not @now. */
static bool regs_find(struct kvmmem_vcpu *rec, u64 *exit, bool now, struct kvmmem_regs *regs)
{
	kvmmem_vcpu_kept_regs(rec->vcpu, regs);
	/* KVM itself sets CR3 with shadow paging, and knows each change without paging. */
	return !regs_is_tdp(rec->vm) || !(regs->cr0 & X86_CR0_PG) ||
	       regs_of_standing(rec, *exit, regs) || regs_left(rec, *exit, regs) ||
	       (!now && regs_old(rec, exit, regs));
}

/*
 * What is kept of its last exit, or of one before. When @now, only if the vCPU has not
 * run since.
 */
static int regs_kept(struct kvmmem_vcpu *rec, struct kvmmem_regs_answer *answer, bool now)
{
	struct kvmmem_vm *vm = rec->vm;
	u64 exit = READ_ONCE(rec->exit_tsc);
	int err = 0;

	raw_spin_lock(&vm->lock);
	if (!vm->kvm) {
		err = -ESRCH;
	} else if (kvmmem_vcpu_is_encrypted(rec->vcpu)) {
		err = -EOPNOTSUPP;
	} else if (now && !kvmmem_vcpu_is_out(rec->vcpu)) {
		err = -EAGAIN;
	} else if (kvmmem_vcpu_in_l2(rec->vcpu) || kvmmem_away_left_l2(rec)) {
		answer->in_l2 = true;
		err = -EAGAIN;
	} else if (kvmmem_vcpu_in_smm(rec->vcpu) ||
		   !regs_find(rec, &exit, now, &answer->regs)) {
		err = -EAGAIN;
	}
	raw_spin_unlock(&vm->lock);
	answer->age_us = exit > KVMMEM_NO_EXIT ? regs_age_us(exit) : KVMMEM_UNKNOWN;
	return err;
}

/**
 * kvmmem_regs_of_vcpu - the registers of a vCPU that translate its addresses
 * @rec: its record
 * @ask: ask its thread, and wait a while for it if need be; else what is kept has to do
 * @answer: where to
 *
 * Context: may sleep; a reference on the VM's record.
 *
 * Return: 0. -ESRCH: the VM is gone. -EOPNOTSUPP: its guest is encrypted. -EAGAIN: it
 * does not leave the guest, or not from L1 (@answer->in_l2), and nothing is kept.
 * -EBUSY: too many ask.
 */
int kvmmem_regs_of_vcpu(struct kvmmem_vcpu *rec, bool ask, struct kvmmem_regs_answer *answer)
{
	struct regs_question *question;
	bool answered;
	int err;

	memset(answer, 0, sizeof(*answer));
	err = regs_kept(rec, answer, true);
	if (err != -EAGAIN)
		return err;
	if (ask && (kvmmem_run_attached(KVMMEM_RUN_TAG) || kvmmem_run_attached(KVMMEM_RUN_TIME))) {
		while (!(question = regs_take())) {
			if (fatal_signal_pending(current))
				return -EBUSY;
			usleep_range(500, 1000);
		}
		answered = regs_ask(rec, question, answer);
		WRITE_ONCE(question->rec, NULL);
		atomic_set_release(&question->state, REGS_FREE);
		if (answered)
			return 0;
	}
	return regs_kept(rec, answer, false);
}
