// SPDX-License-Identifier: GPL-2.0
/*
 * Leading a vCPU's probes off their straight path.
 *
 * A probe takes it when the vCPU's record is the first of its hash chain. Whoever
 * wants a vCPU's thread to do more than that puts a detour before it: something
 * that looks like the record of a vCPU that does not exist. So asking costs a vCPU
 * that nobody asks not an instruction.
 *
 * A probe may stand on a detour that is taken away, and go on from there. So each
 * belongs to one chain, where it may come back at any time, and is freed only after
 * the last hook has ended.
 */
#include <linux/hashtable.h>
#include <linux/slab.h>

#include "registry/detour.h"
#include "registry/records.h"

/**
 * struct kvmmem_detour - a detour of one hash chain
 * @node: where a record has its own
 * @vcpu: likewise; nobody's
 * @users: who wants it; the registry's lock
 * @chain: number of the chain
 * @sibling: in the hash of detours, by @chain; the registry's lock
 */
struct kvmmem_detour {
	struct hlist_node node;
	struct kvm_vcpu *vcpu;
	unsigned int users;
	unsigned int chain;
	struct hlist_node sibling;
};

/* All that the lookups read of a record. */
static_assert(offsetof(struct kvmmem_detour, node) == offsetof(struct kvmmem_vcpu, node));
static_assert(offsetof(struct kvmmem_detour, vcpu) == offsetof(struct kvmmem_vcpu, vcpu));

#define DETOUR_HASH_BITS	6

static DEFINE_HASHTABLE(detours, DETOUR_HASH_BITS);

/* The detour of a chain is made known, or found to be there; the registry is locked. */
static void detour_enter(void *data)
{
	struct kvmmem_detour **fresh = data, *detour;

	hash_for_each_possible(detours, detour, sibling, (*fresh)->chain)
		if (detour->chain == (*fresh)->chain)
			break;
	if (detour)
		*fresh = detour;
	else
		hash_add(detours, &(*fresh)->sibling, (*fresh)->chain);
	/* A record that was born meanwhile stands before it. */
	if ((*fresh)->users++)
		hlist_del_rcu(&(*fresh)->node);
	hlist_add_head_rcu(&(*fresh)->node, &kvmmem_vcpu_hash[(*fresh)->chain]);
}

static void detour_leave(void *data)
{
	struct kvmmem_detour *detour = data;

	if (!--detour->users)
		hlist_del_rcu(&detour->node);
}

/**
 * kvmmem_detour_begin - lead a vCPU's probes, and those of its neighbours, to the other path
 * @rec: record of the vCPU
 *
 * Context: may sleep.
 *
 * Return: for kvmmem_detour_end(), or NULL for want of memory.
 */
struct kvmmem_detour *kvmmem_detour_begin(const struct kvmmem_vcpu *rec)
{
	struct kvmmem_detour *fresh = kzalloc(sizeof(*fresh), GFP_KERNEL), *detour = fresh;

	if (!fresh)
		return NULL;
	fresh->vcpu = ERR_PTR(-ENOENT);
	fresh->chain = hash_ptr(rec->vcpu, KVMMEM_VCPU_HASH_BITS);
	kvmmem_records_locked(detour_enter, &detour);
	if (detour != fresh)
		kfree(fresh);
	return detour;
}

/**
 * kvmmem_detour_end - let them go straight on again
 * @detour: from kvmmem_detour_begin()
 *
 * Context: any that may take a raw lock.
 */
void kvmmem_detour_end(struct kvmmem_detour *detour)
{
	kvmmem_records_locked(detour_leave, detour);
}

/**
 * kvmmem_detour_exit - free all detours
 *
 * After the last hook has ended. Context: may sleep.
 */
void kvmmem_detour_exit(void)
{
	struct kvmmem_detour *detour;
	struct hlist_node *next;
	int i;

	hash_for_each_safe(detours, i, next, detour, sibling) {
		hash_del(&detour->sibling);
		kfree(detour);
	}
}
