// SPDX-License-Identifier: GPL-2.0
/*
 * holdlock: hold a process's mmap lock for writing, as long as this is loaded.
 *
 * Stands for a process that is stuck in a page fault on FUSE or NFS with a writer
 * waiting behind it.
 */
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>

static int pid;
module_param(pid, int, 0400);

static DECLARE_COMPLETION(held);
static struct task_struct *holder;

/* A lock is let go of by whoever took it. */
static int hold(void *mm)
{
	mmap_write_lock(mm);
	complete(&held);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(HZ / 10);
	mmap_write_unlock(mm);
	mmput(mm);
	return 0;
}

static int __init holdlock_init(void)
{
	struct task_struct *task = get_pid_task(find_vpid(pid), PIDTYPE_PID);
	struct mm_struct *mm = task ? get_task_mm(task) : NULL;

	if (task)
		put_task_struct(task);
	if (!mm)
		return -ESRCH;
	holder = kthread_run(hold, mm, "holdlock");
	if (IS_ERR(holder)) {
		mmput(mm);
		return PTR_ERR(holder);
	}
	wait_for_completion(&held);
	return 0;
}

static void __exit holdlock_exit(void)
{
	kthread_stop(holder);
}

module_init(holdlock_init);
module_exit(holdlock_exit);

MODULE_DESCRIPTION("Hold a process's mmap lock");
MODULE_LICENSE("GPL");
