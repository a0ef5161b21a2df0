// SPDX-License-Identifier: GPL-2.0
/*
 * Causes of gaps and kinds of flows, over all combinations of their facts; and what the
 * host's page tables hold that is no page to map.
 */
#include <kunit/test.h>
#include <linux/mm.h>

#include "compat/hostpage.h"
#include "compat/memory.h"
#include "decode/gap.h"
#include "decode/spte.h"

#define MB2	512ULL		/* 2M in pages */

static struct kvmmem_region aligned(void)
{
	return (struct kvmmem_region) {
		.gfn = 8 * MB2,
		.hva = (100 * MB2) << 12,
		.base = 4 * MB2,
		.end = 16 * MB2,
	};
}

static void gap_precedence(struct kunit *test)
{
	unsigned int facts;

	for (facts = 0; facts < 16; facts++) {
		struct kvmmem_region region = aligned();
		enum kvmmem_gap want = KVMMEM_GAP_UNKNOWN;

		if (facts & 1) {
			region.nx_left = 3;
			want = KVMMEM_GAP_NX;
		}
		if (facts & 2) {
			region.disallowed = true;
			want = KVMMEM_GAP_WRITE_TRACKED;
		}
		if (facts & 4) {
			region.dirty_log = true;
			want = KVMMEM_GAP_DIRTY_LOG;
		}
		if (facts & 8) {
			region.hva += 4096;
			want = KVMMEM_GAP_MISALIGNED;
		}
		KUNIT_EXPECT_EQ(test, kvmmem_gap_cause(&region), want);
	}
}

static void gap_at_edges(struct kunit *test)
{
	struct kvmmem_region region = aligned();
	u64 off;

	/* Any difference modulo 2M, and none by whole 2M. */
	for (off = 1; off < MB2; off++) {
		region.hva = (100 * MB2 + off) << 12;
		KUNIT_ASSERT_EQ(test, kvmmem_gap_cause(&region), KVMMEM_GAP_MISALIGNED);
	}
	region = aligned();
	region.hva += (7 * MB2) << 12;
	KUNIT_EXPECT_EQ(test, kvmmem_gap_cause(&region), KVMMEM_GAP_UNKNOWN);

	/* The slot begins or ends within the 2M. */
	region = aligned();
	region.base = region.gfn + 1;
	region.gfn++;
	region.hva += 4096;
	KUNIT_EXPECT_EQ(test, kvmmem_gap_cause(&region), KVMMEM_GAP_MISALIGNED);
	region = aligned();
	region.end = region.gfn + MB2 - 1;
	KUNIT_EXPECT_EQ(test, kvmmem_gap_cause(&region), KVMMEM_GAP_MISALIGNED);
	region.end++;
	KUNIT_EXPECT_EQ(test, kvmmem_gap_cause(&region), KVMMEM_GAP_UNKNOWN);
	region.base = region.gfn;
	KUNIT_EXPECT_EQ(test, kvmmem_gap_cause(&region), KVMMEM_GAP_UNKNOWN);
}

#define NOTHING	0ULL
#define MMIO	0x8000000000000006ULL
#define FROZEN	0x5a0ULL
#define TABLE	(KVMMEM_SPTE_PRESENT | 0x1007)
#define HUGE	(KVMMEM_SPTE_PRESENT | 0x200087)

static void flow_every_change(struct kunit *test)
{
	static const u64 entries[] = { NOTHING, MMIO, FROZEN, TABLE, HUGE };
	static const enum kvmmem_flow want[5][5] = {
		[0 ... 2] = { [0 ... 2] = KVMMEM_FLOW_NONE, KVMMEM_FLOW_LINKED,
			      KVMMEM_FLOW_INSTALLED },
		[3] = { [0 ... 2] = KVMMEM_FLOW_TABLE_ZAPPED, KVMMEM_FLOW_NONE,
			KVMMEM_FLOW_RECOVERED },
		[4] = { KVMMEM_FLOW_ZAPPED, KVMMEM_FLOW_FROZEN, KVMMEM_FLOW_FROZEN,
			KVMMEM_FLOW_SPLIT, KVMMEM_FLOW_NONE },
	};
	int old, new;

	for (old = 0; old < ARRAY_SIZE(entries); old++)
		for (new = 0; new < ARRAY_SIZE(entries); new++) {
			KUNIT_EXPECT_EQ(test, kvmmem_flow_kind(2, entries[old], entries[new]),
					want[old][new]);
			KUNIT_EXPECT_EQ(test, kvmmem_flow_kind(1, entries[old], entries[new]),
					KVMMEM_FLOW_NONE);
			KUNIT_EXPECT_EQ(test, kvmmem_flow_kind(4, entries[old], entries[new]),
					KVMMEM_FLOW_NONE);
		}
}

static enum kvmmem_absent absent_of(swp_entry_t entry, unsigned long *pfn)
{
	*pfn = 0;
	return kvmmem_absent(swp_entry_to_pte(entry), pfn);
}

static void entries_without_a_page_to_map(struct kunit *test)
{
	struct page *page = alloc_page(GFP_KERNEL);
	unsigned long pfn;

	KUNIT_ASSERT_NOT_NULL(test, page);
	lock_page(page);	/* the makers of entries want that */
	KUNIT_EXPECT_EQ(test, absent_of(swp_entry(1, 77), &pfn), KVMMEM_ABSENT_SWAP);
	if (IS_ENABLED(CONFIG_MIGRATION)) {
		KUNIT_EXPECT_EQ(test, absent_of(make_readable_migration_entry(page_to_pfn(page)),
						&pfn), KVMMEM_ABSENT_PAGE);
		KUNIT_EXPECT_EQ(test, pfn, page_to_pfn(page));
		KUNIT_EXPECT_EQ(test, absent_of(make_writable_migration_entry(page_to_pfn(page)),
						&pfn), KVMMEM_ABSENT_PAGE);
	}
	if (IS_ENABLED(CONFIG_MEMORY_FAILURE)) {
		KUNIT_EXPECT_EQ(test, absent_of(make_hwpoison_entry(page), &pfn),
				KVMMEM_ABSENT_POISON);
		KUNIT_EXPECT_EQ(test, pfn, page_to_pfn(page));
	}
#ifdef KVMMEM_HAVE_SWP_OFFSET_PFN
	KUNIT_EXPECT_EQ(test, absent_of(make_pte_marker_entry(PTE_MARKER_UFFD_WP), &pfn),
			KVMMEM_ABSENT_NOTHING);
#endif
	unlock_page(page);
	__free_page(page);
}

static struct kunit_case backing_cases[] = {
	KUNIT_CASE(gap_precedence),
	KUNIT_CASE(gap_at_edges),
	KUNIT_CASE(flow_every_change),
	KUNIT_CASE(entries_without_a_page_to_map),
	{}
};

static struct kunit_suite backing_suite = {
	.name = "kvmmem-backing",
	.test_cases = backing_cases,
};

kunit_test_suite(backing_suite);
