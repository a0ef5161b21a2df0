// SPDX-License-Identifier: GPL-2.0
/*
 * What the probes do on kernels and processors that the tests do not have.
 */
#include <kunit/test.h>
#include <linux/gfp.h>
#include <linux/kvm_host.h>
#include <linux/string.h>
#include <asm/svm.h>

#include "attach/hooks.h"
#include "compat/guest.h"
#include "compat/probe.h"
#include "count/outcome.h"
#include "count/run.h"

#define CODE	(BIT_ULL(32) | 0x6)

/* As struct vcpu_svm begins. */
struct made_vcpu {
	struct kvm_vcpu vcpu;
	struct vmcb *vmcb;
};

static void half_a_code_is_made_whole(struct kunit *test)
{
	struct made_vcpu *made = kunit_kzalloc(test, sizeof(*made), GFP_KERNEL);
	u64 whole = kvmmem_cpu_is_svm() ? CODE : (u32)CODE;

	KUNIT_ASSERT_NOT_NULL(test, made);
	/* No VMCB, or what is none. */
	KUNIT_EXPECT_EQ(test, kvmmem_wide_fault_code(&made->vcpu, CODE), (u64)(u32)CODE);
	made->vmcb = (void *)made + 8;
	KUNIT_EXPECT_EQ(test, kvmmem_wide_fault_code(&made->vcpu, CODE), (u64)(u32)CODE);

	made->vmcb = (void *)get_zeroed_page(GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, made->vmcb);
	made->vmcb->control.exit_info_1 = CODE;
	KUNIT_EXPECT_EQ(test, kvmmem_wide_fault_code(&made->vcpu, CODE), whole);
	/* Of another fault. */
	KUNIT_EXPECT_EQ(test, kvmmem_wide_fault_code(&made->vcpu, 4), 4ULL);
	free_page((unsigned long)made->vmcb);
}

static void count_notes(const struct kvmmem_hook *hook, void *count)
{
	*(int *)count += hook->note && !strcmp(hook->note, "vpid-not-readable");
}

static void what_cannot_be_read_is_told(struct kunit *test)
{
	int notes = 0;

	kvmmem_run_init(NULL, NULL);
	kvmmem_hooks_for_each(count_notes, &notes);
	KUNIT_EXPECT_EQ(test, notes, 0);
	kvmmem_run_note("vpid-not-readable");
	kvmmem_hooks_for_each(count_notes, &notes);
	KUNIT_EXPECT_EQ(test, notes, 1);
	KUNIT_EXPECT_FALSE(test, kvmmem_run_attached(KVMMEM_RUN_TAG));
	/* Nobody asks for tags any more. */
	kvmmem_run_want(KVMMEM_RUN_TAG, false);
	kvmmem_hooks_for_each(count_notes, &notes);
	KUNIT_EXPECT_EQ(test, notes, 1);
	kvmmem_hooks_forget();
}

/* The vCPU's past is known, and the vCPU itself is not in the VM's list yet. */
static void outcomes_do_not_fall_when_an_older_vcpu_is_met(struct kunit *test)
{
	struct kvmmem_vm *vm = kunit_kzalloc(test, sizeof(*vm), GFP_KERNEL);
	u64 sums[KVMMEM_NR_OUTCOMES], retried;

	KUNIT_ASSERT_NOT_NULL(test, vm);
	raw_spin_lock_init(&vm->lock);
	mutex_init(&vm->outcome_lock);
	INIT_LIST_HEAD(&vm->vcpus);
	vm->kvm = (struct kvm *)vm;	/* to be compared with NULL */
	vm->outcomes[KVMMEM_OUTCOME_FIXED].sum = 100;
	KUNIT_ASSERT_TRUE(test, kvmmem_outcome_of_vm(vm, sums, &retried));
	KUNIT_EXPECT_EQ(test, sums[KVMMEM_OUTCOME_FIXED], 100ULL);

	vm->outcomes_before[KVMMEM_OUTCOME_FIXED] = 40;
	KUNIT_ASSERT_TRUE(test, kvmmem_outcome_of_vm(vm, sums, &retried));
	KUNIT_EXPECT_EQ(test, sums[KVMMEM_OUTCOME_FIXED], 100ULL);
}

static struct kunit_case count_cases[] = {
	KUNIT_CASE(outcomes_do_not_fall_when_an_older_vcpu_is_met),
	KUNIT_CASE(half_a_code_is_made_whole),
	KUNIT_CASE(what_cannot_be_read_is_told),
	{}
};

static struct kunit_suite count_suite = {
	.name = "kvmmem-count",
	.test_cases = count_cases,
};

kunit_test_suite(count_suite);
