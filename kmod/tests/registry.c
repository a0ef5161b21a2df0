// SPDX-License-Identifier: GPL-2.0
/*
 * The registry's life cycle with made-up VMs: births, deaths, reuse of
 * addresses and slots, bounds.
 *
 * The hook that hears of deaths is declared attached without KVM: nothing but
 * these tests knows the VMs.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <linux/rcupdate.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "attach/hooks.h"
#include "attach/queue.h"
#include "count/requests.h"
#include "registry/life.h"
#include "registry/pool.h"
#include "registry/reaper.h"
#include "registry/process.h"
#include "registry/records.h"
#include "registry/vm.h"
#include "registry/users.h"
#include "registry/watch.h"

static void pretend_attached(const struct kvmmem_hook *hook, void *id)
{
	if (hook->id == *(const enum kvmmem_hook_id *)id)
		((struct kvmmem_hook *)hook)->state = KVMMEM_HOOK_ATTACHED;
}

static void pretend_detached(const struct kvmmem_hook *hook, void *unused)
{
	((struct kvmmem_hook *)hook)->state = KVMMEM_HOOK_WAITING;
}

static int registry_test_init(struct kunit *test)
{
	enum kvmmem_hook_id id = KVMMEM_HOOK_VM_DESTROY;
	int err = kvmmem_queue_init() ?: kvmmem_registry_init();

	if (err) {
		kvmmem_queue_exit();
		return err;
	}
	kvmmem_hooks_for_each(pretend_attached, &id);
	return 0;
}

static void registry_test_exit(struct kunit *test)
{
	kvmmem_hooks_for_each(pretend_detached, NULL);
	/* Not kvmmem_hooks_stop(): suites run inside the module notifier. */
	kvmmem_hooks_forget();
	kvmmem_registry_exit();
	kvmmem_queue_exit();
}

static struct kvm_memslots no_slots;

/* What a birth looks at beside the name. */
static int begin_kvm(struct kvm *kvm)
{
	kvm->mm = current->mm;
	rcu_assign_pointer(kvm->memslots[0], &no_slots);
	return init_srcu_struct(&kvm->srcu);
}

static void end_kvm(void *kvm)
{
	cleanup_srcu_struct(&((struct kvm *)kvm)->srcu);
}

static struct kvm *make_kvm(struct kunit *test)
{
	struct kvm *kvm = kunit_kzalloc(test, sizeof(*kvm), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, kvm);
	KUNIT_ASSERT_EQ(test, begin_kvm(kvm), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, end_kvm, kvm), 0);
	return kvm;
}

static struct kvm_vcpu *make_vcpu(struct kunit *test, struct kvm *kvm, int id)
{
	struct kvm_vcpu *vcpu = kunit_kzalloc(test, sizeof(*vcpu), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, vcpu);
	vcpu->kvm = kvm;
	vcpu->vcpu_id = id;
	return vcpu;
}

static void vm_is_born_once_and_dies(struct kunit *test)
{
	struct kvm *kvm = make_kvm(test);
	struct kvmmem_vm *vm = kvmmem_vm_birth(kvm, current);

	KUNIT_ASSERT_NOT_NULL(test, vm);
	KUNIT_EXPECT_PTR_EQ(test, kvmmem_vm_birth(kvm, current), vm);
	KUNIT_EXPECT_EQ(test, kvmmem_vm_count(), 1);
	KUNIT_EXPECT_PTR_EQ(test, vm->kvm, kvm);
	KUNIT_EXPECT_EQ(test, vm->tgid, task_tgid_nr(current));

	kvmmem_vm_death(kvm);
	KUNIT_EXPECT_EQ(test, kvmmem_vm_count(), 0);
	KUNIT_EXPECT_EQ(test, kvmmem_vm_next(0), kvmmem_vm_slots());
	/* Of a VM that is not there: nothing. */
	kvmmem_vm_death(kvm);
	KUNIT_EXPECT_EQ(test, kvmmem_vm_count(), 0);
}

static void same_address_is_a_new_record(struct kunit *test)
{
	struct kvm *kvm = make_kvm(test);
	struct kvm_vcpu *vcpu = make_vcpu(test, kvm, 0);
	struct kvmmem_vcpu *rec = kvmmem_vcpu_birth(vcpu, current);

	KUNIT_ASSERT_NOT_NULL(test, rec);
	rec->fault[0] = 42;
	kvmmem_vm_death(kvm);
	KUNIT_EXPECT_NULL(test, kvmmem_vcpu_find(vcpu));

	rec = kvmmem_vcpu_birth(vcpu, current);
	KUNIT_ASSERT_NOT_NULL(test, rec);
	KUNIT_EXPECT_EQ(test, rec->fault[0], 0ULL);
	KUNIT_EXPECT_EQ(test, kvmmem_vm_count(), 1);
}

static void vcpus_keep_their_own(struct kunit *test)
{
	struct kvm *kvm[2] = { make_kvm(test), make_kvm(test) };
	struct kvmmem_vcpu *rec[8], *walk;
	struct kvm_vcpu *vcpu[8];
	int i, n = 0;

	for (i = 0; i < 8; i++) {
		vcpu[i] = make_vcpu(test, kvm[i & 1], i);
		rec[i] = kvmmem_vcpu_birth(vcpu[i], current);
		KUNIT_ASSERT_NOT_NULL(test, rec[i]);
	}
	KUNIT_EXPECT_EQ(test, kvmmem_vm_count(), 2);
	for (i = 0; i < 8; i++) {
		KUNIT_EXPECT_PTR_EQ(test, kvmmem_vcpu_find(vcpu[i]), rec[i]);
		KUNIT_EXPECT_PTR_EQ(test, (void *)rec[i]->vm->key, (void *)kvm[i & 1]);
	}
	/* In order of birth. */
	rcu_read_lock();
	kvmmem_vm_for_each_vcpu(walk, rec[1]->vm)
		KUNIT_EXPECT_EQ(test, walk->id, 1 + 2 * n++);
	rcu_read_unlock();
	KUNIT_EXPECT_EQ(test, n, 4);

	kvmmem_vm_death(kvm[1]);
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_PTR_EQ(test, kvmmem_vcpu_find(vcpu[i]), i & 1 ? NULL : rec[i]);
}

/* Where the end of each is heard they leave the hash then, or later, and nobody is mistaken. */
static void vcpus_end_after_their_vm(struct kunit *test)
{
	enum kvmmem_hook_id id = KVMMEM_HOOK_VCPU_DESTROY;
	struct kvm *kvm = make_kvm(test), *other = make_kvm(test);
	struct kvmmem_vcpu *rec;
	struct kvm_vcpu *vcpu[4];
	struct kvmmem_vm *vm;
	unsigned int i;

	kvmmem_hooks_for_each(pretend_attached, &id);
	for (i = 0; i < ARRAY_SIZE(vcpu); i++) {
		vcpu[i] = make_vcpu(test, kvm, i);
		KUNIT_ASSERT_NOT_NULL(test, kvmmem_vcpu_birth(vcpu[i], current));
	}
	/* KVM could not make it. */
	kvmmem_vcpu_death(make_vcpu(test, kvm, i));
	/* As kvmmem_vm_death() does, but for the reaper, which is to come later. */
	vm = kvmmem_record_unlink(kvm);
	KUNIT_ASSERT_NOT_NULL(test, vm);
	KUNIT_EXPECT_NOT_NULL(test, kvmmem_vcpu_find(vcpu[0]));
	kvmmem_vcpu_death(vcpu[0]);
	KUNIT_EXPECT_NULL(test, kvmmem_vcpu_find(vcpu[0]));
	WRITE_ONCE(vm->kvm, NULL);
	/* Its end was missed, and its memory is another VM's. */
	vcpu[1]->kvm = other;
	rec = kvmmem_vcpu_birth(vcpu[1], current);
	KUNIT_ASSERT_NOT_NULL(test, rec);
	KUNIT_EXPECT_PTR_EQ(test, rec->vm->kvm, other);
	KUNIT_EXPECT_NOT_NULL(test, kvmmem_vcpu_find(vcpu[2]));
	kvmmem_reaper_bury(vm);
	kvmmem_reaper_settle();
	KUNIT_EXPECT_PTR_EQ(test, kvmmem_vcpu_find(vcpu[1]), rec);
	KUNIT_EXPECT_NULL(test, kvmmem_vcpu_find(vcpu[2]));
	kvmmem_vm_death(other);
	kvmmem_vcpu_death(vcpu[1]);
	kvmmem_vcpu_death(vcpu[3]);
}

static void table_is_bounded(struct kunit *test)
{
	unsigned int slots = kvmmem_vm_slots(), i;
	struct kvm *kvm = vzalloc(array_size(slots + 1, sizeof(*kvm)));
	struct kvmmem_records_usage vms, vcpus;

	KUNIT_ASSERT_NOT_NULL(test, kvm);
	for (i = 0; i <= slots; i++)
		KUNIT_ASSERT_EQ(test, begin_kvm(&kvm[i]), 0);
	for (i = 0; i < slots; i++) {
		kvmmem_records_top_up();
		KUNIT_ASSERT_NOT_NULL(test, kvmmem_vm_birth(&kvm[i], current));
	}
	KUNIT_EXPECT_EQ(test, kvmmem_vm_count(), slots);
	KUNIT_EXPECT_NULL(test, kvmmem_vm_birth(&kvm[slots], current));

	/* One leaves, one comes, in the same slot. */
	kvmmem_vm_death(&kvm[3]);
	kvmmem_records_top_up();
	KUNIT_EXPECT_NOT_NULL(test, kvmmem_vm_birth(&kvm[slots], current));
	KUNIT_EXPECT_EQ(test, kvmmem_vm_count(), slots);

	kvmmem_vm_death_all();
	KUNIT_EXPECT_EQ(test, kvmmem_vm_count(), 0);
	kvmmem_reaper_settle();
	kvmmem_records_usage(&vms, &vcpus);
	KUNIT_EXPECT_EQ(test, vms.live, 0);
	KUNIT_EXPECT_EQ(test, vcpus.live, 0);
	for (i = 0; i <= slots; i++)
		end_kvm(&kvm[i]);
	vfree(kvm);
}

/* A user's share of VMs and of vCPUs; root has no bound. */
static void users_have_a_share(struct kunit *test)
{
	struct kvmmem_user *one, *two, *root;
	unsigned int i;

	one = kvmmem_user_get(KUIDT_INIT(1000));
	two = kvmmem_user_get(KUIDT_INIT(1001));
	root = kvmmem_user_get(GLOBAL_ROOT_UID);
	KUNIT_EXPECT_PTR_NE(test, one, two);
	KUNIT_EXPECT_PTR_EQ(test, kvmmem_user_get(KUIDT_INIT(1000)), one);
	KUNIT_EXPECT_EQ(test, one->vms, 2);
	kvmmem_user_put(one);

	/* 75 percent of 100, and never less than one. */
	for (i = 1; i <= 75; i++)
		KUNIT_EXPECT_TRUE(test, kvmmem_user_may_have(one, i, 100, false));
	KUNIT_EXPECT_EQ(test, one->refused, 0ULL);
	KUNIT_EXPECT_FALSE(test, kvmmem_user_may_have(one, 76, 100, false));
	KUNIT_EXPECT_EQ(test, one->refused, 1ULL);
	KUNIT_EXPECT_EQ(test, two->refused, 0ULL);
	KUNIT_EXPECT_TRUE(test, kvmmem_user_may_have(two, 1, 1, false));
	KUNIT_EXPECT_TRUE(test, kvmmem_user_may_have(root, 100, 100, true));
	/* Root of a container. */
	KUNIT_EXPECT_FALSE(test, kvmmem_user_may_have(root, 76, 100, false));

	/* Who comes again begins anew. */
	kvmmem_user_put(one);
	one = kvmmem_user_get(KUIDT_INIT(1000));
	KUNIT_EXPECT_EQ(test, one->vms, 1);
	KUNIT_EXPECT_EQ(test, one->refused, 0ULL);
	kvmmem_user_put(one);
	kvmmem_user_put(two);
	kvmmem_user_put(root);
}

/* What a VM's process has is its user's, and given back. */
static void vms_count_for_their_user(struct kunit *test)
{
	struct kvm *kvm = make_kvm(test);
	struct kvmmem_vcpu *rec;
	struct kvmmem_user *user;

	rec = kvmmem_vcpu_birth(make_vcpu(test, kvm, 0), current);
	KUNIT_ASSERT_NOT_NULL(test, rec);
	KUNIT_ASSERT_NOT_NULL(test, kvmmem_vcpu_birth(make_vcpu(test, kvm, 1), current));
	user = rec->vm->user;
	KUNIT_EXPECT_TRUE(test, uid_eq(user->uid, kvmmem_user_of_task(current)));
	KUNIT_EXPECT_EQ(test, user->vms, 1);
	KUNIT_EXPECT_EQ(test, user->vcpus, 2);
	kvmmem_vm_death(kvm);
	KUNIT_EXPECT_EQ(test, user->vms, 0);
	KUNIT_EXPECT_EQ(test, user->vcpus, 0);
}

/* The mark that several VMs are of one process, and looking them up by it. */
static void vms_of_one_process(struct kunit *test)
{
	struct kvm *kvm[3] = { make_kvm(test), make_kvm(test), make_kvm(test) };
	struct kvmmem_vm *vm;

	kvm[0]->mm = (struct mm_struct *)0x1000;
	kvm[1]->mm = (struct mm_struct *)0x2000;
	kvm[2]->mm = (struct mm_struct *)0x2000;
	vm = kvmmem_vm_birth(kvm[0], current);
	KUNIT_ASSERT_NOT_NULL(test, vm);
	KUNIT_ASSERT_NOT_NULL(test, kvmmem_vm_birth(kvm[1], current));
	rcu_read_lock();
	KUNIT_EXPECT_PTR_EQ(test, kvmmem_vm_of_mm(kvm[0]->mm), vm);
	KUNIT_EXPECT_NOT_NULL(test, kvmmem_vm_of_mm(kvm[1]->mm));
	rcu_read_unlock();
	KUNIT_ASSERT_NOT_NULL(test, kvmmem_vm_birth(kvm[2], current));
	rcu_read_lock();
	KUNIT_EXPECT_NULL(test, kvmmem_vm_of_mm(kvm[1]->mm));
	rcu_read_unlock();
	kvmmem_vm_death(kvm[0]);
	rcu_read_lock();
	KUNIT_EXPECT_NULL(test, kvmmem_vm_of_mm(kvm[0]->mm));
	rcu_read_unlock();
}

/* However many VMs a process has, one of them is met by who looks for another process. */
static void one_of_each_process_is_met(struct kunit *test)
{
	struct kvmmem_vm *vm[4];
	struct kvm *kvm[4];
	unsigned int i, dead, met;

	for (i = 0; i < ARRAY_SIZE(kvm); i++) {
		kvm[i] = make_kvm(test);
		kvm[i]->mm = (struct mm_struct *)0x3000;
		vm[i] = kvmmem_vm_birth(kvm[i], current);
		KUNIT_ASSERT_NOT_NULL(test, vm[i]);
	}
	/* In an order in which each is the one, and is not, when it goes. */
	for (dead = 0; dead < ARRAY_SIZE(kvm); dead++) {
		for (i = 0, met = 0; i < ARRAY_SIZE(kvm); i++)
			met += kvm[i] && !hlist_unhashed(&vm[i]->mm_node);
		KUNIT_EXPECT_EQ(test, met, 1);
		i = dead == 1 ? 3 : dead == 3 ? 1 : dead;
		kvmmem_vm_death(kvm[i]);
		kvm[i] = NULL;
	}
	rcu_read_lock();
	KUNIT_EXPECT_NULL(test, kvmmem_vm_of_mm((struct mm_struct *)0x3000));
	rcu_read_unlock();
}

/* Who is told of a VM, and what it does then. */
static struct {
	struct kvm *dies;
	unsigned int born, died;
	bool refuse;
} told;

/* The VM dies while its birth is being told, and all is done that frees its record. */
static bool told_born(struct kvmmem_vm *vm)
{
	if (told.refuse)
		return false;
	told.born++;
	kvmmem_vm_death(told.dies);
	kvmmem_reaper_settle();
	/* The watcher's reference keeps it. */
	vm->dir = ERR_PTR(-ENOENT);
	return true;
}

static void told_died(struct kvmmem_vm *vm)
{
	told.died += vm->dir == ERR_PTR(-ENOENT);
}

static void record_outlives_its_vm_for_the_watcher(struct kunit *test)
{
	static const struct kvmmem_vm_watch watch = { told_born, told_died };
	struct kvmmem_records_usage vms, vcpus;
	struct kvm *kvm = make_kvm(test);

	memset(&told, 0, sizeof(told));
	told.dies = kvm;
	kvmmem_watch_by(&watch);
	KUNIT_ASSERT_NOT_NULL(test, kvmmem_vm_birth(kvm, current));
	kvmmem_watch_settle();
	/* The death has woken the work once more. */
	kvmmem_watch_settle();
	KUNIT_EXPECT_EQ(test, told.born, 1);
	KUNIT_EXPECT_EQ(test, told.died, 1);
	kvmmem_records_usage(&vms, &vcpus);
	KUNIT_EXPECT_EQ(test, vms.live, 0);
	kvmmem_watch_by(NULL);
}

/* Births and deaths go on while the watcher leaves: it hears of none after that. */
static void watcher_may_leave(struct kunit *test)
{
	static const struct kvmmem_vm_watch watch = { told_born, told_died };
	struct kvm *kvm[8];
	unsigned int i, n = 0;

	memset(&told, 0, sizeof(told));
	told.refuse = true;
	for (i = 0; i < ARRAY_SIZE(kvm); i++)
		kvm[i] = make_kvm(test);
	for (i = 0; i < 200; i++) {
		struct kvm *one = kvm[i % ARRAY_SIZE(kvm)];

		/* Nothing else takes as long as to make a VM does. */
		kvmmem_records_top_up();
		kvmmem_watch_by(i & 1 ? NULL : &watch);
		n += !!kvmmem_vm_birth(one, current);
		kvmmem_watch_by(i & 2 ? NULL : &watch);
		kvmmem_vm_death(one);
	}
	kvmmem_watch_by(NULL);
	kvmmem_watch_settle();
	KUNIT_EXPECT_EQ(test, n, 200);
	KUNIT_EXPECT_EQ(test, told.born, 0);
	KUNIT_EXPECT_EQ(test, kvmmem_vm_count(), 0);
}

/* While the dead cannot be let go of there are so many of them, and then no more births. */
static void dead_are_bounded(struct kunit *test)
{
	/* Twice the table and a thousand (kvmmem_pool_init()). */
	const unsigned int most = 2 * kvmmem_vm_slots() + 1024;
	struct kvmmem_vm **dead = vzalloc(array_size(most + 1, sizeof(*dead)));
	struct kvmmem_records_usage vms, vcpus;
	struct kvm *kvm = make_kvm(test);
	struct kvmmem_vm *vm;
	unsigned int n = 0;

	KUNIT_ASSERT_NOT_NULL(test, dead);
	for (;;) {
		kvmmem_records_top_up();
		vm = kvmmem_vm_birth(kvm, current);
		if (!vm || n > most)
			break;
		dead[n++] = kvmmem_vm_get(vm->slot);
		kvmmem_vm_death(kvm);
	}
	KUNIT_EXPECT_EQ(test, n, most);
	KUNIT_EXPECT_NULL(test, vm);
	kvmmem_vm_death(kvm);

	kvmmem_reaper_settle();
	while (n)
		kvmmem_vm_put(dead[--n]);
	vfree(dead);
	kvmmem_records_top_up();
	KUNIT_EXPECT_NOT_NULL(test, kvmmem_vm_birth(kvm, current));
	kvmmem_vm_death(kvm);
	kvmmem_reaper_settle();
	kvmmem_records_usage(&vms, &vcpus);
	KUNIT_EXPECT_EQ(test, vms.live, 0);
}

/* By a hook of ours, on kernels whose KVM does not. */
static void requests_are_counted(struct kunit *test)
{
	struct kvm *kvm = make_kvm(test), *other = make_kvm(test);
	struct kvmmem_vm *vm = kvmmem_vm_birth(kvm, current);

	KUNIT_ASSERT_NOT_NULL(test, vm);
	kvmmem_vm_requested(kvm);
	kvmmem_vm_requested(kvm);
	/* Of a VM that nobody knows. */
	kvmmem_vm_requested(other);
	KUNIT_EXPECT_EQ(test, atomic64_read(&vm->requests), 2);
	kvmmem_vm_death(kvm);
}

static struct kunit_case registry_cases[] = {
	KUNIT_CASE(vm_is_born_once_and_dies),
	KUNIT_CASE(same_address_is_a_new_record),
	KUNIT_CASE(vcpus_keep_their_own),
	KUNIT_CASE(vcpus_end_after_their_vm),
	KUNIT_CASE(table_is_bounded),
	KUNIT_CASE(dead_are_bounded),
	KUNIT_CASE(users_have_a_share),
	KUNIT_CASE(vms_count_for_their_user),
	KUNIT_CASE(vms_of_one_process),
	KUNIT_CASE(one_of_each_process_is_met),
	KUNIT_CASE(record_outlives_its_vm_for_the_watcher),
	KUNIT_CASE(watcher_may_leave),
	KUNIT_CASE(requests_are_counted),
	{}
};

static struct kunit_suite registry_suite = {
	.name = "kvmmem-registry",
	.init = registry_test_init,
	.exit = registry_test_exit,
	.test_cases = registry_cases,
};

kunit_test_suite(registry_suite);
