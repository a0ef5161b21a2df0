/* SPDX-License-Identifier: GPL-2.0 */
/*
 * kvmmem's own workqueue.
 */
#ifndef _KVMMEM_QUEUE_H
#define _KVMMEM_QUEUE_H

#include <linux/workqueue.h>

extern struct workqueue_struct *kvmmem_queue;

int kvmmem_queue_init(void);
void kvmmem_queue_exit(void);

#endif /* _KVMMEM_QUEUE_H */
