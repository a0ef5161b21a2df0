// SPDX-License-Identifier: GPL-2.0
/*
 * holdlock: hold a lock of a tenant's for writing, as long as this is loaded.
 *
 * pid=: a process's mmap lock. Stands for a process that is stuck in a page fault on
 * FUSE or NFS with a writer waiting behind it.
 *
 * path=: that of who has mapped a file. Stands for a large file whose pages are being
 * taken away.
 *
 * traced=: none, but be a reader of RCU Tasks Trace. Stands for a traced system call that
 * waits for such a page.
 */
#include <linux/completion.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/rcupdate_trace.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>

static int pid;
module_param(pid, int, 0400);
static char *path;
module_param(path, charp, 0400);
static bool traced;
module_param(traced, bool, 0400);

static DECLARE_COMPLETION(held);
static struct task_struct *holder;

static void hold(void)
{
	complete(&held);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(HZ / 10);
}

/* A lock is let go of by whoever took it. */
static int hold_mm(void *data)
{
	struct mm_struct *mm = data;

	mmap_write_lock(mm);
	hold();
	mmap_write_unlock(mm);
	mmput(mm);
	return 0;
}

static int hold_file(void *data)
{
	struct file *file = data;

	i_mmap_lock_write(file->f_mapping);
	hold();
	i_mmap_unlock_write(file->f_mapping);
	fput(file);
	return 0;
}

static int hold_trace(void *unused)
{
#ifdef CONFIG_TASKS_TRACE_RCU
	rcu_read_lock_trace();
	hold();
	rcu_read_unlock_trace();
#endif
	return 0;
}

static struct mm_struct *mm_of_pid(void)
{
	struct task_struct *task = get_pid_task(find_vpid(pid), PIDTYPE_PID);
	struct mm_struct *mm = task ? get_task_mm(task) : NULL;

	if (task)
		put_task_struct(task);
	return mm ?: ERR_PTR(-ESRCH);
}

static int __init holdlock_init(void)
{
	struct file *file = NULL;
	struct mm_struct *mm = NULL;

	if (traced && !IS_ENABLED(CONFIG_TASKS_TRACE_RCU))
		return -EOPNOTSUPP;
	if (path)
		file = filp_open(path, O_RDONLY, 0);
	else if (!traced)
		mm = mm_of_pid();
	if (IS_ERR(file))
		return PTR_ERR(file);
	if (IS_ERR(mm))
		return PTR_ERR(mm);
	holder = kthread_run(path ? hold_file : traced ? hold_trace : hold_mm,
			     path ? (void *)file : mm, "holdlock");
	if (IS_ERR(holder)) {
		if (file)
			fput(file);
		if (mm)
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

MODULE_DESCRIPTION("Hold a lock of a tenant's");
MODULE_LICENSE("GPL");
