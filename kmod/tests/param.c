// SPDX-License-Identifier: GPL-2.0
/*
 * Parameters that exist at load only, with whatever somebody may write there.
 */
#include <kunit/test.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "decode/param.h"

#define INPUTS		100000
#define BEFORE		0444U		/* good for all of them */

/* The same inputs each time. */
static u32 next_input(u32 *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* Numbers about the bounds, in several bases, with this and that at their ends; or anything. */
static void make_input(u32 *seed, char *text, size_t size)
{
	static const char *const forms[] = {
		"%llu", "0%llo", "0x%llx", "-%llu", "+%llu", " %llu", "%llu ", "%llu\n", "%llu\n\n",
		"%llux", "%llu.0", "0b%llu", "%llu,1", "99999999999%llu",
	};
	static const u64 about[] = {
		0, 1, 100, 0400, 0444, 3600000, 65536, U16_MAX, S32_MAX, U32_MAX, U64_MAX,
	};
	unsigned int len, i;
	u64 number;

	if (next_input(seed) % 4) {
		number = about[next_input(seed) % ARRAY_SIZE(about)] + next_input(seed) % 5 - 2;
		snprintf(text, size, forms[next_input(seed) % ARRAY_SIZE(forms)], number);
		return;
	}
	len = next_input(seed) % size;
	for (i = 0; i < len; i++)
		text[i] = 1 + next_input(seed) % 255;
	text[len] = '\0';
}

static bool count_is_good(unsigned int n)
{
	return n >= 1 && n <= 65536;
}

static bool percent_is_good(unsigned int n)
{
	return n >= 1 && n <= 100;
}

static bool ms_is_good(unsigned int n)
{
	return n <= 3600000;
}

static bool mode_is_good(unsigned int n)
{
	return !(n & ~0444) && (n & 0400);
}

static void inputs_are_judged(struct kunit *test)
{
	static const struct {
		const struct kernel_param_ops *ops;
		bool (*is_good)(unsigned int n);
		unsigned int before;
	} kinds[] = {
		{ &kvmmem_param_count_ops, count_is_good, BEFORE },
		{ &kvmmem_param_percent_ops, percent_is_good, 99 },
		{ &kvmmem_param_ms_ops, ms_is_good, BEFORE },
		{ &kvmmem_param_mode_ops, mode_is_good, BEFORE },
	};
	unsigned int kind, i, taken, wrong, value;
	struct kernel_param kp = { .arg = &value };
	u32 seed = 1;
	char text[48];
	int err;

	for (kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
		taken = 0;
		wrong = 0;
		for (i = 0; i < INPUTS; i++) {
			make_input(&seed, text, sizeof(text));
			value = kinds[kind].before;
			err = kinds[kind].ops->set(text, &kp);
			taken += !err;
			if (!err)
				wrong += !kinds[kind].is_good(value);
			else
				wrong += value != kinds[kind].before ||
					 (err != -EINVAL && err != -ERANGE);
		}
		KUNIT_EXPECT_EQ(test, wrong, 0U);
		/* Of modes four are good. */
		KUNIT_EXPECT_GT(test, taken, INPUTS / 1000U);
		KUNIT_EXPECT_LT(test, taken, INPUTS / 2U);
	}
}

static struct kunit_case param_cases[] = {
	KUNIT_CASE(inputs_are_judged),
	{}
};

static struct kunit_suite param_suite = {
	.name = "kvmmem-param",
	.test_cases = param_cases,
};

kunit_test_suite(param_suite);
