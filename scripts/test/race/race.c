// SPDX-License-Identifier: GPL-2.0
/*
 * A data race of the shape that kvmmem's counters would have if a reader forgot
 * READ_ONCE(): one thread counts, another looks. KCSAN has to see it.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>

static u64 cell, looked;
static struct task_struct *writer, *reader;

static int race_writer(void *unused)
{
	while (!kthread_should_stop()) {
		cell++;
		cond_resched();
	}
	return 0;
}

static int race_reader(void *unused)
{
	while (!kthread_should_stop()) {
		looked += cell;
		cond_resched();
	}
	return 0;
}

static void stop(struct task_struct *thread)
{
	if (!IS_ERR_OR_NULL(thread))
		kthread_stop(thread);
}

static int __init race_init(void)
{
	writer = kthread_run(race_writer, NULL, "race_writer");
	reader = kthread_run(race_reader, NULL, "race_reader");
	return 0;
}

static void __exit race_exit(void)
{
	stop(reader);
	stop(writer);
}

module_init(race_init);
module_exit(race_exit);

MODULE_DESCRIPTION("A data race that is meant");
MODULE_LICENSE("GPL");
