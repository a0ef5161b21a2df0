/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Times every section of kvmmem's with preemption off, under RCU or in a probe.
 *
 * suite_sections.py builds kvmmem with this before each source file. Where a section
 * ends its length goes into the trace, if it is the longest so far that ended there:
 * "span FILE:LINE FUNCTION LENGTH". The clock is the TSC, which counts executed
 * instructions in a host with icount.
 *
 * An interrupt, or another task that ran meanwhile, is not the section's length.
 * Such a one counts only if it is so long that there is one in each.
 */
#ifdef KVMMEM_VERSION		/* not in what the build itself compiles */

#include <linux/hardirq.h>
#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/version.h>
#include "compat/compat.h"
#include "attach/hook.h"

#pragma GCC diagnostic ignored "-Wdeclaration-after-statement"
#pragma GCC diagnostic ignored "-Wunused-function"

#define SPAN_INTERRUPTED	1000000		/* between two ticks of the clock are more */

struct span {
	struct task_struct *task;
	u64 start;
	unsigned long breaks;
};

/* Those of this file that are going on. */
static struct span spans[64] __maybe_unused;

static __always_inline u64 span_clock(void)
{
	u32 low, high;

	asm volatile("rdtsc" : "=a" (low), "=d" (high) : : "memory");
	return (u64)high << 32 | low;
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
#define SPAN_TIMER_IRQS	irq_stat.apic_timer_irqs
#else
#define SPAN_TIMER_IRQS	irq_stat.counts[IRQ_COUNT_APIC_TIMER]
#endif

static __always_inline unsigned long span_breaks(void)
{
	return this_cpu_read(SPAN_TIMER_IRQS) + this_cpu_read(kstat.irqs_sum) +
	       current->nvcsw + current->nivcsw;
}

static __always_inline void span_begin(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(spans); i++) {
		if (READ_ONCE(spans[i].task) || cmpxchg(&spans[i].task, NULL, current))
			continue;
		spans[i].breaks = span_breaks();
		spans[i].start = span_clock();
		return;
	}
	trace_printk("span lost\n");
}

/* The task's last one has ended; its length, if it is longer than @longest. */
static __always_inline u64 span_end(u64 *longest)
{
	u64 end = span_clock(), length;
	struct span *span = NULL;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(spans); i++)
		if (spans[i].task == current && (!span || spans[i].start > span->start))
			span = &spans[i];
	if (!span)
		return 0;
	length = end - span->start;
	if (length < SPAN_INTERRUPTED && span->breaks != span_breaks())
		length = 0;
	WRITE_ONCE(span->task, NULL);
	if (length <= *longest)
		return 0;
	*longest = length;
	return length;
}

#define SPAN_END()							\
do {									\
	static u64 longest_;						\
	u64 length_ = span_end(&longest_);				\
									\
	if (length_)							\
		trace_printk("span %s:%d %s %llu\n", __FILE__, __LINE__, __func__, length_); \
} while (0)

/* A probe, from where it counts its event to where it returns. */
struct span_probe {
	const char *name;
	u64 *longest;
};

static __always_inline void span_probe_end(struct span_probe *probe)
{
	u64 length = span_end(probe->longest);

	if (length)
		trace_printk("span probe %s %llu\n", probe->name, length);
}

#define kvmmem_hook_seen(id)						\
	static u64 span_longest;					\
	struct span_probe span_probe __attribute__((cleanup(span_probe_end))) = \
		{ __func__, &span_longest };				\
	span_begin();							\
	this_cpu_inc(kvmmem_hook_events[id])

/* What begins and ends sections, by other names. */
static __always_inline void span_rcu_lock(void)
{
	rcu_read_lock();
}

static __always_inline void span_rcu_unlock(void)
{
	rcu_read_unlock();
}

static __always_inline void span_raw_lock(raw_spinlock_t *lock)
{
	raw_spin_lock(lock);
}

static __always_inline void span_raw_unlock(raw_spinlock_t *lock)
{
	raw_spin_unlock(lock);
}

static __always_inline void span_lock(spinlock_t *lock)
{
	spin_lock(lock);
}

static __always_inline void span_unlock(spinlock_t *lock)
{
	spin_unlock(lock);
}

static __always_inline unsigned long span_irq_save(void)
{
	unsigned long flags;

	local_irq_save(flags);
	return flags;
}

static __always_inline void span_irq_restore(unsigned long flags)
{
	local_irq_restore(flags);
}

static __always_inline void span_preempt_disable(void)
{
	preempt_disable();
}

static __always_inline void span_preempt_enable(void)
{
	preempt_enable();
}

#undef raw_spin_lock
#undef raw_spin_unlock
#undef local_irq_save
#undef local_irq_restore
#undef preempt_disable
#undef preempt_enable
#define rcu_read_lock()			do { span_rcu_lock(); span_begin(); } while (0)
#define rcu_read_unlock()		do { SPAN_END(); span_rcu_unlock(); } while (0)
#define raw_spin_lock(lock)		do { span_raw_lock(lock); span_begin(); } while (0)
#define raw_spin_unlock(lock)		do { SPAN_END(); span_raw_unlock(lock); } while (0)
#define spin_lock(lock)			do { span_lock(lock); span_begin(); } while (0)
#define spin_unlock(lock)		do { SPAN_END(); span_unlock(lock); } while (0)
#define local_irq_save(flags)		do { flags = span_irq_save(); span_begin(); } while (0)
#define local_irq_restore(flags)	do { SPAN_END(); span_irq_restore(flags); } while (0)
#define preempt_disable()		do { span_preempt_disable(); span_begin(); } while (0)
#define preempt_enable()		do { SPAN_END(); span_preempt_enable(); } while (0)

#endif
