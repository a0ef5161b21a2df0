// SPDX-License-Identifier: GPL-2.0
/*
 * Decoding over every defined bit, against a plain restatement of the manuals
 * that shares no expression with the code under test.
 */
#include <kunit/test.h>

#include "decode/fault.h"

static unsigned int slow_vmx(u64 q)
{
	bool write = q & 2, exec = q & 4;
	bool readable = q & 8, writable = q & 16, executable = q & 32;
	bool linear_valid = q & 128, final = q & 256;
	unsigned int class = 0;

	if (write)
		class |= KVMMEM_FAULT_WRITE;
	if (exec)
		class |= KVMMEM_FAULT_EXEC;
	if (readable || writable || executable)
		class |= KVMMEM_FAULT_PROT;
	if (linear_valid && !final)
		class |= KVMMEM_FAULT_WALK;
	return class;
}

static void vmx_every_word(struct kunit *test)
{
	u64 q;

	/* Bits 0-12 are defined; some above must not matter. */
	for (q = 0; q < BIT(13); q++) {
		KUNIT_ASSERT_EQ(test, kvmmem_decode_vmx(q), slow_vmx(q));
		KUNIT_ASSERT_EQ(test, kvmmem_decode_vmx(q | BIT_ULL(16)), slow_vmx(q));
		KUNIT_ASSERT_EQ(test, kvmmem_decode_vmx(q | GENMASK_ULL(63, 13)), slow_vmx(q));
	}
}

static void vmx_known_words(struct kunit *test)
{
	/* A first read, write and fetch of a page, as processors report them. */
	KUNIT_EXPECT_EQ(test, kvmmem_decode_vmx(0x181), 0);
	KUNIT_EXPECT_EQ(test, kvmmem_decode_vmx(0x182), KVMMEM_FAULT_WRITE);
	KUNIT_EXPECT_EQ(test, kvmmem_decode_vmx(0x184), KVMMEM_FAULT_EXEC);
	/* A guest page-table walk, without and with EPT accessed and dirty flags. */
	KUNIT_EXPECT_EQ(test, kvmmem_decode_vmx(0x081), KVMMEM_FAULT_WALK);
	KUNIT_EXPECT_EQ(test, kvmmem_decode_vmx(0x083),
			KVMMEM_FAULT_WALK | KVMMEM_FAULT_WRITE);
	/* A write to a page write-protected for dirty logging. */
	KUNIT_EXPECT_EQ(test, kvmmem_decode_vmx(0x1aa),
			KVMMEM_FAULT_WRITE | KVMMEM_FAULT_PROT);
	/* A fetch from a huge page made non-executable. */
	KUNIT_EXPECT_EQ(test, kvmmem_decode_vmx(0x19c),
			KVMMEM_FAULT_EXEC | KVMMEM_FAULT_PROT);
	/* Without a linear address (MOV to CR3 loading PDPTEs) bit 8 says nothing. */
	KUNIT_EXPECT_EQ(test, kvmmem_decode_vmx(0x001), 0);
}

static unsigned int slow_svm(bool present, bool write, bool rsvd, bool fetch, bool walk)
{
	unsigned int class = 0;

	if (rsvd)
		return KVMMEM_FAULT_MMIO;
	if (write)
		class |= KVMMEM_FAULT_WRITE;
	if (fetch)
		class |= KVMMEM_FAULT_EXEC;
	if (present)
		class |= KVMMEM_FAULT_PROT;
	if (walk)
		class |= KVMMEM_FAULT_WALK;
	return class;
}

static void svm_every_word(struct kunit *test)
{
	/* Bits 0-6 and 31-37 of EXITINFO1 are defined. */
	u64 low, high;

	for (low = 0; low < BIT(7); low++) {
		for (high = 0; high < BIT(7); high++) {
			u64 code = low | high << 31;

			KUNIT_ASSERT_EQ(test, kvmmem_decode_svm(code),
					slow_svm(low & 1, low & 2, low & 8, low & 16, high & 4));
		}
	}
}

static void svm_known_words(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, kvmmem_decode_svm(0x100000004), 0);
	KUNIT_EXPECT_EQ(test, kvmmem_decode_svm(0x100000006), KVMMEM_FAULT_WRITE);
	KUNIT_EXPECT_EQ(test, kvmmem_decode_svm(0x100000014), KVMMEM_FAULT_EXEC);
	KUNIT_EXPECT_EQ(test, kvmmem_decode_svm(0x200000006),
			KVMMEM_FAULT_WRITE | KVMMEM_FAULT_WALK);
	KUNIT_EXPECT_EQ(test, kvmmem_decode_svm(0x100000007),
			KVMMEM_FAULT_WRITE | KVMMEM_FAULT_PROT);
	KUNIT_EXPECT_EQ(test, kvmmem_decode_svm(0x10000000f), KVMMEM_FAULT_MMIO);
}

static void shadow_every_word(struct kunit *test)
{
	u64 code;

	for (code = 0; code < BIT(7); code++)
		KUNIT_ASSERT_EQ(test, kvmmem_decode_shadow(code),
				code & 8 ? KVMMEM_FAULT_MMIO : KVMMEM_FAULT_SHADOW);
}

static void sum_has_every_cell_once(struct kunit *test)
{
	u64 cells[KVMMEM_FAULT_CELLS];
	struct kvmmem_fault_sum sum = {};
	int i;

	/* Powers of two: a cell missed or taken twice changes the sum. */
	for (i = 0; i < KVMMEM_FAULT_CELLS; i++)
		cells[i] = BIT(i);
	kvmmem_fault_add(&sum, cells);

	KUNIT_EXPECT_EQ(test, sum.violations, 0xffffULL);
	KUNIT_EXPECT_EQ(test, sum.read + sum.write + sum.exec, sum.violations);
	KUNIT_EXPECT_EQ(test, sum.read, 0x0303ULL);
	KUNIT_EXPECT_EQ(test, sum.write, 0x0c0cULL);
	KUNIT_EXPECT_EQ(test, sum.exec, 0xf0f0ULL);
	KUNIT_EXPECT_EQ(test, sum.protection, 0xaaaaULL);
	KUNIT_EXPECT_EQ(test, sum.walk, 0xff00ULL);
	KUNIT_EXPECT_EQ(test, sum.mmio,
			BIT_ULL(KVMMEM_FAULT_MMIO) | BIT_ULL(KVMMEM_FAULT_NO_SLOT));
	KUNIT_EXPECT_EQ(test, sum.shadow, BIT_ULL(KVMMEM_FAULT_SHADOW));

	kvmmem_fault_add(&sum, cells);
	KUNIT_EXPECT_EQ(test, sum.violations, 2 * 0xffffULL);
}

static void mask_hides_what_is_unknown(struct kunit *test)
{
	struct kvmmem_fault_sum sum = { .violations = 5, .read = 5, .mmio = 2, .shadow = 7 };

	kvmmem_fault_mask(&sum, KVMMEM_MODE_NPT, false, true);
	KUNIT_EXPECT_EQ(test, sum.violations, 5ULL);
	KUNIT_EXPECT_EQ(test, sum.mmio, 2ULL);
	kvmmem_fault_mask(&sum, KVMMEM_MODE_EPT, true, true);
	KUNIT_EXPECT_EQ(test, sum.read, KVMMEM_UNKNOWN);
	KUNIT_EXPECT_EQ(test, sum.violations, 5ULL);
	kvmmem_fault_mask(&sum, KVMMEM_MODE_EPT, false, false);
	KUNIT_EXPECT_EQ(test, sum.violations, 5ULL);
	KUNIT_EXPECT_EQ(test, sum.mmio, KVMMEM_UNKNOWN);
	kvmmem_fault_mask(&sum, KVMMEM_MODE_SHADOW, false, true);
	KUNIT_EXPECT_EQ(test, sum.violations, KVMMEM_UNKNOWN);
	KUNIT_EXPECT_EQ(test, sum.walk, KVMMEM_UNKNOWN);
	KUNIT_EXPECT_EQ(test, sum.shadow, 7ULL);
}

static void reflected_by_vendor(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, kvmmem_decode_reflected(true, 0x400));
	KUNIT_EXPECT_FALSE(test, kvmmem_decode_reflected(true, 48));
	KUNIT_EXPECT_TRUE(test, kvmmem_decode_reflected(false, 48));
	KUNIT_EXPECT_TRUE(test, kvmmem_decode_reflected(false, 49));
	/* Bit 31 of an exit reason: a failed entry; others say what the exit was in. */
	KUNIT_EXPECT_TRUE(test, kvmmem_decode_reflected(false, BIT_ULL(27) | 48));
	KUNIT_EXPECT_FALSE(test, kvmmem_decode_reflected(false, 0x400));
	KUNIT_EXPECT_FALSE(test, kvmmem_decode_reflected(false, 12));
}

static void growth_survives_clearing(struct kunit *test)
{
	struct kvmmem_grown grown = { .seen = 10 };

	KUNIT_EXPECT_EQ(test, kvmmem_grown_by(&grown, 10), 0ULL);
	KUNIT_EXPECT_EQ(test, kvmmem_grown_by(&grown, 15), 5ULL);
	/* Cleared, and grown to 3 since: from when on nobody knows. */
	KUNIT_EXPECT_EQ(test, kvmmem_grown_by(&grown, 3), 5ULL);
	KUNIT_EXPECT_EQ(test, kvmmem_grown_by(&grown, 4), 6ULL);
}

static struct kunit_case decode_cases[] = {
	KUNIT_CASE(vmx_every_word),
	KUNIT_CASE(vmx_known_words),
	KUNIT_CASE(svm_every_word),
	KUNIT_CASE(svm_known_words),
	KUNIT_CASE(shadow_every_word),
	KUNIT_CASE(sum_has_every_cell_once),
	KUNIT_CASE(mask_hides_what_is_unknown),
	KUNIT_CASE(reflected_by_vendor),
	KUNIT_CASE(growth_survives_clearing),
	{}
};

static struct kunit_suite decode_suite = {
	.name = "kvmmem-decode",
	.test_cases = decode_cases,
};

kunit_test_suite(decode_suite);

MODULE_DESCRIPTION("KUnit suites of kvmmem");
MODULE_LICENSE("GPL");
