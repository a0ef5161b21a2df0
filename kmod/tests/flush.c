// SPDX-License-Identifier: GPL-2.0
#include <kunit/test.h>
#include <asm/svm.h>
#include <asm/vmx.h>

#include "decode/flush.h"

static void one_flush_has_one_cause(struct kunit *test)
{
	static const struct {
		struct kvmmem_flush_signs signs;
		enum kvmmem_cause cause;
	} cases[] = {
		/* A full flush: remote wins over a move that it serves as well. */
		{ { .kind = KVMMEM_FLUSH_ALL, .remote = true }, KVMMEM_CAUSE_REMOTE },
		{ { .kind = KVMMEM_FLUSH_ALL, .remote = true, .moved = true,
		    .asker = KVMMEM_ASKER_GUEST }, KVMMEM_CAUSE_REMOTE },
		{ { .kind = KVMMEM_FLUSH_ALL, .moved = true }, KVMMEM_CAUSE_TAG },
		{ { .kind = KVMMEM_FLUSH_ALL, .moved = true,
		    .asker = KVMMEM_ASKER_GUEST }, KVMMEM_CAUSE_TAG },
		{ { .kind = KVMMEM_FLUSH_ALL }, KVMMEM_CAUSE_OTHER },
		{ { .kind = KVMMEM_FLUSH_ALL, .migrated = true }, KVMMEM_CAUSE_TAG },
		{ { .kind = KVMMEM_FLUSH_ALL, .asker = KVMMEM_ASKER_NESTED },
		  KVMMEM_CAUSE_NESTED },
		/* AMD: nobody else asks for one. */
		{ { .kind = KVMMEM_FLUSH_ALL, .full = KVMMEM_FULL_REMOTE },
		  KVMMEM_CAUSE_REMOTE },
		{ { .kind = KVMMEM_FLUSH_ALL, .full = KVMMEM_FULL_REMOTE, .moved = true,
		    .asker = KVMMEM_ASKER_NESTED }, KVMMEM_CAUSE_REMOTE },
		/* Intel: a move, be it there and back, L2's own VMCS, or a request. */
		{ { .kind = KVMMEM_FLUSH_ALL, .full = KVMMEM_FULL_MOVE, .remote = true,
		    .moved = true }, KVMMEM_CAUSE_REMOTE },
		{ { .kind = KVMMEM_FLUSH_ALL, .full = KVMMEM_FULL_MOVE, .migrated = true },
		  KVMMEM_CAUSE_TAG },
		{ { .kind = KVMMEM_FLUSH_ALL, .full = KVMMEM_FULL_MOVE, .moved = true,
		    .switched = true }, KVMMEM_CAUSE_TAG },
		{ { .kind = KVMMEM_FLUSH_ALL, .full = KVMMEM_FULL_MOVE, .switched = true },
		  KVMMEM_CAUSE_NESTED },
		{ { .kind = KVMMEM_FLUSH_ALL, .full = KVMMEM_FULL_MOVE, .migrated = true,
		    .switched = true }, KVMMEM_CAUSE_NESTED },
		{ { .kind = KVMMEM_FLUSH_ALL, .full = KVMMEM_FULL_MOVE, .stayed = true },
		  KVMMEM_CAUSE_REMOTE },
		{ { .kind = KVMMEM_FLUSH_ALL, .full = KVMMEM_FULL_MOVE },
		  KVMMEM_CAUSE_OTHER },
		/* The guest's translations: whoever has a reason to ask. */
		{ { .kind = KVMMEM_FLUSH_GUEST, .asker = KVMMEM_ASKER_GUEST },
		  KVMMEM_CAUSE_GUEST },
		{ { .kind = KVMMEM_FLUSH_GUEST, .pv = true }, KVMMEM_CAUSE_GUEST },
		{ { .kind = KVMMEM_FLUSH_GUEST, .pv = true, .switched = true,
		    .asker = KVMMEM_ASKER_NESTED }, KVMMEM_CAUSE_GUEST },
		{ { .kind = KVMMEM_FLUSH_GUEST, .hyperv = true }, KVMMEM_CAUSE_GUEST },
		{ { .kind = KVMMEM_FLUSH_GUEST, .asker = KVMMEM_ASKER_NESTED },
		  KVMMEM_CAUSE_NESTED },
		{ { .kind = KVMMEM_FLUSH_GUEST, .switched = true,
		    .asker = KVMMEM_ASKER_GUEST }, KVMMEM_CAUSE_NESTED },
		/* A remote flush is never asked for by this kind. */
		{ { .kind = KVMMEM_FLUSH_GUEST, .remote = true }, KVMMEM_CAUSE_OTHER },
		{ { .kind = KVMMEM_FLUSH_GUEST, .moved = true }, KVMMEM_CAUSE_OTHER },
		{ { .kind = KVMMEM_FLUSH_GUEST }, KVMMEM_CAUSE_OTHER },
		/* The current context. */
		{ { .kind = KVMMEM_FLUSH_CURRENT, .asker = KVMMEM_ASKER_GUEST },
		  KVMMEM_CAUSE_GUEST },
		{ { .kind = KVMMEM_FLUSH_CURRENT, .switched = true }, KVMMEM_CAUSE_NESTED },
		{ { .kind = KVMMEM_FLUSH_CURRENT, .hyperv = true }, KVMMEM_CAUSE_OTHER },
		{ { .kind = KVMMEM_FLUSH_CURRENT, .remote = true }, KVMMEM_CAUSE_OTHER },
		/* One function for all. */
		{ { .kind = KVMMEM_FLUSH_ANY, .remote = true }, KVMMEM_CAUSE_REMOTE },
		{ { .kind = KVMMEM_FLUSH_ANY, .asker = KVMMEM_ASKER_GUEST },
		  KVMMEM_CAUSE_GUEST },
		{ { .kind = KVMMEM_FLUSH_ANY, .pv = true }, KVMMEM_CAUSE_GUEST },
		{ { .kind = KVMMEM_FLUSH_ANY, .asker = KVMMEM_ASKER_NESTED },
		  KVMMEM_CAUSE_NESTED },
		{ { .kind = KVMMEM_FLUSH_ANY, .moved = true }, KVMMEM_CAUSE_OTHER },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		KUNIT_EXPECT_EQ_MSG(test, kvmmem_flush_cause(&cases[i].signs), cases[i].cause,
				    "case %d", i);
}

static void exits_that_ask_on_intel(struct kunit *test)
{
	u32 reason, guest = 0, nested = 0;

	for (reason = 0; reason < 80; reason++) {
		/* The high bits of the field do not matter. */
		KUNIT_EXPECT_EQ(test, kvmmem_asker_vmx(reason),
				kvmmem_asker_vmx(reason | BIT(31) | BIT(27)));
		guest += kvmmem_asker_vmx(reason) == KVMMEM_ASKER_GUEST;
		nested += kvmmem_asker_vmx(reason) == KVMMEM_ASKER_NESTED;
	}
	KUNIT_EXPECT_EQ(test, guest, 4);
	KUNIT_EXPECT_EQ(test, nested, 8);
	KUNIT_EXPECT_EQ(test, kvmmem_asker_vmx(28), KVMMEM_ASKER_GUEST);	/* CR access */
	KUNIT_EXPECT_EQ(test, kvmmem_asker_vmx(58), KVMMEM_ASKER_GUEST);	/* INVPCID */
	KUNIT_EXPECT_EQ(test, kvmmem_asker_vmx(50), KVMMEM_ASKER_NESTED);	/* INVEPT */
	KUNIT_EXPECT_EQ(test, kvmmem_asker_vmx(48), KVMMEM_ASKER_NOBODY);	/* violation */
	KUNIT_EXPECT_EQ(test, kvmmem_asker_vmx(30), KVMMEM_ASKER_NOBODY);	/* I/O */
}

static void exits_that_ask_on_amd(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, kvmmem_asker_svm(0x10), KVMMEM_ASKER_GUEST);	/* CR0 */
	KUNIT_EXPECT_EQ(test, kvmmem_asker_svm(0x13), KVMMEM_ASKER_GUEST);	/* CR3 */
	KUNIT_EXPECT_EQ(test, kvmmem_asker_svm(0x14), KVMMEM_ASKER_GUEST);	/* CR4 */
	KUNIT_EXPECT_EQ(test, kvmmem_asker_svm(0x81), KVMMEM_ASKER_GUEST);	/* VMMCALL */
	KUNIT_EXPECT_EQ(test, kvmmem_asker_svm(0x80), KVMMEM_ASKER_NESTED);	/* VMRUN */
	KUNIT_EXPECT_EQ(test, kvmmem_asker_svm(0x7b), KVMMEM_ASKER_NOBODY);	/* I/O */
	KUNIT_EXPECT_EQ(test, kvmmem_asker_svm(0x400), KVMMEM_ASKER_NOBODY);	/* NPF */
	KUNIT_EXPECT_EQ(test, kvmmem_asker_svm(~0ULL), KVMMEM_ASKER_NOBODY);	/* invalid */
}

static struct kunit_case flush_cases[] = {
	KUNIT_CASE(one_flush_has_one_cause),
	KUNIT_CASE(exits_that_ask_on_intel),
	KUNIT_CASE(exits_that_ask_on_amd),
	{}
};

static struct kunit_suite flush_suite = {
	.name = "kvmmem-flush",
	.test_cases = flush_cases,
};

kunit_test_suite(flush_suite);
