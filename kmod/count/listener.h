/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The notifier of a process, which hears what is taken away from its VMs.
 */
#ifndef _KVMMEM_LISTENER_H
#define _KVMMEM_LISTENER_H

#include <linux/list.h>
#include <linux/mmu_notifier.h>

#include "count/inval.h"

struct mm_struct;

/**
 * struct kvmmem_listener - the notifier of a process
 * @notifier: the kernel's
 * @vms: counters of its VMs, SRCU of the kernel's notifiers
 * @nr: how many; the notifiers' mutex
 */
struct kvmmem_listener {
	struct mmu_notifier notifier;
	struct list_head vms;
	unsigned int nr;
};

struct kvmmem_listener *kvmmem_listener_get(struct mm_struct *mm);
int kvmmem_listener_join(struct kvmmem_listener *listener, struct kvmmem_inval_counts *counts);
bool kvmmem_listener_leave(struct kvmmem_inval_counts *counts);
void kvmmem_listeners_wait(void);

/**
 * kvmmem_listener_put - give one back
 * @listener: from kvmmem_listener_get()
 *
 * Context: process.
 */
static inline void kvmmem_listener_put(struct kvmmem_listener *listener)
{
	mmu_notifier_put(&listener->notifier);
}

#endif /* _KVMMEM_LISTENER_H */
