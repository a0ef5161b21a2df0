/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Has one of kvmmem's own calls that can fail do so: suite_failures.py builds kvmmem with
 * this. While the host is called fail-N-FILE:CALL it is the Nth such call in that file from
 * when the host got that name.
 */
#ifndef FAILURES_H
#define FAILURES_H

#include <linux/bitmap.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/ftrace.h>
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/perf_event.h>
#include <linux/printk.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <linux/utsname.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

/* One for all files. */
raw_spinlock_t failures_lock __weak = __RAW_SPIN_LOCK_UNLOCKED(failures_lock);
char failures_host[__NEW_UTS_LEN + 1] __weak;	/* as it was called at the last call */
unsigned int failures_seen __weak;		/* calls of that place since then */

/* The objects of a reserve are all alike: the first two, and each 16th. */
static inline bool failures_is_next(const char *call, unsigned int nth)
{
	unsigned int seen = ++failures_seen;

	if (!strcmp(call, "kmem_cache_zalloc") && nth > 2)
		nth = 16 * (nth - 2);
	return seen == nth;
}

static inline bool failures_now(const char *file, const char *call)
{
	const char *host = init_utsname()->nodename, *in = strstr(file, "kmod/") + 5;
	unsigned long flags;
	unsigned int nth;
	bool now = false;
	char *place;

	if (strncmp(host, "fail-", 5))
		return false;
	nth = simple_strtoul(host + 5, &place, 10);
	if (*place++ != '-' || strncmp(place, in, strlen(in)) || place[strlen(in)] != ':' ||
	    strcmp(place + strlen(in) + 1, call))
		return false;
	raw_spin_lock_irqsave(&failures_lock, flags);
	if (strcmp(host, failures_host)) {
		strscpy(failures_host, host, sizeof(failures_host));
		failures_seen = 0;
	}
	now = failures_is_next(call, nth);
	raw_spin_unlock_irqrestore(&failures_lock, flags);
	if (now)
		pr_info("failure: fail-%u-%s:%s\n", nth, in, call);
	return now;
}

/* Macros on newer kernels, which are wanted as they were. */
#define FAILURES_KEEP(type, name, params, ...)				\
static inline type failures_##name params { return name(__VA_ARGS__); }

FAILURES_KEEP(void *, __vmalloc, (unsigned long size, gfp_t gfp), size, gfp)
FAILURES_KEEP(void *, kcalloc, (size_t n, size_t size, gfp_t gfp), n, size, gfp)
FAILURES_KEEP(void *, kmalloc, (size_t size, gfp_t gfp), size, gfp)
FAILURES_KEEP(void *, kmalloc_array, (size_t n, size_t size, gfp_t gfp), n, size, gfp)
FAILURES_KEEP(void *, kmem_cache_zalloc, (struct kmem_cache *cache, gfp_t gfp), cache, gfp)
FAILURES_KEEP(void *, kvcalloc, (size_t n, size_t size, gfp_t gfp), n, size, gfp)
FAILURES_KEEP(void *, kvmalloc, (size_t size, gfp_t gfp), size, gfp)
FAILURES_KEEP(void *, kvzalloc, (size_t size, gfp_t gfp), size, gfp)
FAILURES_KEEP(void *, kzalloc, (size_t size, gfp_t gfp), size, gfp)
FAILURES_KEEP(void __percpu *, __alloc_percpu, (size_t size, size_t align), size, align)
FAILURES_KEEP(unsigned long *, bitmap_zalloc, (unsigned int bits, gfp_t gfp), bits, gfp)
FAILURES_KEEP(struct kmem_cache *, kmem_cache_create,
	      (const char *name, unsigned int size, unsigned int align, slab_flags_t flags,
	       void (*ctor)(void *)), name, size, align, flags, ctor)

/* A function on older kernels, a macro on newer ones. */
static inline struct workqueue_struct *failures_alloc_workqueue(const char *name,
								unsigned int flags, int active)
{
	return alloc_workqueue("%s", flags, active, name);
}

/* A macro, whose name is a format. */
static inline struct task_struct *failures_kthread_create(int (*run)(void *data), void *data,
							  const char *name)
{
	return kthread_create(run, data, "%s", name);
}

#define failures_or(failed, name, ...)					\
	(failures_now(__FILE__, #name) ? (failed) : (name)(__VA_ARGS__))
#define failures_or_kept(failed, name, ...)				\
	(failures_now(__FILE__, #name) ? (failed) : failures_##name(__VA_ARGS__))

#undef __alloc_percpu
#undef __vmalloc
#undef bitmap_zalloc
#undef kcalloc
#undef kmalloc
#undef kmalloc_array
#undef kmem_cache_create
#undef kmem_cache_zalloc
#undef kvcalloc
#undef kvmalloc
#undef kvzalloc
#undef kzalloc
#undef proc_create

#define __alloc_percpu(...)	\
	failures_or_kept(NULL, __alloc_percpu, __VA_ARGS__)
#define __vmalloc(...)	\
	failures_or_kept(NULL, __vmalloc, __VA_ARGS__)
#define bitmap_zalloc(...)	\
	failures_or_kept(NULL, bitmap_zalloc, __VA_ARGS__)
#define kcalloc(...)	\
	failures_or_kept(NULL, kcalloc, __VA_ARGS__)
#define kmalloc(...)	\
	failures_or_kept(NULL, kmalloc, __VA_ARGS__)
#define kmalloc_array(...)	\
	failures_or_kept(NULL, kmalloc_array, __VA_ARGS__)
#define kmem_cache_create(...)	\
	failures_or_kept(NULL, kmem_cache_create, __VA_ARGS__)
#define kmem_cache_zalloc(...)	\
	failures_or_kept(NULL, kmem_cache_zalloc, __VA_ARGS__)
#define kvcalloc(...)	\
	failures_or_kept(NULL, kvcalloc, __VA_ARGS__)
#define kvmalloc(...)	\
	failures_or_kept(NULL, kvmalloc, __VA_ARGS__)
#define kvzalloc(...)	\
	failures_or_kept(NULL, kvzalloc, __VA_ARGS__)
#define kzalloc(...)	\
	failures_or_kept(NULL, kzalloc, __VA_ARGS__)
#define xa_store(...)			failures_or(XA_ERROR(-ENOMEM), xa_store, __VA_ARGS__)

#define debugfs_create_dir(...)		\
	failures_or(ERR_PTR(-ENOMEM), debugfs_create_dir, __VA_ARGS__)
#define debugfs_create_file(...)	\
	failures_or(ERR_PTR(-ENOMEM), debugfs_create_file, __VA_ARGS__)
#define proc_create(...)		failures_or(NULL, proc_create, __VA_ARGS__)
#define __seq_open_private(...)	failures_or(NULL, __seq_open_private, __VA_ARGS__)
#define seq_open_private(...)		failures_or(-ENOMEM, seq_open_private, __VA_ARGS__)
#define single_open(...)		failures_or(-ENOMEM, single_open, __VA_ARGS__)
#define single_open_size(...)		failures_or(-ENOMEM, single_open_size, __VA_ARGS__)

#undef alloc_workqueue
#define alloc_workqueue(...)		\
	(failures_now(__FILE__, "alloc_workqueue") ? NULL : failures_alloc_workqueue(__VA_ARGS__))

#undef kthread_create
#define kthread_create(...)		\
	failures_or_kept(ERR_PTR(-ENOMEM), kthread_create, __VA_ARGS__)

#define ftrace_set_filter_ip(...)	failures_or(-ENOMEM, ftrace_set_filter_ip, __VA_ARGS__)
#define ftrace_set_filter(...)		failures_or(-ENOMEM, ftrace_set_filter, __VA_ARGS__)
#define perf_pmu_register(...)		failures_or(-ENOMEM, perf_pmu_register, __VA_ARGS__)
#define register_ftrace_function(...)	\
	failures_or(-ENOMEM, register_ftrace_function, __VA_ARGS__)
#define register_kprobe(...)		failures_or(-ENOMEM, register_kprobe, __VA_ARGS__)
#define register_module_notifier(...)	\
	failures_or(-ENOMEM, register_module_notifier, __VA_ARGS__)
#define register_tracepoint_module_notifier(...)	\
	failures_or(-ENOMEM, register_tracepoint_module_notifier, __VA_ARGS__)
#define tracepoint_probe_register(...)	\
	failures_or(-ENOMEM, tracepoint_probe_register, __VA_ARGS__)

#endif
