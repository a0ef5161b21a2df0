// SPDX-License-Identifier: GPL-2.0
#include <kunit/test.h>

#include "decode/bucket.h"
#include "decode/quantile.h"

static void buckets_meet(struct kunit *test)
{
	unsigned int i;

	KUNIT_EXPECT_EQ(test, kvmmem_latency_from(0), 0ULL);
	KUNIT_EXPECT_EQ(test, kvmmem_latency_from(1), 256ULL);
	for (i = 0; i < KVMMEM_LATENCY_BUCKETS; i++) {
		u64 from = kvmmem_latency_from(i);
		u64 to = kvmmem_latency_from(i + 1);

		KUNIT_EXPECT_EQ(test, kvmmem_latency_bucket(from), i);
		if (to != KVMMEM_UNKNOWN)
			KUNIT_EXPECT_EQ(test, kvmmem_latency_bucket(to - 1), i);
	}
	KUNIT_EXPECT_EQ(test, kvmmem_latency_from(KVMMEM_LATENCY_BUCKETS), KVMMEM_UNKNOWN);
}

static void extreme_times(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, kvmmem_latency_bucket(1), 0);
	KUNIT_EXPECT_EQ(test, kvmmem_latency_bucket(BIT_ULL(30)), KVMMEM_LATENCY_BUCKETS - 1);
	KUNIT_EXPECT_EQ(test, kvmmem_latency_bucket(U64_MAX), KVMMEM_LATENCY_BUCKETS - 1);
}

static void scaling(struct kunit *test)
{
	static const unsigned int khz[] = { 4000, 50000, 999999, 1000000, 2399998, 6000000 };
	int i;

	for (i = 0; i < ARRAY_SIZE(khz); i++) {
		u32 mult = kvmmem_tsc_mult(khz[i]);
		u64 second = khz[i] * 1000ULL;
		u64 day = kvmmem_tsc_to_ns(86400 * second, mult);

		KUNIT_EXPECT_NE(test, mult, 0);
		/* A millionth is more than enough for buckets that double. */
		KUNIT_EXPECT_LT(test, abs((s64)kvmmem_tsc_to_ns(second, mult) - 1000000000LL),
				1000);
		KUNIT_EXPECT_LT(test, abs((s64)day - 86400000000000LL), 86400000LL);
	}
	KUNIT_EXPECT_EQ(test, kvmmem_tsc_to_ns(12345, kvmmem_tsc_mult(1000000)), 12345ULL);
	KUNIT_EXPECT_EQ(test, kvmmem_tsc_to_ns(0, kvmmem_tsc_mult(3000000)), 0ULL);
}

static void no_scaling(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, kvmmem_tsc_mult(0), 0);
	KUNIT_EXPECT_EQ(test, kvmmem_tsc_mult(1000), 0);
}

/* A short time has the bucket that it has by the long way. */
static void short_times(struct kunit *test)
{
	static const unsigned int khz[] = { 50000, 1000000, 2399998, 6000000 };
	unsigned int i, bit;

	for (i = 0; i < ARRAY_SIZE(khz); i++) {
		u32 mult = kvmmem_tsc_mult(khz[i]), most = kvmmem_tsc_short(mult);

		KUNIT_EXPECT_GT(test, most, 0U);
		for (bit = 0; bit < 32; bit++) {
			u32 ticks = min_t(u64, BIT_ULL(bit) + bit, most);
			u64 ns = kvmmem_tsc_to_ns(ticks, mult);

			KUNIT_EXPECT_EQ(test, kvmmem_tsc_short_to_ns(ticks, mult), ns);
			KUNIT_EXPECT_EQ(test, kvmmem_latency_short_bucket(ns),
					(unsigned long)kvmmem_latency_bucket(ns));
		}
		KUNIT_EXPECT_LT(test, kvmmem_latency_bucket(kvmmem_tsc_to_ns(most, mult)),
				KVMMEM_LATENCY_BUCKETS - 1U);
	}
	KUNIT_EXPECT_EQ(test, kvmmem_tsc_short(0), 0U);
}

static void quantiles(struct kunit *test)
{
	u64 buckets[KVMMEM_LATENCY_BUCKETS] = {};

	KUNIT_EXPECT_EQ(test, kvmmem_quantile(buckets, 0, 50, 0), KVMMEM_UNKNOWN);
	/* A hundred evenly in [1024, 2048), and one that took long. */
	buckets[3] = 100;
	KUNIT_EXPECT_EQ(test, kvmmem_quantile(buckets, 100, 50, 5000), 1536ULL);
	KUNIT_EXPECT_EQ(test, kvmmem_quantile(buckets, 100, 99, 5000), 1024ULL + 99 * 1024 / 100);
	KUNIT_EXPECT_EQ(test, kvmmem_quantile(buckets, 100, 100, 5000), 5000ULL);
	/* Nothing took longer than the longest. */
	KUNIT_EXPECT_EQ(test, kvmmem_quantile(buckets, 100, 99, 1100), 1100ULL);
	buckets[KVMMEM_LATENCY_BUCKETS - 1] = 900;
	/* The last one ends with the longest. */
	KUNIT_EXPECT_EQ(test, kvmmem_quantile(buckets, 1000, 55, 10 * BIT_ULL(30)),
			BIT_ULL(30) + 9 * BIT_ULL(30) / 2);
	KUNIT_EXPECT_EQ(test, kvmmem_quantile(buckets, 1000, 55, 1), 1ULL);
}

static struct kunit_case latency_cases[] = {
	KUNIT_CASE(buckets_meet),
	KUNIT_CASE(extreme_times),
	KUNIT_CASE(scaling),
	KUNIT_CASE(no_scaling),
	KUNIT_CASE(short_times),
	KUNIT_CASE(quantiles),
	{}
};

static struct kunit_suite latency_suite = {
	.name = "kvmmem-latency",
	.test_cases = latency_cases,
};

kunit_test_suite(latency_suite);
