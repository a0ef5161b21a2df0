/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Holds open the moments between two steps of kvmmem's in which somebody else may come:
 * suite_windows.py builds kvmmem with this, and has somebody come.
 */
#ifndef WINDOWS_H
#define WINDOWS_H

#include <linux/compiler.h>
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/perf_event.h>
#include <linux/pgtable.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/utsname.h>

/* A VM's list of vCPUs was empty; then their number is read. */
#define WINDOW_US	500

/* All hooks are off, and nobody is waited for yet. */
#define HOOKS_OFF_MS	1500

/* The host's tables were looked at down to one of huge pages, which is read next. */
#define SHARED_MS	50

/* For each process there is, twice. */
#define SCAN_MS		120

/* These are open while the host is called so. */
#define WINDOW_MS	2000
#define window_is(name)	(!strcmp(utsname()->nodename, name))

/* The log says that somebody was there. */
static inline void window_hold(const char *name, unsigned int ms)
{
	if (!window_is(name))
		return;
	pr_info("window: %s\n", name);
	msleep(ms);
}

/* Trace events are there, and nothing of kvmmem's has run. */
#define kernel_param_lock(module)					\
do {									\
	window_hold("events", WINDOW_MS);				\
	(kernel_param_lock)(module);					\
} while (0)

/* Something that nobody remembers, for kmemleak to find. */
static __always_inline void window_leak(void)
{
	void *lost;

	if (!window_is("leak"))
		return;
	lost = kmalloc(200, GFP_KERNEL);
	OPTIMIZER_HIDE_VAR(lost);
}

/* Nothing is left of what failed to load, and its parameters are there. */
#define kernel_param_unlock(module)					\
do {									\
	(kernel_param_unlock)(module);					\
	window_leak();							\
	if (window_is("failing"))					\
		msleep(WINDOW_MS / 4);					\
} while (0)

/* The records are freed, and the parameters are there. */
#define kmem_cache_destroy(cache)					\
do {									\
	(kmem_cache_destroy)(cache);					\
	if (window_is("leaving"))					\
		msleep(WINDOW_MS);					\
} while (0)

/* The watcher is being told of births. */
static inline int window_cond_resched(const char *file)
{
	if (strstr(file, "registry/watch.c"))
		window_hold("watch", WINDOW_MS);
	/* A process's files are about to be looked through. */
	if (strstr(file, "registry/scan.c"))
		window_hold("scan", SCAN_MS);
	return cond_resched();
}

#undef cond_resched
#define cond_resched()	window_cond_resched(__FILE__)

/* Loading fails, at its last step. */
#define perf_pmu_register(pmu, name, type)				\
({									\
	if (window_is("failing"))					\
		msleep(WINDOW_MS);					\
	window_is("failing") ? -ENOMEM : (perf_pmu_register)(pmu, name, type); \
})

/* The notifier's worker is about to look; or whoever counts from now on has begun to. */
static inline void window_mutex_lock(struct mutex *lock, const char *file, const char *function)
{
	if ((current->flags & PF_WQ_WORKER) && strstr(file, "count/notifier.c"))
		window_hold("notifier", WINDOW_MS);
	if (!strcmp(function, "kvmmem_hook_switch"))
		window_hold("flows", WINDOW_MS);
	mutex_lock(lock);
}

/* It looks at a VM. */
#undef smp_mb
#define smp_mb()							\
do {									\
	if (strstr(__FILE__, "count/notifier.c"))			\
		window_hold("look", 3 * WINDOW_MS);			\
	__smp_mb();							\
} while (0)

/* A reader has counted a VM's slots, and has not noted it. */
static inline int window_fatal_signal(struct task_struct *task, const char *file)
{
	if (strstr(file, "registry/info.c") && window_is("slots"))
		msleep(WINDOW_MS);
	return fatal_signal_pending(task);
}

#define fatal_signal_pending(task)	window_fatal_signal(task, __FILE__)

#undef pmd_offset
#define pmd_offset(pud, address)					\
({									\
	if (strstr(__FILE__, "memory/host") && window_is("share")) {	\
		pr_info("window: share\n");				\
		mdelay(SHARED_MS);					\
	}								\
	(pmd_offset)(pud, address);					\
})

#undef mutex_lock
#define mutex_lock(lock)	window_mutex_lock(lock, __FILE__, __func__)

#undef READ_ONCE
#define READ_ONCE(x)							\
({									\
	if (!__builtin_strcmp(#x, "vm->nr_vcpus"))			\
		udelay(WINDOW_US);					\
	compiletime_assert_rwonce_type(x);				\
	__READ_ONCE(x);							\
})

#define synchronize_rcu()						\
do {									\
	if (strstr(__BASE_FILE__, "attach/hooks.c"))			\
		msleep(HOOKS_OFF_MS);					\
	(synchronize_rcu)();						\
} while (0)

#endif
