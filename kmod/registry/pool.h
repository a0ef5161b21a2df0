/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small reserve of zeroed objects for places that may neither sleep nor
 * allocate: taking one is a compare-and-exchange, legal in any context. The
 * reserve fills itself up again by a work item that waits for nobody else's work.
 */
#ifndef _KVMMEM_POOL_H
#define _KVMMEM_POOL_H

#include <linux/atomic.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#define KVMMEM_POOL_SLOTS	64

/**
 * struct kvmmem_pool - a reserve
 * @cache: where objects come from
 * @most: of these, no more are given
 * @live: objects taken and not yet given back
 * @ready: objects in the reserve, or a little more while it is being filled
 * @refill: fills it
 * @slots: the reserve; NULL is an empty slot
 */
struct kvmmem_pool {
	struct kmem_cache *cache;
	unsigned int most;
	atomic_t live;
	atomic_t ready;
	struct work_struct refill;
	void *slots[KVMMEM_POOL_SLOTS];
};

int kvmmem_pool_init(struct kvmmem_pool *pool, const char *name, size_t size,
		     unsigned int max);
void kvmmem_pool_destroy(struct kvmmem_pool *pool);
void kvmmem_pool_fill(struct kvmmem_pool *pool);
void *kvmmem_pool_get(struct kvmmem_pool *pool);
void kvmmem_pool_put(struct kvmmem_pool *pool, void *object);
unsigned int kvmmem_pool_reserve(const struct kvmmem_pool *pool);

#endif /* _KVMMEM_POOL_H */
