// SPDX-License-Identifier: GPL-2.0
#include <kunit/test.h>

#include "decode/value.h"
#include "show/host.h"

static void brackets(struct kunit *test)
{
	char word[KVMMEM_WORD_LEN] = "before";

	KUNIT_EXPECT_TRUE(test, kvmmem_pick_bracketed("always [madvise] never\n", word,
						      sizeof(word)));
	KUNIT_EXPECT_STREQ(test, word, "madvise");
	KUNIT_EXPECT_TRUE(test, kvmmem_pick_bracketed("[always] madvise never", word,
						      sizeof(word)));
	KUNIT_EXPECT_STREQ(test, word, "always");

	KUNIT_EXPECT_FALSE(test, kvmmem_pick_bracketed("always", word, sizeof(word)));
	KUNIT_EXPECT_FALSE(test, kvmmem_pick_bracketed("[]", word, sizeof(word)));
	KUNIT_EXPECT_FALSE(test, kvmmem_pick_bracketed("[never", word, sizeof(word)));
	KUNIT_EXPECT_FALSE(test, kvmmem_pick_bracketed("", word, sizeof(word)));
	KUNIT_EXPECT_FALSE(test, kvmmem_pick_bracketed("[a-word-that-is-too-long]", word,
						       sizeof(word)));
	KUNIT_EXPECT_STREQ(test, word, "always");
}

static void fields(struct kunit *test)
{
	static const char text[] =
		"MemTotal:        1024 kB\n"
		"SwapCached:         1 kB\n"
		"SwapTotal:     2048000 kB\n"
		"Odd:\n"
		"SwapFree:            0 kB\n";
	u64 value;

	KUNIT_EXPECT_TRUE(test, kvmmem_pick_field(text, "SwapTotal:", &value));
	KUNIT_EXPECT_EQ(test, value, 2048000ULL);
	KUNIT_EXPECT_TRUE(test, kvmmem_pick_field(text, "SwapFree:", &value));
	KUNIT_EXPECT_EQ(test, value, 0ULL);
	KUNIT_EXPECT_TRUE(test, kvmmem_pick_field(text, "MemTotal:", &value));
	KUNIT_EXPECT_EQ(test, value, 1024ULL);
	KUNIT_EXPECT_FALSE(test, kvmmem_pick_field(text, "Total:", &value));
	KUNIT_EXPECT_FALSE(test, kvmmem_pick_field(text, "Absent:", &value));
	KUNIT_EXPECT_FALSE(test, kvmmem_pick_field("", "SwapFree:", &value));
}

static struct kunit_case host_cases[] = {
	KUNIT_CASE(brackets),
	KUNIT_CASE(fields),
	{}
};

static struct kunit_suite host_suite = {
	.name = "kvmmem-host",
	.test_cases = host_cases,
};

kunit_test_suite(host_suite);
