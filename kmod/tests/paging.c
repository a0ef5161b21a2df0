// SPDX-License-Identifier: GPL-2.0
#include <kunit/test.h>
#include <asm/processor-flags.h>

#include "decode/paging.h"
#include "decode/sample.h"

#define PG	X86_CR0_PG
#define NX	BIT_ULL(63)

/* Registers of each mode. */
static const struct kvmmem_regs regs[KVMMEM_NR_PAGINGS] = {
	[KVMMEM_PAGING_NONE] = { .cr4 = X86_CR4_PAE },
	[KVMMEM_PAGING_32] = { .cr0 = PG, .cr4 = X86_CR4_PSE, .efer = 0x800 },
	[KVMMEM_PAGING_PAE] = { .cr0 = PG, .cr4 = X86_CR4_PAE, .efer = 0x800 },
	[KVMMEM_PAGING_4] = { .cr0 = PG, .cr4 = X86_CR4_PAE, .efer = 0xd01 },
	[KVMMEM_PAGING_5] = { .cr0 = PG, .cr4 = X86_CR4_PAE | X86_CR4_LA57, .efer = 0xd01 },
};

static void paging_modes(struct kunit *test)
{
	struct kvmmem_regs early = { .cr0 = PG, .cr4 = X86_CR4_PAE, .efer = 0x100 };
	unsigned int mode;

	for (mode = 0; mode < KVMMEM_NR_PAGINGS; mode++) {
		KUNIT_EXPECT_EQ(test, (unsigned int)kvmmem_paging_of(&regs[mode]), mode);
		KUNIT_EXPECT_EQ(test, kvmmem_paging_levels(mode), mode ? mode + 1 : 0U);
	}
	/* Long mode is enabled, and not active. */
	KUNIT_EXPECT_EQ(test, (unsigned int)kvmmem_paging_of(&early),
			(unsigned int)KVMMEM_PAGING_PAE);
}

static void paging_canonical(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, kvmmem_paging_canonical(KVMMEM_PAGING_4, 0x7fffffffffffULL));
	KUNIT_EXPECT_FALSE(test, kvmmem_paging_canonical(KVMMEM_PAGING_4, 0x800000000000ULL));
	KUNIT_EXPECT_TRUE(test, kvmmem_paging_canonical(KVMMEM_PAGING_4, 0xffff800000000000ULL));
	KUNIT_EXPECT_TRUE(test, kvmmem_paging_canonical(KVMMEM_PAGING_5, 0x800000000000ULL));
	KUNIT_EXPECT_FALSE(test, kvmmem_paging_canonical(KVMMEM_PAGING_5, BIT_ULL(56)));
	KUNIT_EXPECT_TRUE(test, kvmmem_paging_canonical(KVMMEM_PAGING_5, ~0ULL << 56));
	KUNIT_EXPECT_TRUE(test, kvmmem_paging_canonical(KVMMEM_PAGING_32, U32_MAX));
	KUNIT_EXPECT_FALSE(test, kvmmem_paging_canonical(KVMMEM_PAGING_PAE, BIT_ULL(32)));
	KUNIT_EXPECT_FALSE(test, kvmmem_paging_canonical(KVMMEM_PAGING_NONE, U64_MAX));
}

static void paging_roots(struct kunit *test)
{
	/* Flags of caching, PCIDs and LAM are none of the address. */
	KUNIT_EXPECT_EQ(test, kvmmem_paging_root(KVMMEM_PAGING_4, 0xe000000012345fffULL),
			0x12345000ULL);
	KUNIT_EXPECT_EQ(test, kvmmem_paging_root(KVMMEM_PAGING_32, 0xff12345018ULL), 0x12345000ULL);
	KUNIT_EXPECT_EQ(test, kvmmem_paging_root(KVMMEM_PAGING_PAE, 0x123450bfULL), 0x123450a0ULL);
}

static void paging_places(struct kunit *test)
{
	u64 gva = 0xffff880012345678ULL;

	KUNIT_EXPECT_EQ(test, kvmmem_paging_entry_at(KVMMEM_PAGING_4, 4, 0x1000, gva),
			0x1000 + 8 * ((gva >> 39) & 511));
	KUNIT_EXPECT_EQ(test, kvmmem_paging_entry_at(KVMMEM_PAGING_5, 5, 0x1000, gva),
			0x1000 + 8 * ((gva >> 48) & 511));
	KUNIT_EXPECT_EQ(test, kvmmem_paging_entry_at(KVMMEM_PAGING_4, 1, 0x1000, gva),
			0x1000 + 8 * ((gva >> 12) & 511));
	KUNIT_EXPECT_EQ(test, kvmmem_paging_entry_at(KVMMEM_PAGING_32, 2, 0x1000, 0xffc01000),
			0x1000ULL + 4 * 1023);
	KUNIT_EXPECT_EQ(test, kvmmem_paging_entry_at(KVMMEM_PAGING_32, 1, 0x1000, 0xffc01000),
			0x1000ULL + 4);
	KUNIT_EXPECT_EQ(test, kvmmem_paging_entry_at(KVMMEM_PAGING_PAE, 3, 0x20, 0xc0000000),
			0x20ULL + 8 * 3);
}

static void paging_leaves(struct kunit *test)
{
	const struct kvmmem_regs *it = &regs[KVMMEM_PAGING_4];
	struct kvmmem_regs no_pse = regs[KVMMEM_PAGING_32], no_nx = *it;

	KUNIT_EXPECT_TRUE(test, kvmmem_paging_is_leaf(it, KVMMEM_PAGING_4, 1, 1));
	KUNIT_EXPECT_TRUE(test, kvmmem_paging_is_leaf(it, KVMMEM_PAGING_4, 2, 0x81));
	KUNIT_EXPECT_TRUE(test, kvmmem_paging_is_leaf(it, KVMMEM_PAGING_4, 3, 0x81));
	KUNIT_EXPECT_FALSE(test, kvmmem_paging_is_leaf(it, KVMMEM_PAGING_4, 2, 1));
	KUNIT_EXPECT_FALSE(test, kvmmem_paging_is_leaf(it, KVMMEM_PAGING_4, 4, 0x81));
	KUNIT_EXPECT_TRUE(test, kvmmem_paging_is_bad(it, KVMMEM_PAGING_4, 4, 0x81));
	KUNIT_EXPECT_TRUE(test, kvmmem_paging_is_bad(it, KVMMEM_PAGING_PAE, 3, 0x81));
	KUNIT_EXPECT_FALSE(test, kvmmem_paging_is_bad(it, KVMMEM_PAGING_4, 3, 0x81));
	KUNIT_EXPECT_FALSE(test, kvmmem_paging_is_bad(it, KVMMEM_PAGING_4, 1, 0x81)); /* PAT */
	KUNIT_EXPECT_TRUE(test, kvmmem_paging_is_leaf(&regs[KVMMEM_PAGING_32], KVMMEM_PAGING_32,
						      2, 0x81));
	no_nx.efer &= ~BIT_ULL(11);
	KUNIT_EXPECT_TRUE(test, kvmmem_paging_is_bad(&no_nx, KVMMEM_PAGING_4, 1, NX | 1));
	KUNIT_EXPECT_FALSE(test, kvmmem_paging_is_bad(&no_nx, KVMMEM_PAGING_32, 1, 1));
	no_pse.cr4 = 0;
	KUNIT_EXPECT_FALSE(test, kvmmem_paging_is_leaf(&no_pse, KVMMEM_PAGING_32, 2, 0x81));
}

static void paging_targets(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, kvmmem_paging_next(KVMMEM_PAGING_4, 1, NX | 0x12345067, true),
			0x12345000ULL);
	/* The bit of PAT in a large page is none of the address. */
	KUNIT_EXPECT_EQ(test, kvmmem_paging_next(KVMMEM_PAGING_4, 2, 0x123010e7, true),
			0x12200000ULL);
	KUNIT_EXPECT_EQ(test, kvmmem_paging_next(KVMMEM_PAGING_4, 2, 0x12301063, false),
			0x12301000ULL);
	KUNIT_EXPECT_EQ(test, kvmmem_paging_next(KVMMEM_PAGING_4, 3, 0x7fe0010e7ULL, true),
			0x7c0000000ULL);
	KUNIT_EXPECT_EQ(test, kvmmem_paging_next(KVMMEM_PAGING_4, 4, U64_MAX, false),
			0xffffffffff000ULL);
	/* PSE-36. */
	KUNIT_EXPECT_EQ(test, kvmmem_paging_next(KVMMEM_PAGING_32, 2, 0x00c02083, true),
			0x100c00000ULL);
	KUNIT_EXPECT_EQ(test, kvmmem_paging_next(KVMMEM_PAGING_32, 1, 0xfffff067, true),
			0xfffff000ULL);
}

static void paging_flags(struct kunit *test)
{
	char text[KVMMEM_NR_ENTRY_FLAGS + 1];
	const struct kvmmem_regs *it = &regs[KVMMEM_PAGING_4];
	struct kvmmem_regs no_nx = *it;

	kvmmem_entry_flags_text(kvmmem_entry_flags(it, KVMMEM_PAGING_4, 1, 0x67), text);
	KUNIT_EXPECT_STREQ(test, text, "prwxuad-");
	kvmmem_entry_flags_text(kvmmem_entry_flags(it, KVMMEM_PAGING_4, 1, NX | 1), text);
	KUNIT_EXPECT_STREQ(test, text, "pr------");
	/* Dirty means something only where memory is mapped. */
	kvmmem_entry_flags_text(kvmmem_entry_flags(it, KVMMEM_PAGING_4, 2, 0x67), text);
	KUNIT_EXPECT_STREQ(test, text, "prwxua--");
	kvmmem_entry_flags_text(kvmmem_entry_flags(it, KVMMEM_PAGING_4, 2, 0xe3), text);
	KUNIT_EXPECT_STREQ(test, text, "prwx-ads");
	KUNIT_EXPECT_EQ(test, kvmmem_entry_flags(it, KVMMEM_PAGING_4, 1, U64_MAX - 1), 0U);
	no_nx.efer &= ~0x800ULL;
	KUNIT_EXPECT_TRUE(test, kvmmem_entry_flags(&no_nx, KVMMEM_PAGING_4, 1, NX | 1) &
			  KVMMEM_ENTRY_EXEC);
	kvmmem_entry_flags_text(kvmmem_entry_flags(it, KVMMEM_PAGING_PAE, 3, 1), text);
	KUNIT_EXPECT_STREQ(test, text, "prwxu---");
}

static void paging_ept_flags(struct kunit *test)
{
	char text[KVMMEM_NR_ENTRY_FLAGS + 1];

	kvmmem_entry_flags_text(kvmmem_ept_entry_flags(1, 0x307), text);
	KUNIT_EXPECT_STREQ(test, text, "prwx-ad-");
	kvmmem_entry_flags_text(kvmmem_ept_entry_flags(2, 0x387), text);
	KUNIT_EXPECT_STREQ(test, text, "prwx-ads");
	kvmmem_entry_flags_text(kvmmem_ept_entry_flags(2, 0x301), text);
	KUNIT_EXPECT_STREQ(test, text, "pr---a--");
	KUNIT_EXPECT_EQ(test, kvmmem_ept_entry_flags(1, NX | BIT_ULL(11)), 0U);
}

static void sample_errors(struct kunit *test)
{
	u64 same[4] = { 7, 7, 7, 7 }, two[2] = { 0, 200 }, large[2] = { 0, 1ULL << 60 };

	KUNIT_EXPECT_EQ(test, kvmmem_sample_error(same, 4), 0ULL);
	/* sqrt(4 * (100^2 + 100^2) / 2) */
	KUNIT_EXPECT_EQ(test, kvmmem_sample_error(two, 2), 200ULL);
	KUNIT_EXPECT_EQ(test, kvmmem_sample_error(large, 2), 1ULL << 60);
}

static struct kunit_case paging_cases[] = {
	KUNIT_CASE(paging_modes),
	KUNIT_CASE(paging_canonical),
	KUNIT_CASE(paging_roots),
	KUNIT_CASE(paging_places),
	KUNIT_CASE(paging_leaves),
	KUNIT_CASE(paging_targets),
	KUNIT_CASE(paging_flags),
	KUNIT_CASE(paging_ept_flags),
	KUNIT_CASE(sample_errors),
	{}
};

static struct kunit_suite paging_suite = {
	.name = "kvmmem-paging",
	.test_cases = paging_cases,
};

kunit_test_suite(paging_suite);
