// SPDX-License-Identifier: GPL-2.0
#include <kunit/test.h>
#include <linux/mman.h>
#include <linux/slab.h>
#include <linux/userfaultfd.h>

#include "compat/taker.h"
#include "decode/inval.h"
#include "decode/ranges.h"
#include "decode/sketch.h"

struct inval_case {
	struct kvmmem_taker taker;
	enum kvmmem_inval wanted;
};

#define OWN_CALL(_event, _nr, ...)						\
	{ .event = MMU_NOTIFY_##_event, .pages = 1, .own = true, .syscall = (_nr),	\
	  .arg = { __VA_ARGS__ } }
#define OTHER_CALL(_event, _pages, _nr, ...)					\
	{ .event = MMU_NOTIFY_##_event, .pages = (_pages), .syscall = (_nr),	\
	  .arg = { __VA_ARGS__ } }
#define BY_THREAD(_thread, _reclaiming, _compacting)				\
	{ .event = MMU_NOTIFY_CLEAR, .pages = 1, .syscall = KVMMEM_NO_SYSCALL,	\
	  .thread = KVMMEM_THREAD_##_thread, .reclaiming = (_reclaiming),	\
	  .compacting = (_compacting) }

static const struct inval_case inval_takers[] = {
	{ OWN_CALL(CLEAR, __NR_madvise, 0, MADV_DONTNEED), KVMMEM_INVAL_DISCARD },
	{ OWN_CALL(CLEAR, __NR_madvise, 0, MADV_FREE), KVMMEM_INVAL_DISCARD },
	{ OWN_CALL(CLEAR, __NR_madvise, 0, MADV_PAGEOUT), KVMMEM_INVAL_RECLAIM },
	{ OWN_CALL(CLEAR, __NR_madvise, 0, 25), KVMMEM_INVAL_THP },
	{ OWN_CALL(CLEAR, __NR_madvise, 0, MADV_UNMERGEABLE), KVMMEM_INVAL_KSM },
	{ OWN_CALL(CLEAR, __NR_madvise, 0, MADV_WILLNEED), KVMMEM_INVAL_OTHER },
	{ OWN_CALL(UNMAP, __NR_munmap), KVMMEM_INVAL_UNMAP },
	{ OWN_CALL(UNMAP, __NR_mremap), KVMMEM_INVAL_UNMAP },
	{ OWN_CALL(CLEAR, __NR_munmap), KVMMEM_INVAL_UNMAP },
	{ OWN_CALL(CLEAR, __NR_mbind), KVMMEM_INVAL_MIGRATE },
	{ OWN_CALL(CLEAR, __NR_ioctl, KVM_RUN), KVMMEM_INVAL_IN_RUN },
	{ OWN_CALL(CLEAR, __NR_ioctl, UFFDIO_COPY), KVMMEM_INVAL_PROTECT },
	{ OWN_CALL(CLEAR, KVMMEM_NO_SYSCALL), KVMMEM_INVAL_OTHER },
	{ OWN_CALL(CLEAR, __NR_read), KVMMEM_INVAL_OTHER },
	{ OWN_CALL(PROTECTION_VMA, __NR_mprotect), KVMMEM_INVAL_PROTECT },
	{ OWN_CALL(PROTECTION_VMA, __NR_ioctl, UFFDIO_WRITEPROTECT), KVMMEM_INVAL_PROTECT },
	{ OWN_CALL(PROTECTION_VMA, __NR_close), KVMMEM_INVAL_PROTECT },
	{ OWN_CALL(PROTECTION_VMA, __NR_ioctl, _IOWR('f', 16, u64)), KVMMEM_INVAL_PROTECT },
	{ OWN_CALL(PROTECTION_VMA, __NR_ioctl, KVM_RUN), KVMMEM_INVAL_NUMA_SCAN },
	{ OWN_CALL(PROTECTION_VMA, KVMMEM_NO_SYSCALL), KVMMEM_INVAL_NUMA_SCAN },
	{ OWN_CALL(PROTECTION_PAGE, __NR_clone), KVMMEM_INVAL_FORK },
	{ OWN_CALL(PROTECTION_PAGE, __NR_clone3), KVMMEM_INVAL_FORK },
	{ OWN_CALL(PROTECTION_PAGE, __NR_fsync), KVMMEM_INVAL_PROTECT },
	{ OWN_CALL(SOFT_DIRTY, __NR_write), KVMMEM_INVAL_PROTECT },
	{ OWN_CALL(MIGRATE, __NR_ioctl), KVMMEM_INVAL_MIGRATE },
	{ OWN_CALL(RELEASE, __NR_exit), KVMMEM_INVAL_OTHER },
	{ OTHER_CALL(CLEAR, 1, __NR_process_madvise, 0, 0, MADV_PAGEOUT), KVMMEM_INVAL_RECLAIM },
	{ OTHER_CALL(CLEAR, 1, __NR_process_madvise, 0, 0, MADV_DONTNEED), KVMMEM_INVAL_DISCARD },
	{ OTHER_CALL(CLEAR, 9, __NR_fallocate), KVMMEM_INVAL_DISCARD },
	{ OTHER_CALL(CLEAR, 1, __NR_move_pages), KVMMEM_INVAL_MIGRATE },
	{ OTHER_CALL(CLEAR, 1, __NR_write), KVMMEM_INVAL_MIGRATE },
	{ OTHER_CALL(CLEAR, 512, __NR_write), KVMMEM_INVAL_THP },
	{ OTHER_CALL(CLEAR, 1, __NR_ioctl, KVM_RUN), KVMMEM_INVAL_OTHER },
	{ OTHER_CALL(PROTECTION_VMA, 1, __NR_ioctl, UFFDIO_WRITEPROTECT), KVMMEM_INVAL_PROTECT },
	{ OTHER_CALL(UNMAP, 1, __NR_write), KVMMEM_INVAL_OTHER },
	{ BY_THREAD(KSM, false, false), KVMMEM_INVAL_KSM },
	{ BY_THREAD(KHUGEPAGED, false, false), KVMMEM_INVAL_THP },
	{ BY_THREAD(KCOMPACTD, false, false), KVMMEM_INVAL_MIGRATE },
	{ BY_THREAD(KERNEL, false, false), KVMMEM_INVAL_OTHER },
	{ BY_THREAD(KERNEL, true, false), KVMMEM_INVAL_RECLAIM },
	{ BY_THREAD(KHUGEPAGED, true, false), KVMMEM_INVAL_RECLAIM },
	{ BY_THREAD(KHUGEPAGED, true, true), KVMMEM_INVAL_MIGRATE },
	{ BY_THREAD(USER, true, false), KVMMEM_INVAL_RECLAIM },
	{ BY_THREAD(USER, true, true), KVMMEM_INVAL_MIGRATE },
};

static void initiators(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(inval_takers); i++)
		KUNIT_EXPECT_EQ_MSG(test, (int)kvmmem_decode_inval(&inval_takers[i].taker),
				    (int)inval_takers[i].wanted, "taker %u", i);
}

#define MAX	12
#define AT(n)	((unsigned long)(n) << PAGE_SHIFT)

static struct kvmmem_ranges *inval_ranges(struct kunit *test)
{
	struct kvmmem_ranges *ranges;

	ranges = kunit_kzalloc(test, struct_size(ranges, at, MAX), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ranges);
	return ranges;
}

static u64 inval_pages(struct kvmmem_ranges *ranges, unsigned long start, unsigned long end)
{
	u64 pages;

	return kvmmem_ranges_hit(ranges, start, end, &pages) ? pages : 0;
}

static void slots_merge(struct kunit *test)
{
	struct kvmmem_ranges *ranges = inval_ranges(test);

	/* One that goes on in both, one only in the process, one in front, one across. */
	KUNIT_EXPECT_EQ(test, kvmmem_ranges_put(ranges, MAX, AT(100), 10, 0), 1);
	KUNIT_EXPECT_EQ(test, kvmmem_ranges_put(ranges, MAX, AT(110), 10, 10), 1);
	KUNIT_EXPECT_EQ(test, kvmmem_ranges_put(ranges, MAX, AT(120), 10, 50), 2);
	KUNIT_EXPECT_EQ(test, kvmmem_ranges_put(ranges, MAX, AT(20), 5, 100), 3);
	KUNIT_EXPECT_EQ(test, kvmmem_ranges_put(ranges, MAX, AT(125), 10, 200), 4);
	KUNIT_EXPECT_EQ(test, kvmmem_ranges_put(ranges, MAX, AT(105), 5, 300), 5);
	kvmmem_ranges_finish(ranges);
	KUNIT_ASSERT_EQ(test, ranges->nr, 4);
	KUNIT_EXPECT_EQ(test, ranges->at[0].start, AT(20));
	KUNIT_EXPECT_EQ(test, ranges->at[3].start, AT(130));
	KUNIT_EXPECT_EQ(test, ranges->at[3].gfn, 205ULL);
	KUNIT_EXPECT_EQ(test, ranges->at[3].before, 35ULL);
	KUNIT_EXPECT_EQ(test, ranges->largest.start, AT(100));
	KUNIT_EXPECT_EQ(test, inval_pages(ranges, 0, ~0UL), 40ULL);
}

static void slots_too_many(struct kunit *test)
{
	struct kvmmem_ranges *ranges = inval_ranges(test);
	unsigned int i;

	for (i = 0; i < MAX; i++)
		KUNIT_EXPECT_EQ(test, kvmmem_ranges_put(ranges, MAX, AT(10 * i), 1, i), i + 1);
	KUNIT_EXPECT_EQ(test, kvmmem_ranges_put(ranges, MAX, AT(1000), 1, 99), 0);
}

/* Every range of a small address space, compared with looking at each page. */
static void slots_every_range(struct kunit *test)
{
	static const bool there[24] = { [2] = 1, 1, 1, [8] = 1, [10] = 1, 1, [16] = 1, 1, 1, 1 };
	struct kvmmem_ranges *ranges = inval_ranges(test);
	unsigned int i, start, end, wanted;

	for (i = ARRAY_SIZE(there); i--;)
		if (there[i])
			kvmmem_ranges_put(ranges, MAX, AT(i), 1, 1000 - 7 * i);
	kvmmem_ranges_finish(ranges);
	for (start = 0; start < ARRAY_SIZE(there); start++)
		for (wanted = 0, end = start; end < ARRAY_SIZE(there); end++) {
			wanted += there[end];
			KUNIT_EXPECT_EQ_MSG(test, inval_pages(ranges, AT(start), AT(end + 1)),
					    (u64)wanted, "%u to %u", start, end);
		}
}

static void no_slots(struct kunit *test)
{
	struct kvmmem_ranges *ranges = inval_ranges(test);

	kvmmem_ranges_finish(ranges);
	KUNIT_EXPECT_EQ(test, inval_pages(ranges, 0, ~0UL), 0ULL);
}

#define NOW	1000000

static struct kvmmem_sketch *inval_sketch(struct kunit *test)
{
	struct kvmmem_sketch *sketch = kunit_kzalloc(test, sizeof(*sketch), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, sketch);
	for (i = 0; i < 2; i++) {
		sketch->bits[i] = kunit_kzalloc(test, KVMMEM_SKETCH_BITS / 8, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, sketch->bits[i]);
	}
	sketch->begun = NOW - 100 * KVMMEM_SKETCH_TICKS;
	return sketch;
}

/* Of 10,000 pages that were not put in, those that seem to be in it. */
static unsigned int inval_mistaken(struct kvmmem_sketch *sketch, u32 now)
{
	unsigned int i, n = 0;

	for (i = 0; i < 10000; i++)
		n += kvmmem_sketch_has(sketch, 0x10000000ULL + 7 * i, now);
	return n;
}

static void sketch_errors(struct kunit *test)
{
	/* Documentation/invalidations.rst: 0.4, 1.6 and 25 percent; and some chance. */
	static const struct {
		unsigned int pieces, most;
	} steps[] = { { 128, 80 }, { 256, 220 }, { KVMMEM_SKETCH_PIECES, 2500 } };
	unsigned int step, i;

	for (step = 0; step < ARRAY_SIZE(steps); step++) {
		struct kvmmem_sketch *sketch = inval_sketch(test);

		for (i = 0; i < steps[step].pieces; i++)
			kvmmem_sketch_put(sketch, 17 * i + 3, 1, NOW);
		for (i = 0; i < steps[step].pieces; i++)
			KUNIT_EXPECT_TRUE(test, kvmmem_sketch_has(sketch, 17 * i + 3, NOW));
		KUNIT_EXPECT_LT(test, inval_mistaken(sketch, NOW), steps[step].most);
	}
}

static void sketch_forgets(struct kunit *test)
{
	struct kvmmem_sketch *sketch = inval_sketch(test);
	u32 tick = KVMMEM_SKETCH_TICKS;

	KUNIT_EXPECT_TRUE(test, kvmmem_sketch_is_old(sketch, NOW));
	kvmmem_sketch_put(sketch, 5, 1, NOW);
	kvmmem_sketch_put(sketch, 6, 1, NOW + tick);
	KUNIT_EXPECT_TRUE(test, kvmmem_sketch_has(sketch, 5, NOW + 2 * tick));
	/* The other filter's turn: both are known, then only the later one. */
	kvmmem_sketch_put(sketch, 7, 1, NOW + tick + 1);
	KUNIT_EXPECT_TRUE(test, kvmmem_sketch_has(sketch, 5, NOW + 2 * tick + 1));
	KUNIT_EXPECT_TRUE(test, kvmmem_sketch_has(sketch, 7, NOW + 2 * tick + 1));
	KUNIT_EXPECT_FALSE(test, kvmmem_sketch_has(sketch, 5, NOW + 2 * tick + 2));
	KUNIT_EXPECT_TRUE(test, kvmmem_sketch_has(sketch, 7, NOW + 3 * tick + 1));
	KUNIT_EXPECT_FALSE(test, kvmmem_sketch_has(sketch, 7, NOW + 3 * tick + 2));
	KUNIT_EXPECT_TRUE(test, kvmmem_sketch_is_old(sketch, NOW + 3 * tick + 2));
	/* After a long time nothing of before comes back. */
	kvmmem_sketch_put(sketch, 8, 1, NOW + 9 * tick);
	KUNIT_EXPECT_FALSE(test, kvmmem_sketch_has(sketch, 5, NOW + 9 * tick));
	KUNIT_EXPECT_FALSE(test, kvmmem_sketch_has(sketch, 7, NOW + 9 * tick));
}

/* Whoever was held up with an old time in his hands begins nothing, and clears nothing. */
static void sketch_late(struct kunit *test)
{
	struct kvmmem_sketch *sketch = inval_sketch(test);
	u32 tick = KVMMEM_SKETCH_TICKS, turn;

	kvmmem_sketch_put(sketch, 5, 1, NOW);
	kvmmem_sketch_put(sketch, 6, 1, NOW + tick + 1);
	turn = sketch->turn;
	KUNIT_EXPECT_FALSE(test, kvmmem_sketch_put(sketch, 7, 1, NOW + tick));
	KUNIT_EXPECT_FALSE(test, kvmmem_sketch_put(sketch, 8, 1, NOW + 2));
	KUNIT_EXPECT_EQ(test, sketch->turn, turn);
	KUNIT_EXPECT_FALSE(test, kvmmem_sketch_is_old(sketch, NOW + tick));
	KUNIT_EXPECT_TRUE(test, kvmmem_sketch_has(sketch, 5, NOW + tick));
	KUNIT_EXPECT_TRUE(test, kvmmem_sketch_has(sketch, 5, NOW + tick + 1));
	KUNIT_EXPECT_TRUE(test, kvmmem_sketch_has(sketch, 6, NOW + tick + 1));
	KUNIT_EXPECT_TRUE(test, kvmmem_sketch_has(sketch, 7, NOW + tick + 1));
}

static void sketch_ranges(struct kunit *test)
{
	static const struct {
		u64 gfn, pages;
	} ranges[] = {
		{ 0, 1 }, { 0, 4096 }, { 1, 4096 }, { 511, 2 }, { 512, 512 }, { 12345, 67890 },
		{ 3, 1ULL << 24 }, { 0, 1ULL << 27 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		struct kvmmem_sketch *sketch = inval_sketch(test);
		u64 first = ranges[i].gfn, end = first + ranges[i].pages;
		u64 step = max(ranges[i].pages / 1000, 1ULL), gfn;

		kvmmem_sketch_put(sketch, first, ranges[i].pages, NOW);
		KUNIT_EXPECT_LE(test, sketch->pieces, 140U);
		for (gfn = first; gfn < end; gfn += step)
			KUNIT_EXPECT_TRUE(test, kvmmem_sketch_has(sketch, gfn, NOW));
		KUNIT_EXPECT_TRUE(test, kvmmem_sketch_has(sketch, end - 1, NOW));
		KUNIT_EXPECT_FALSE(test, kvmmem_sketch_has(sketch, end, NOW));
		if (first)
			KUNIT_EXPECT_FALSE(test, kvmmem_sketch_has(sketch, first - 1, NOW));
	}
}

/* More than a filter has room for: the last 1,024 are known. */
static void sketch_overflows(struct kunit *test)
{
	struct kvmmem_sketch *sketch = inval_sketch(test);
	unsigned int i;

	for (i = 0; i < 5 * KVMMEM_SKETCH_PIECES; i++)
		kvmmem_sketch_put(sketch, 3 * i, 1, NOW);
	for (i = 4 * KVMMEM_SKETCH_PIECES; i < 5 * KVMMEM_SKETCH_PIECES; i++)
		KUNIT_EXPECT_TRUE(test, kvmmem_sketch_has(sketch, 3 * i, NOW));
	KUNIT_EXPECT_LT(test, inval_mistaken(sketch, NOW), 4400U);	/* of both */
}

static struct kunit_case inval_cases[] = {
	KUNIT_CASE(initiators),
	KUNIT_CASE(slots_merge),
	KUNIT_CASE(slots_too_many),
	KUNIT_CASE(slots_every_range),
	KUNIT_CASE(no_slots),
	KUNIT_CASE(sketch_errors),
	KUNIT_CASE(sketch_forgets),
	KUNIT_CASE(sketch_late),
	KUNIT_CASE(sketch_ranges),
	KUNIT_CASE(sketch_overflows),
	{}
};

static struct kunit_suite inval_suite = {
	.name = "kvmmem-inval",
	.test_cases = inval_cases,
};

kunit_test_suite(inval_suite);
