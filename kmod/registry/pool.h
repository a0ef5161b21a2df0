/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small reserve of zeroed objects for places that may neither sleep nor
 * allocate: taking one is a compare-and-exchange, legal in any context.
 */
#ifndef _KVMMEM_POOL_H
#define _KVMMEM_POOL_H

#include <linux/slab.h>

#define KVMMEM_POOL_SLOTS	64

/**
 * struct kvmmem_pool - a reserve
 * @cache: where objects come from
 * @live: objects taken and not yet given back
 * @slots: the reserve; NULL is an empty slot
 */
struct kvmmem_pool {
	struct kmem_cache *cache;
	atomic_t live;
	void *slots[KVMMEM_POOL_SLOTS];
};

int kvmmem_pool_init(struct kvmmem_pool *pool, const char *name, size_t size);
void kvmmem_pool_destroy(struct kvmmem_pool *pool);
void kvmmem_pool_fill(struct kvmmem_pool *pool, gfp_t gfp);
void *kvmmem_pool_get(struct kvmmem_pool *pool);
void kvmmem_pool_put(struct kvmmem_pool *pool, void *object);
unsigned int kvmmem_pool_reserve(const struct kvmmem_pool *pool);

#endif /* _KVMMEM_POOL_H */
