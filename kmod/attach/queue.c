// SPDX-License-Identifier: GPL-2.0
/*
 * kvmmem's own workqueue.
 *
 * Not the kernel's, in which tenants' works sleep as long as they like, and so many of
 * them that no other begins: the asynchronous page faults of vCPUs whose memory is a file
 * of FUSE (kvm_setup_async_pf() calls schedule_work()); closed rings of io_uring in
 * that of no processor, before 6.12.
 */
#include <linux/errno.h>

#include "attach/queue.h"

/* For work that no processor waits for. */
struct workqueue_struct *kvmmem_queue;

/**
 * kvmmem_queue_init - make the workqueue
 *
 * Context: the first step; may sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int kvmmem_queue_init(void)
{
	kvmmem_queue = alloc_workqueue("kvmmem", WQ_UNBOUND, 0);
	return kvmmem_queue ? 0 : -ENOMEM;
}

/**
 * kvmmem_queue_exit - free it
 *
 * Context: the last step, all works are cancelled; may sleep.
 */
void kvmmem_queue_exit(void)
{
	if (kvmmem_queue)
		destroy_workqueue(kvmmem_queue);
	kvmmem_queue = NULL;
}
