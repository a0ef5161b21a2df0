/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory that fails while a thread of the kernel reads it.
 */
#ifndef _KVMMEM_MCE_H
#define _KVMMEM_MCE_H

#include <linux/sched.h>

/**
 * kvmmem_mce_met - has this thread met memory that has failed?
 *
 * Copying from user addresses survives that. The page is taken away when the thread
 * leaves the kernel, or ends; for a second failed page before that, or an eleventh
 * failure of this one, the kernel panics (queue_task_work() of arch/x86/kernel/cpu/mce).
 *
 * Context: any.
 *
 * Return: true if it has, and must not read any more.
 */
static inline bool kvmmem_mce_met(void)
{
#ifdef KVMMEM_HAVE_MCE_COUNT
	return current->mce_count;
#else
	return false;
#endif
}

#endif /* _KVMMEM_MCE_H */
