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
 *
 * queued=: none, but so many works sleep on each processor's part of the kernel's workqueue.
 * Stands for vCPUs whose asynchronous page faults wait for such pages. Before 6.12 as many
 * sleep on the workqueue of no processor: io_uring's rings that are closed did so.
 */
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/rcupdate_trace.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/version.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

static int pid;
module_param(pid, int, 0400);
static char *path;
module_param(path, charp, 0400);
static bool traced;
module_param(traced, bool, 0400);
static unsigned int queued;
module_param(queued, uint, 0400);

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

static struct work_struct *sleepers;
static unsigned int nr_sleepers;
static DECLARE_COMPLETION(woken);

static void sleep_queued(struct work_struct *unused)
{
	wait_for_completion(&woken);
}

static int hold_queues(void)
{
	unsigned int cpu, i;

	sleepers = vzalloc(array3_size(queued, num_online_cpus() + 1, sizeof(*sleepers)));
	if (!sleepers)
		return -ENOMEM;
	for_each_online_cpu(cpu)
		for (i = 0; i < queued; i++) {
			INIT_WORK(&sleepers[nr_sleepers], sleep_queued);
			schedule_work_on(cpu, &sleepers[nr_sleepers++]);
		}
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
	for (i = 0; i < queued; i++) {
		INIT_WORK(&sleepers[nr_sleepers], sleep_queued);
		queue_work(system_unbound_wq, &sleepers[nr_sleepers++]);
	}
#endif
	return 0;
}

static void leave_queues(void)
{
	complete_all(&woken);
	while (nr_sleepers)
		flush_work(&sleepers[--nr_sleepers]);
	vfree(sleepers);
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

	if (queued)
		return hold_queues();
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
	if (holder)
		kthread_stop(holder);
	leave_queues();
}

module_init(holdlock_init);
module_exit(holdlock_exit);

MODULE_DESCRIPTION("Hold a lock of a tenant's");
MODULE_LICENSE("GPL");
