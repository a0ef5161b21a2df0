// SPDX-License-Identifier: GPL-2.0
#include <linux/kernel.h>

#include "registry/pool.h"

/* The dead wait for a grace period, in which many come and go where few are allowed. */
#define POOL_MORE	1024

static void pool_refill(struct work_struct *work)
{
	kvmmem_pool_fill(container_of(work, struct kvmmem_pool, refill));
}

/**
 * kvmmem_pool_init - make a reserve and fill it
 * @pool: zeroed
 * @name: of its slab cache
 * @size: of an object, in bytes
 * @max: so many are in use at most; as many again may wait to be freed, and some more
 *
 * Context: may sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int kvmmem_pool_init(struct kvmmem_pool *pool, const char *name, size_t size,
		     unsigned int max)
{
	pool->cache = kmem_cache_create(name, size, 0, SLAB_HWCACHE_ALIGN, NULL);
	if (!pool->cache)
		return -ENOMEM;
	pool->most = 2 * max + POOL_MORE;
	atomic_set(&pool->live, 0);
	atomic_set(&pool->ready, 0);
	INIT_WORK(&pool->refill, pool_refill);
	kvmmem_pool_fill(pool);
	if (!kvmmem_pool_reserve(pool)) {
		kvmmem_pool_destroy(pool);
		return -ENOMEM;
	}
	return 0;
}

/**
 * kvmmem_pool_destroy - free the reserve
 * @pool: with no object out; a pool that was never made is fine
 *
 * Context: may sleep.
 */
void kvmmem_pool_destroy(struct kvmmem_pool *pool)
{
	int i;

	if (!pool->cache)
		return;
	cancel_work_sync(&pool->refill);
	for (i = 0; i < KVMMEM_POOL_SLOTS; i++) {
		if (pool->slots[i])
			kmem_cache_free(pool->cache, pool->slots[i]);
		pool->slots[i] = NULL;
	}
	kmem_cache_destroy(pool->cache);
	pool->cache = NULL;
}

/**
 * kvmmem_pool_fill - top up the reserve
 * @pool: the pool
 *
 * Context: may sleep. May run beside any of the others.
 */
void kvmmem_pool_fill(struct kvmmem_pool *pool)
{
	void *object = NULL;
	int i;

	for (i = 0; i < KVMMEM_POOL_SLOTS; i++) {
		if (READ_ONCE(pool->slots[i]))
			continue;
		if (!object)
			object = kmem_cache_zalloc(pool->cache, GFP_KERNEL | __GFP_NOWARN);
		if (!object)
			return;
		/* Counted first, so that nobody sees an empty reserve that is not. */
		atomic_inc(&pool->ready);
		if (!cmpxchg(&pool->slots[i], NULL, object))
			object = NULL;
		else
			atomic_dec(&pool->ready);
	}
	if (object)
		kmem_cache_free(pool->cache, object);
}

/**
 * kvmmem_pool_get - take a zeroed object
 * @pool: the pool
 *
 * Context: any.
 *
 * Return: the object, or NULL when the reserve is empty or very many are out.
 */
void *kvmmem_pool_get(struct kvmmem_pool *pool)
{
	void *found = NULL;
	int i;

	if (atomic_read(&pool->live) >= pool->most)
		return NULL;
	for (i = 0; !found && i < KVMMEM_POOL_SLOTS; i++) {
		void *object = READ_ONCE(pool->slots[i]);

		if (object && cmpxchg(&pool->slots[i], object, NULL) == object)
			found = object;
	}
	if (found) {
		atomic_dec(&pool->ready);
		atomic_inc(&pool->live);
	}
	/* Before it is empty: whoever takes them may keep this processor busy. */
	if (atomic_read(&pool->ready) <= KVMMEM_POOL_SLOTS * 3 / 4 &&
	    !work_pending(&pool->refill))
		queue_work(system_highpri_wq, &pool->refill);
	return found;
}

/**
 * kvmmem_pool_put - free an object that kvmmem_pool_get() gave
 * @pool: the pool
 * @object: the object, which nobody can reach any more
 *
 * Context: as kmem_cache_free().
 */
void kvmmem_pool_put(struct kvmmem_pool *pool, void *object)
{
	kmem_cache_free(pool->cache, object);
	atomic_dec(&pool->live);
}

/**
 * kvmmem_pool_reserve - objects that kvmmem_pool_get() could give now
 * @pool: the pool
 *
 * Return: how many.
 */
unsigned int kvmmem_pool_reserve(const struct kvmmem_pool *pool)
{
	return max(atomic_read(&pool->ready), 0);
}
