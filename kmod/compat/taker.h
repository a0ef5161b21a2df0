/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who takes memory away from a process: what the kernel shows of it while the MMU
 * notifiers of the process, KVM's among them, are called, in the thread that does it.
 */
#ifndef _KVMMEM_COMPAT_TAKER_H
#define _KVMMEM_COMPAT_TAKER_H

#include <linux/kvm.h>
#include <linux/kvm_host.h>
#include <linux/mmu_notifier.h>
#include <linux/oom.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/unistd.h>
#include <asm/ptrace.h>
#include <asm/syscall.h>
#include <asm/thread_info.h>

/* Of mm/internal.h or later kernels' headers. */
#ifndef PF_USER_WORKER
#define PF_USER_WORKER	0
#endif

/* Which of the kernel's threads. Nobody in user space can name one. */
enum kvmmem_thread {
	KVMMEM_THREAD_USER,	/* none: one of a process */
	KVMMEM_THREAD_KSM,	/* or one that does its work */
	KVMMEM_THREAD_KHUGEPAGED,
	KVMMEM_THREAD_KCOMPACTD,
	KVMMEM_THREAD_KERNEL,	/* any other */
};

/* No system call, or one whose number says nothing. */
#define KVMMEM_NO_SYSCALL	(-1L)

/**
 * struct kvmmem_taker - who takes memory away, and what
 * @event: enum mmu_notifier_event
 * @pages: of the VM's memory
 * @own: it runs on the address space that the memory belongs to
 * @reclaiming: it is freeing memory, or moving it to have it in one piece
 * @compacting: of these, the latter
 * @thread: which of the kernel's threads, if it is one
 * @syscall: system call that it is in
 * @arg: its second to fourth arguments
 */
struct kvmmem_taker {
	unsigned int event;
	unsigned long pages;
	bool own;
	bool reclaiming;
	bool compacting;
	enum kvmmem_thread thread;
	long syscall;
	unsigned long arg[3];
};

/* They have no other mark that all kernels have (PF_KCOMPACTD has come late). */
static __always_inline enum kvmmem_thread kvmmem_taker_thread(const struct task_struct *task)
{
	if (likely(!(task->flags & PF_KTHREAD)))
		return KVMMEM_THREAD_USER;
	if (!memcmp(task->comm, "ksmd", 5))
		return KVMMEM_THREAD_KSM;
	if (!memcmp(task->comm, "khugepaged", 11))
		return KVMMEM_THREAD_KHUGEPAGED;
	if (!memcmp(task->comm, "kcompactd", 9))
		return KVMMEM_THREAD_KCOMPACTD;
	return KVMMEM_THREAD_KERNEL;
}

/*
 * Direct compaction sets PF_MEMALLOC as reclaim does, and this while it goes on
 * (mm/compaction.c, compact_zone_order).
 */
static __always_inline bool kvmmem_taker_compacting(const struct task_struct *task)
{
#ifdef CONFIG_COMPACTION
	return READ_ONCE(task->capture_control);
#else
	return false;
#endif
}

/**
 * kvmmem_taker_now - who is taking memory away right now
 * @range: what the notifier is told
 * @taker: where to
 *
 * Context: a notifier's invalidate_range_start.
 */
static __always_inline void kvmmem_taker_now(const struct mmu_notifier_range *range,
					     struct kvmmem_taker *taker)
{
	const struct task_struct *task = current;
	const struct pt_regs *regs;

	taker->event = range->event;
	taker->pages = 0;	/* the notifier's business */
	taker->own = task->mm == range->mm;
	taker->reclaiming = task->flags & PF_MEMALLOC;
	taker->compacting = kvmmem_taker_compacting(task);
	taker->thread = kvmmem_taker_thread(task);
	taker->syscall = KVMMEM_NO_SYSCALL;
	/* Threads of the kernel's in a process have no registers of user space. */
	if ((task->flags & (PF_KTHREAD | PF_IO_WORKER | PF_USER_WORKER)) || in_ia32_syscall())
		return;
	/* -1 unless user space came in by a system call. */
	regs = task_pt_regs((struct task_struct *)task);
	taker->syscall = regs->orig_ax;
	taker->arg[0] = regs->si;
	taker->arg[1] = regs->dx;
	taker->arg[2] = regs->r10;
	/*
	 * Whoever has KSM give each its own pages back, by a write to ksm/run, does it
	 * himself, and is meanwhile the first to go when memory is short (mm/ksm.c,
	 * run_store).
	 */
	if (unlikely(taker->syscall == __NR_write) && oom_task_origin(task))
		taker->thread = KVMMEM_THREAD_KSM;
}

/**
 * kvmmem_vm_notified - the VM whose notifier is called
 * @notifier: what KVM's invalidate_range_start is called with
 *
 * Return: the VM, which lives as long as the call lasts.
 */
static __always_inline const struct kvm *kvmmem_vm_notified(const struct mmu_notifier *notifier)
{
	return container_of(notifier, struct kvm, mmu_notifier);
}

#endif /* _KVMMEM_COMPAT_TAKER_H */
