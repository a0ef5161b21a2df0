// SPDX-License-Identifier: GPL-2.0
/*
 * How much of a processor all walks together may take.
 *
 * How long a walk takes is up to whoever runs the VM: by how much memory, in how
 * many pages, in how many slots that may show the same memory again and again.
 * So walks are paid for out of one bucket, which fills at walk_share percent of
 * a processor's time and holds no more than BURST of such time. When it is empty
 * nobody walks: what readers see gets older, and says how old it is.
 *
 * Whoever finds it nearly empty goes on for one more chunk, so it can be some
 * 100 us below zero, which is paid back first.
 */
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>

#include "decode/param.h"
#include "memory/budget.h"

static unsigned int walk_share = 2;
module_param_cb(walk_share, &kvmmem_param_percent_ops, &walk_share, 0644);
MODULE_PARM_DESC(walk_share, "percent of one processor that all walks over VMs' memory may take together, 1 to 100 (default 2)");

#define BURST		(5 * NSEC_PER_SEC)	/* of wall time */
#define READING		(100 * NSEC_PER_MSEC)	/* the most that a reader waits for walks */
#define KEEP		20			/* percent, of both */
/*
 * A chunk takes some 100 us. One that seems to take longer was not running: the
 * reader was preempted, or its host was.
 */
#define CHUNK_MOST	NSEC_PER_MSEC

static DEFINE_SPINLOCK(bucket_lock);
static s64 bucket_ns;
static u64 bucket_filled;			/* ktime_get_ns() */

/* What is in the bucket, after @spent was taken out. */
static s64 budget_bucket(u64 spent)
{
	unsigned int share = READ_ONCE(walk_share);
	s64 left;
	u64 now;

	spin_lock(&bucket_lock);
	now = ktime_get_ns();
	/* At first it is full. */
	bucket_ns += min_t(u64, now - bucket_filled, BURST) / 100 * share;
	bucket_filled = now;
	bucket_ns = min_t(s64, bucket_ns, BURST / 100 * share) - (s64)spent;
	left = bucket_ns;
	spin_unlock(&bucket_lock);
	return left;
}

/**
 * kvmmem_budget_open - begin a reading of all VMs
 * @budget: where to
 *
 * Context: may sleep.
 */
void kvmmem_budget_open(struct kvmmem_budget *budget)
{
	budget->left_ns = READING;
	budget->keep = 0;
}

/**
 * kvmmem_budget_open_first - begin one that would take all there is, if a tenant wants it
 * @budget: where to
 *
 * It leaves a part to whoever comes later. Context: may sleep.
 */
void kvmmem_budget_open_first(struct kvmmem_budget *budget)
{
	budget->left_ns = READING / 100 * (100 - KEEP);
	budget->keep = KEEP;
}

/**
 * kvmmem_budget_open_long - begin a reading that somebody asked for by name
 * @budget: where to
 *
 * It may take all that is in the bucket. Context: may sleep.
 */
void kvmmem_budget_open_long(struct kvmmem_budget *budget)
{
	budget->left_ns = BURST;
	budget->keep = 0;
}

/**
 * kvmmem_budget_left - may a walk go on?
 * @budget: of the reading
 *
 * Context: any in which a spinlock may be taken.
 *
 * Return: false when the reading or all readers together have spent enough.
 */
bool kvmmem_budget_left(const struct kvmmem_budget *budget)
{
	return budget->left_ns > 0 &&
	       budget_bucket(0) > (s64)(BURST / 10000 * READ_ONCE(walk_share) * budget->keep);
}

/**
 * kvmmem_budget_spend - pay for a chunk
 * @budget: of the reading
 * @begun: when the chunk began, ktime_get_ns()
 *
 * Context: any in which a spinlock may be taken.
 *
 * Return: what it cost, in ns.
 */
u64 kvmmem_budget_spend(struct kvmmem_budget *budget, u64 begun)
{
	u64 spent = min_t(u64, ktime_get_ns() - begun, CHUNK_MOST);

	budget->left_ns -= spent;
	budget_bucket(spent);
	return spent;
}

/**
 * kvmmem_budget_wait - wait a little for a lock that somebody else has
 * @budget: of the reading; what is waited counts as spent, but not for others
 *
 * Context: may sleep.
 *
 * Return: false when the reading has waited enough, or its reader was killed.
 */
bool kvmmem_budget_wait(struct kvmmem_budget *budget)
{
	u64 begun = ktime_get_ns();

	if (budget->left_ns <= 0 || fatal_signal_pending(current))
		return false;
	schedule_timeout_killable(1);
	budget->left_ns -= min_t(u64, ktime_get_ns() - begun, 20 * NSEC_PER_MSEC);
	return true;
}
