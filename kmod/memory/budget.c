// SPDX-License-Identifier: GPL-2.0
/*
 * How much of a processor all walks together may take.
 *
 * How long a walk takes is up to whoever runs the VM: by how much memory, in how
 * many pages, in how many slots that may show the same memory again and again.
 * So walks are paid for out of two buckets, which fill at walk_share percent of a
 * processor's time and hold no more than BURST of such time: four fifths for the
 * walks over all VMs that a reading begins with, the rest for whatever comes later
 * or is asked for by name. Neither can starve the other, which a tenant might wish
 * for; but what comes later may take of the first one's bucket down to its half.
 * Where both are empty nobody walks: what readers see gets older, and says how old
 * it is.
 *
 * Whoever finds a bucket nearly empty goes on for one more chunk, so it can be some
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
#define READING_WAITING	(READING / 5)		/* of it for locks that somebody holds */
#define WAITING		NSEC_PER_SEC		/* the same of who asks by name */
#define FIRST		80			/* percent of both, for the first walk */
/*
 * A chunk takes some 100 us. One that seems to take longer was not running: the
 * reader was preempted, or its host was.
 */
#define CHUNK_MOST	NSEC_PER_MSEC

static DEFINE_SPINLOCK(bucket_lock);
static s64 first_ns, later_ns;			/* the buckets */
static u64 filled;				/* ktime_get_ns() */

/* A percent of a percent of it is a whole number. */
#define UNIT		10000

/* Under bucket_lock. */
static void bucket_fill(s64 *bucket, u64 units, unsigned int share)
{
	*bucket = min_t(s64, *bucket + units * share, BURST / UNIT * share);
}

/*
 * Take @spent out of the bucket of a reading's first or a later walk; what is
 * left. At first both are full.
 */
static s64 budget_take(bool first, u64 spent)
{
	unsigned int share = READ_ONCE(walk_share);
	s64 half = BURST / UNIT / 2 * share * FIRST;
	u64 now, since, units;
	s64 left;

	spin_lock(&bucket_lock);
	now = ktime_get_ns();
	since = now - filled;
	filled = now - since % UNIT;
	units = min_t(u64, since, BURST) / UNIT;
	bucket_fill(&first_ns, units, share * FIRST);
	bucket_fill(&later_ns, units, share * (100 - FIRST));
	if (first || later_ns <= 0)
		first_ns -= spent;
	else
		later_ns -= spent;
	left = first ? first_ns : max_t(s64, later_ns, 0) + max_t(s64, first_ns - half, 0);
	spin_unlock(&bucket_lock);
	return left;
}

/**
 * kvmmem_budget_open - begin a reading of all VMs, by the walk that comes first
 * @budget: where to
 *
 * Most of it is left when it has waited enough: whoever holds the locks of many VMs leaves
 * the others their time. Context: may sleep.
 */
void kvmmem_budget_open(struct kvmmem_budget *budget)
{
	budget->left_ns = READING / 100 * FIRST;
	budget->wait_ns = READING_WAITING;
	budget->first = true;
}

/**
 * kvmmem_budget_go_on - come to what a reading walks later
 * @budget: of the reading
 *
 * Context: any.
 */
void kvmmem_budget_go_on(struct kvmmem_budget *budget)
{
	if (!budget->first)
		return;
	budget->left_ns += READING / 100 * (100 - FIRST);
	budget->first = false;
}

/**
 * kvmmem_budget_open_long - begin a reading that somebody asked for by name
 * @budget: where to
 *
 * It may take all that later walks may. Context: may sleep.
 */
void kvmmem_budget_open_long(struct kvmmem_budget *budget)
{
	budget->left_ns = BURST;
	budget->wait_ns = WAITING;
	budget->first = false;
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
	return kvmmem_budget_rest(budget) > 0;
}

/**
 * kvmmem_budget_rest - for how long may a walk go on?
 * @budget: of the reading
 *
 * Context: any in which a spinlock may be taken.
 *
 * Return: ns; not above 0 when it may not.
 */
s64 kvmmem_budget_rest(const struct kvmmem_budget *budget)
{
	return budget->left_ns > 0 ? min(budget->left_ns, budget_take(budget->first, 0)) : 0;
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
	budget_take(budget->first, spent);
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

	if (budget->left_ns <= 0 || budget->wait_ns <= 0 || fatal_signal_pending(current))
		return false;
	schedule_timeout_killable(1);
	begun = max(begun, ktime_get_ns() - 20 * NSEC_PER_MSEC);
	budget->left_ns -= ktime_get_ns() - begun;
	kvmmem_budget_waited(budget, begun);
	return true;
}

/**
 * kvmmem_budget_waited - the reading has waited for somebody else
 * @budget: of the reading
 * @begun: since when, ktime_get_ns()
 *
 * Context: any.
 */
void kvmmem_budget_waited(struct kvmmem_budget *budget, u64 begun)
{
	budget->wait_ns -= ktime_get_ns() - begun;
}
