// SPDX-License-Identifier: GPL-2.0
/*
 * The table of records, the hashes that find them, and their memory.
 *
 * Births come from places that may neither sleep nor allocate, so records come
 * from a reserve (pool.c). Readers go through the table of slots under RCU, and
 * keep a record beyond it by a reference.
 *
 * registry_lock guards the table, the hashes and the lists. It nests inside
 * nothing. kvmmem_vm.lock is taken inside it when a process gets a second VM
 * (kvmmem_process_add()), and nowhere else.
 */
#include <linux/bitmap.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/pid.h>
#include <linux/rculist.h>

#include "decode/param.h"
#include "registry/born.h"
#include "registry/pool.h"
#include "registry/process.h"
#include "registry/records.h"
#include "registry/total.h"
#include "registry/trace.h"
#include "registry/users.h"

#define VM_HASH_BITS	10

static unsigned int max_vms = 1024;
module_param_cb(max_vms, &kvmmem_param_count_ops, &max_vms, 0444);
MODULE_PARM_DESC(max_vms, "VMs that can be told apart at once, 1 to 65536; events of more are counted in 'lost' (default 1024)");

static unsigned int max_vcpus = 16384;
module_param_cb(max_vcpus, &kvmmem_param_count_ops, &max_vcpus, 0444);
MODULE_PARM_DESC(max_vcpus, "vCPUs of all VMs together that can be told apart at once, 1 to 65536 (default 16384)");

static DEFINE_RAW_SPINLOCK(registry_lock);
static struct kvmmem_vm __rcu **table;		/* max_vms slots */
static unsigned long *used;			/* a bit for each slot */
static unsigned int nr_vms, nr_vcpus;
static struct hlist_head vm_hash[1 << VM_HASH_BITS];
struct hlist_head kvmmem_vcpu_hash[1 << KVMMEM_VCPU_HASH_BITS];

struct kvmmem_tag kvmmem_no_tag = { .tag = KVMMEM_TAG_UNKNOWN };
static struct kvmmem_pool vm_pool, vcpu_pool;

/**
 * kvmmem_record_find - the record of a VM
 * @kvm: the VM
 *
 * Context: registry_lock, or rcu_read_lock(); the record is good until its end.
 *
 * Return: the record or NULL.
 */
struct kvmmem_vm *kvmmem_record_find(const struct kvm *kvm)
{
	struct kvmmem_vm *vm;

	hlist_for_each_entry_rcu(vm, &vm_hash[hash_ptr(kvm, VM_HASH_BITS)], node,
				 lockdep_is_held(&registry_lock))
		if (vm->key == kvm)
			return vm;
	return NULL;
}

static struct kvmmem_vm *records_add_vm(struct kvm *kvm, struct task_struct *task)
{
	const bool all = kvmmem_task_has_no_share(task, kvm->mm);
	struct kvmmem_user *user;
	struct kvmmem_vm *vm;
	unsigned int slot;

	lockdep_assert_held(&registry_lock);
	slot = find_first_zero_bit(used, max_vms);
	if (slot >= max_vms)
		return NULL;
	user = kvmmem_user_get(kvmmem_user_of_task(task));
	vm = kvmmem_user_may_have(user, user->vms, max_vms, all) ? kvmmem_pool_get(&vm_pool) : NULL;
	if (!vm) {
		kvmmem_user_put(user);
		return NULL;
	}

	raw_spin_lock_init(&vm->lock);
	refcount_set(&vm->refs, 1);
	mutex_init(&vm->walk_lock);
	vm->kvm = kvm;
	vm->key = kvm;
	vm->slot = slot;
	vm->user = user;
	kvmmem_vm_born(vm, kvm, task);

	hlist_add_head_rcu(&vm->node, &vm_hash[hash_ptr(kvm, VM_HASH_BITS)]);
	kvmmem_process_add(vm);
	__set_bit(slot, used);
	WRITE_ONCE(nr_vms, nr_vms + 1);
	rcu_assign_pointer(table[slot], vm);
	kvmmem_total_born(vm);
	return vm;
}

static struct kvmmem_vcpu *records_add_vcpu(struct kvmmem_vm *vm, struct kvm_vcpu *vcpu)
{
	struct kvmmem_vcpu *rec;

	lockdep_assert_held(&registry_lock);
	if (nr_vcpus >= max_vcpus ||
	    !kvmmem_user_may_have(vm->user, vm->user->vcpus + 1, max_vcpus, vm->no_share))
		return NULL;
	rec = kvmmem_pool_get(&vcpu_pool);
	if (!rec)
		return NULL;

	rec->vcpu = vcpu;
	rec->vm = vm;
	rec->id = vcpu->vcpu_id;
	kvmmem_vcpu_add_outcomes(vcpu, vm->outcomes_before);
	rec->flushed.seen = kvmmem_vcpu_tlb_flush(vcpu);
	rec->flush_older = rec->flushed.seen;
	seqcount_init(&rec->tags_seq);
	rec->now = &kvmmem_no_tag;
	rec->flush_cpu = -1;
	rec->exit_tsc = KVMMEM_NO_EXIT;
	/*
	 * A vCPU that has not faulted yet is counted from 0. For one that is
	 * older than kvmmem its own thread notes where counting began.
	 */
	if (kvmmem_vcpu_pf_taken(vcpu))
		rec->special |= KVMMEM_VCPU_NO_BASE;
	if (!kvmmem_vcpu_is_tdp(vcpu)) {
		rec->special |= KVMMEM_VCPU_SHADOW;
		vm->mode = KVMMEM_MODE_SHADOW;
	} else {
		vm->mode = kvmmem_cpu_is_svm() ? KVMMEM_MODE_NPT : KVMMEM_MODE_EPT;
	}

	WRITE_ONCE(nr_vcpus, nr_vcpus + 1);
	vm->nr_vcpus++;
	vm->user->vcpus++;
	list_add_tail_rcu(&rec->sibling, &vm->vcpus);
	hlist_add_head_rcu(&rec->node,
			   &kvmmem_vcpu_hash[hash_ptr(vcpu, KVMMEM_VCPU_HASH_BITS)]);
	return rec;
}

/**
 * kvmmem_record_vm - the record of a VM, made if there is none
 * @kvm: a VM that cannot be destroyed during the call
 * @task: a thread of the process that has it
 *
 * Context: a hook, or RCU; does not sleep.
 *
 * Return: the record, or NULL when the table or the reserve has no room.
 */
struct kvmmem_vm *kvmmem_record_vm(struct kvm *kvm, struct task_struct *task)
{
	struct kvmmem_vm *vm;
	bool is_new;

	raw_spin_lock(&registry_lock);
	vm = kvmmem_record_find(kvm);
	is_new = !vm;
	if (is_new)
		vm = records_add_vm(kvm, task);
	raw_spin_unlock(&registry_lock);
	if (is_new && vm)
		trace_vm_begin(vm);
	return vm;
}

/**
 * kvmmem_record_vcpu - the record of a vCPU, made if there is none
 * @vcpu: a vCPU that is online, of a VM that cannot be destroyed during the call
 * @task: a thread of the process that has it
 *
 * Context: a hook, or RCU; does not sleep.
 *
 * Return: the record, or NULL when there is no room, or no more for this user.
 */
struct kvmmem_vcpu *kvmmem_record_vcpu(struct kvm_vcpu *vcpu, struct task_struct *task)
{
	struct kvmmem_vm *vm, *new_vm = NULL;
	struct kvmmem_vcpu *rec;

	raw_spin_lock(&registry_lock);
	rec = kvmmem_vcpu_find(vcpu);
	/* Of a vCPU whose end nobody has heard of, and whose memory is another's now. */
	if (rec && READ_ONCE(rec->vm->kvm) != vcpu->kvm) {
		hlist_del_init_rcu(&rec->node);
		rec = NULL;
	}
	if (!rec) {
		vm = kvmmem_record_find(vcpu->kvm);
		if (!vm) {
			new_vm = records_add_vm(vcpu->kvm, task);
			vm = new_vm;
		}
		if (vm)
			rec = records_add_vcpu(vm, vcpu);
	}
	raw_spin_unlock(&registry_lock);
	if (new_vm)
		trace_vm_begin(new_vm);
	return rec;
}

static void records_unlink(struct kvmmem_vm *vm)
{
	lockdep_assert_held(&registry_lock);
	hlist_del_rcu(&vm->node);
	kvmmem_process_remove(vm);
	RCU_INIT_POINTER(table[vm->slot], NULL);
	__clear_bit(vm->slot, used);
	WRITE_ONCE(nr_vms, nr_vms - 1);
	WRITE_ONCE(nr_vcpus, nr_vcpus - vm->nr_vcpus);
	vm->user->vcpus -= vm->nr_vcpus;
	kvmmem_user_put(vm->user);
}

/**
 * kvmmem_record_unlink - take the record of a VM out of table and hash
 * @kvm: the VM
 *
 * Its vCPUs are in theirs until kvmmem_reaper_unhash(). Hooks and readers that found the
 * record before may still hold it.
 *
 * Context: any that may take a raw lock.
 *
 * Return: the record, which is the caller's to bury, or NULL if there is none.
 */
struct kvmmem_vm *kvmmem_record_unlink(const struct kvm *kvm)
{
	struct kvmmem_vm *vm;

	raw_spin_lock(&registry_lock);
	vm = kvmmem_record_find(kvm);
	if (vm)
		records_unlink(vm);
	raw_spin_unlock(&registry_lock);
	return vm;
}

/**
 * kvmmem_record_unlink_at - the same for whatever is in a slot
 * @slot: below kvmmem_vm_slots()
 *
 * Context: any that may take a raw lock.
 *
 * Return: as kvmmem_record_unlink().
 */
struct kvmmem_vm *kvmmem_record_unlink_at(unsigned int slot)
{
	struct kvmmem_vm *vm;

	raw_spin_lock(&registry_lock);
	vm = rcu_dereference_protected(table[slot], lockdep_is_held(&registry_lock));
	if (vm)
		records_unlink(vm);
	raw_spin_unlock(&registry_lock);
	return vm;
}

/**
 * kvmmem_records_locked - change the hashes, with the registry locked
 * @change: what to do; it takes no lock and does not sleep
 * @data: for it
 *
 * Context: any that may take a raw lock.
 */
void kvmmem_records_locked(void (*change)(void *data), void *data)
{
	raw_spin_lock(&registry_lock);
	change(data);
	raw_spin_unlock(&registry_lock);
}

/**
 * kvmmem_records_top_up - fill the reserve of records
 *
 * It fills itself, too; this is for who knows that many births are to come.
 * Context: may sleep.
 */
void kvmmem_records_top_up(void)
{
	kvmmem_pool_fill(&vm_pool);
	kvmmem_pool_fill(&vcpu_pool);
}

static noinline void records_free_vm(struct kvmmem_vm *vm)
{
	struct kvmmem_vcpu *rec, *next;

	list_for_each_entry_safe(rec, next, &vm->vcpus, sibling)
		kvmmem_pool_put(&vcpu_pool, rec);
	kfree(vm->walk);
	kfree(vm->nodes);
	kfree(vm->inval);
	kvfree(rcu_access_pointer(vm->ranges));
	free_percpu(vm->tallies);
	put_pid(vm->pid);
	kvmmem_pool_put(&vm_pool, vm);
}

/**
 * kvmmem_vm_put - give a reference back
 * @vm: from kvmmem_vm_get()
 *
 * Context: process.
 */
void kvmmem_vm_put(struct kvmmem_vm *vm)
{
	if (refcount_dec_and_test(&vm->refs))
		records_free_vm(vm);
}

/**
 * kvmmem_vm_slots - size of the table
 *
 * Context: any.
 *
 * Return: every slot number is below it.
 */
unsigned int kvmmem_vm_slots(void)
{
	return max_vms;
}

/**
 * kvmmem_vm_next - first used slot
 * @from: where to begin
 *
 * Return: its number, or kvmmem_vm_slots() when there is none at @from or above.
 */
int kvmmem_vm_next(unsigned int from)
{
	/* Most slots up to the last VM's are in use. */
	if (from < max_vms && test_bit(from, used))
		return from;
	return find_next_bit(used, max_vms, from);
}

/**
 * kvmmem_vm_at - the record in a slot
 * @slot: below kvmmem_vm_slots()
 *
 * Context: rcu_read_lock(); the record is good until its end.
 *
 * Return: NULL when the slot is empty.
 */
struct kvmmem_vm *kvmmem_vm_at(unsigned int slot)
{
	return rcu_dereference(table[slot]);
}

/**
 * kvmmem_vm_get - the record in a slot, to be kept beyond RCU
 * @slot: below kvmmem_vm_slots()
 *
 * The VM may die meanwhile, the record stays until kvmmem_vm_put(). For readers
 * that sleep, and that are gone before kvmmem_registry_exit(). Context: any.
 *
 * Return: NULL when the slot is empty.
 */
struct kvmmem_vm *kvmmem_vm_get(unsigned int slot)
{
	struct kvmmem_vm *vm;

	rcu_read_lock();
	vm = kvmmem_vm_at(slot);
	if (vm && !refcount_inc_not_zero(&vm->refs))
		vm = NULL;
	rcu_read_unlock();
	return vm;
}

/**
 * kvmmem_vm_count - VMs in the table
 *
 * Context: any.
 *
 * Return: how many.
 */
unsigned int kvmmem_vm_count(void)
{
	return READ_ONCE(nr_vms);
}

static void records_pool_usage(const struct kvmmem_pool *pool, size_t size,
			       struct kvmmem_records_usage *usage)
{
	usage->live = atomic_read(&pool->live);
	usage->reserve = kvmmem_pool_reserve(pool);
	usage->size = size;
}

/**
 * kvmmem_records_usage - memory that the registry holds
 * @vm: records of VMs
 * @vcpu: records of vCPUs
 */
void kvmmem_records_usage(struct kvmmem_records_usage *vm,
			  struct kvmmem_records_usage *vcpu)
{
	records_pool_usage(&vm_pool, sizeof(struct kvmmem_vm), vm);
	records_pool_usage(&vcpu_pool, sizeof(struct kvmmem_vcpu), vcpu);
}

/* Entries of users that are looked at in one go. */
#define USERS_BATCH	1024

/**
 * kvmmem_records_user - a user who did not get all records asked for
 * @from: where to begin looking
 * @user: where to copy the entry
 *
 * Context: any.
 *
 * Return: where to go on, or 0 if there is no further one.
 */
unsigned int kvmmem_records_user(unsigned int from, struct kvmmem_user *user)
{
	const struct kvmmem_user *one;
	unsigned int i, found = 0;

	raw_spin_lock(&registry_lock);
	for (i = from; !found && (one = kvmmem_user_at(i)); i++) {
		if (one->vms && one->refused) {
			*user = *one;
			found = i + 1;
		}
		if (i % USERS_BATCH == USERS_BATCH - 1) {
			raw_spin_unlock(&registry_lock);
			raw_spin_lock(&registry_lock);
		}
	}
	raw_spin_unlock(&registry_lock);
	return found;
}

/**
 * kvmmem_records_init - make the empty table
 *
 * Context: may sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int kvmmem_records_init(void)
{
	int err = -ENOMEM;

	table = kvcalloc(max_vms, sizeof(*table), GFP_KERNEL);
	used = bitmap_zalloc(max_vms, GFP_KERNEL);
	if (!table || !used || kvmmem_users_init(max_vms))
		goto err_free;
	err = kvmmem_pool_init(&vm_pool, "kvmmem_vm", sizeof(struct kvmmem_vm), max_vms);
	if (err)
		goto err_free;
	err = kvmmem_pool_init(&vcpu_pool, "kvmmem_vcpu", sizeof(struct kvmmem_vcpu), max_vcpus);
	if (!err)
		return 0;

	kvmmem_pool_destroy(&vm_pool);
err_free:
	kvmmem_users_exit();
	bitmap_free(used);
	kvfree(table);
	return err;
}

/**
 * kvmmem_records_exit - free the table, which is empty
 *
 * Context: may sleep.
 */
void kvmmem_records_exit(void)
{
	kvmmem_pool_destroy(&vcpu_pool);
	kvmmem_pool_destroy(&vm_pool);
	kvmmem_users_exit();
	bitmap_free(used);
	kvfree(table);
}
