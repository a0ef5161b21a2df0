/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where work may take long.
 */
#ifndef _KVMMEM_WORKQUEUE_H
#define _KVMMEM_WORKQUEUE_H

#include <linux/workqueue.h>

/**
 * kvmmem_unbound_workqueue - the kernel's workqueue for work that no processor waits for
 *
 * Return: the workqueue.
 */
static inline struct workqueue_struct *kvmmem_unbound_workqueue(void)
{
#ifdef KVMMEM_HAVE_UNBOUND_WORKQUEUE
	return system_dfl_wq;
#else
	return system_unbound_wq;
#endif
}

#endif /* _KVMMEM_WORKQUEUE_H */
