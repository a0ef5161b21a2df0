// SPDX-License-Identifier: GPL-2.0
/*
 * Which VM a process has, by its mm, which is compared and never followed.
 *
 * One VM of each process is in the hash, and the others are in its list: a tenant who has
 * very many makes no look for another's longer.
 */
#include <linux/hash.h>
#include <linux/rculist.h>

#include "registry/process.h"

#define PROCESS_HASH_BITS	10

static struct hlist_head mm_hash[1 << PROCESS_HASH_BITS];

static void (*process_shared)(struct kvmmem_vm *vm);

static struct hlist_head *process_bucket(const struct mm_struct *mm)
{
	return &mm_hash[hash_ptr(mm, PROCESS_HASH_BITS)];
}

/**
 * kvmmem_process_ask - whom to tell that a process is about to have several VMs
 * @shared: called for the one that it has, under the registry's lock
 *
 * Context: before any VM is met.
 */
void kvmmem_process_ask(void (*shared)(struct kvmmem_vm *vm))
{
	process_shared = shared;
}

/**
 * kvmmem_process_add - a process has one more VM
 * @vm: its record
 *
 * If it has several, what the process does is not always one VM's doing, so they are
 * marked. Context: the registry's lock.
 */
void kvmmem_process_add(struct kvmmem_vm *vm)
{
	struct kvmmem_vm *other;

	INIT_LIST_HEAD(&vm->mm_others);
	hlist_for_each_entry(other, process_bucket(vm->mm), mm_node)
		if (other->mm == vm->mm) {
			if (process_shared && !other->mm_shared)
				process_shared(other);
			WRITE_ONCE(other->mm_shared, true);
			vm->mm_shared = true;
			list_add_tail(&vm->mm_others, &other->mm_others);
			return;
		}
	hlist_add_head_rcu(&vm->mm_node, process_bucket(vm->mm));
}

/**
 * kvmmem_process_remove - a VM is gone
 * @vm: its record
 *
 * Context: the registry's lock.
 */
void kvmmem_process_remove(struct kvmmem_vm *vm)
{
	struct kvmmem_vm *other;

	if (hlist_unhashed(&vm->mm_node)) {
		list_del(&vm->mm_others);
	} else if (list_empty(&vm->mm_others)) {
		hlist_del_rcu(&vm->mm_node);
	} else {
		other = list_first_entry(&vm->mm_others, struct kvmmem_vm, mm_others);
		list_del(&vm->mm_others);
		hlist_replace_rcu(&vm->mm_node, &other->mm_node);
	}
}

/**
 * kvmmem_vm_of_mm - the VM of a process
 * @mm: the process's
 *
 * Context: rcu_read_lock(); the record is good until its end.
 *
 * Return: NULL if it has none, or several.
 */
struct kvmmem_vm *kvmmem_vm_of_mm(const struct mm_struct *mm)
{
	struct kvmmem_vm *vm;

	hlist_for_each_entry_rcu(vm, process_bucket(mm), mm_node)
		if (vm->mm == mm)
			return READ_ONCE(vm->mm_shared) ? NULL : vm;
	return NULL;
}
