// SPDX-License-Identifier: GPL-2.0
/*
 * kvmmem's own workqueue.
 *
 * Not the kernel's: tenants can make so many works sleep there, for as long as they like,
 * that no other starts. Asynchronous page faults of vCPUs whose memory is a file of FUSE do
 * (kvm_setup_async_pf() calls schedule_work()); before 6.12 closed rings of io_uring do in
 * the unbound one.
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
 * Context: the last step, all works are cancelled but for those that give back an mm;
 * may sleep.
 */
void kvmmem_queue_exit(void)
{
	if (kvmmem_queue)
		destroy_workqueue(kvmmem_queue);
	kvmmem_queue = NULL;
}
