// SPDX-License-Identifier: GPL-2.0
/*
 * The sum of all VMs, with made-up ones.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <linux/rculist.h>
#include <linux/seqlock.h>

#include "decode/fault.h"
#include "registry/total.h"

static struct kvmmem_vm *make_vm(struct kunit *test)
{
	struct kvmmem_vm *vm = kunit_kzalloc(test, sizeof(*vm), GFP_KERNEL);
	struct kvmmem_vcpu *rec = kunit_kzalloc(test, sizeof(*rec), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, vm);
	KUNIT_ASSERT_NOT_NULL(test, rec);
	vm->mode = KVMMEM_MODE_EPT;
	INIT_LIST_HEAD(&vm->vcpus);
	list_add_tail(&rec->sibling, &vm->vcpus);
	seqcount_init(&rec->tags_seq);
	rec->vm = vm;
	rec->fault[KVMMEM_FAULT_WRITE] = 5;
	rec->fault[KVMMEM_FAULT_MMIO] = 3;
	return vm;
}

static void tdx_guests_do_not_tell(struct kunit *test)
{
	struct kvmmem_vm *tdx = make_vm(test), *other = make_vm(test);
	struct kvmmem_total before, after, own;

	kvmmem_total_read(&before);
	tdx->is_tdx = true;
	tdx->hides_mmio = true;
	kvmmem_total_born(tdx);
	kvmmem_total_read(&after);
	KUNIT_EXPECT_EQ(test, after.faults.violations - before.faults.violations, 5ULL);
	KUNIT_EXPECT_EQ(test, after.faults.write, before.faults.write);
	KUNIT_EXPECT_EQ(test, after.faults.mmio, before.faults.mmio);
	KUNIT_EXPECT_EQ(test, after.shows_access, before.shows_access);

	kvmmem_total_born(other);
	kvmmem_total_ended(tdx, &own);
	KUNIT_EXPECT_FALSE(test, own.shows_access);
	kvmmem_total_ended(other, &own);
	KUNIT_EXPECT_TRUE(test, own.shows_access);
	kvmmem_total_read(&after);
	KUNIT_EXPECT_EQ(test, after.faults.violations - before.faults.violations, 10ULL);
	KUNIT_EXPECT_EQ(test, after.faults.write - before.faults.write, 5ULL);
	KUNIT_EXPECT_EQ(test, after.faults.mmio - before.faults.mmio, 3ULL);
	KUNIT_EXPECT_TRUE(test, after.shows_access);
}

static struct kunit_case total_cases[] = {
	KUNIT_CASE(tdx_guests_do_not_tell),
	{}
};

static struct kunit_suite total_suite = {
	.name = "kvmmem-total",
	.test_cases = total_cases,
};

kunit_test_suite(total_suite);
