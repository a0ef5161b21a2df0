/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What of the host's page tables depends on a kernel version.
 */
#ifndef _KVMMEM_COMPAT_HOSTPAGE_H
#define _KVMMEM_COMPAT_HOSTPAGE_H

#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/xarray.h>

/* What an entry of the host's page tables that is not present stands for. */
enum kvmmem_absent {
	KVMMEM_ABSENT_NOTHING,
	KVMMEM_ABSENT_SWAP,	/* a page in swap */
	KVMMEM_ABSENT_PAGE,	/* a page in memory, being migrated for instance */
	KVMMEM_ABSENT_POISON,	/* a page in memory that has failed */
};

/**
 * kvmmem_absent - sort an entry of the host's page tables that is not present
 * @pte: neither none nor present; a PMD or PUD in a PTE's clothes is fine, the
 *	bits of such entries are the same on x86
 * @pfn: the page frame when the result is KVMMEM_ABSENT_PAGE or _POISON
 *
 * Return: what it is.
 */
static inline enum kvmmem_absent kvmmem_absent(pte_t pte, unsigned long *pfn)
{
#ifdef KVMMEM_HAVE_SOFTLEAF
	softleaf_t entry = softleaf_from_pte(pte);

	if (softleaf_is_swap(entry))
		return KVMMEM_ABSENT_SWAP;
	if (!softleaf_has_pfn(entry))
		return KVMMEM_ABSENT_NOTHING;
	*pfn = softleaf_to_pfn(entry);
	return softleaf_is_hwpoison(entry) ? KVMMEM_ABSENT_POISON : KVMMEM_ABSENT_PAGE;
#else
	swp_entry_t entry = pte_to_swp_entry(pte);

	if (!non_swap_entry(entry))
		return KVMMEM_ABSENT_SWAP;
#ifdef KVMMEM_HAVE_SWP_OFFSET_PFN
	if (!is_pfn_swap_entry(entry) && !is_hwpoison_entry(entry))
		return KVMMEM_ABSENT_NOTHING;
	/* Not swp_offset_pfn(), which some kernels let not have those of failed pages. */
	*pfn = swp_offset(entry) & SWP_PFN_MASK;
#else
	if (!is_migration_entry(entry) && !is_device_private_entry(entry) &&
	    !is_hwpoison_entry(entry))
		return KVMMEM_ABSENT_NOTHING;
	*pfn = swp_offset(entry);
#endif
	return is_hwpoison_entry(entry) ? KVMMEM_ABSENT_POISON : KVMMEM_ABSENT_PAGE;
#endif
}

/**
 * kvmmem_pud_is_there - does a PUD map or lead to something?
 * @pud: not none
 *
 * pud_present() and pud_leaf() do not know those that PROT_NONE hides from the processor,
 * as pmd_present() and pmd_leaf() do.
 *
 * Return: true if it does; one that is not pud_present() maps a page.
 */
static inline bool kvmmem_pud_is_there(pud_t pud)
{
	return pud_present(pud) || pte_present(__pte(pud_val(pud)));
}

/**
 * kvmmem_page_is_anon - is a page anonymous memory?
 * @page: any page, a reference is not needed
 *
 * Return: true if it is.
 */
static inline bool kvmmem_page_is_anon(struct page *page)
{
	return PageAnon(page);
}

/**
 * kvmmem_page_node - on which NUMA node is a page?
 * @page: any page, a reference is not needed
 *
 * The node is among the page's flags, which others set and clear meanwhile: page_to_nid()
 * reads all of them, and looks at bits that never change.
 *
 * Return: the node's number.
 */
static inline int kvmmem_page_node(struct page *page)
{
	return data_race(page_to_nid(page));	/* as said above */
}

/**
 * kvmmem_page_is_ksm - is a page merged by KSM?
 * @page: any page, a reference is not needed
 *
 * Return: true if it is.
 */
static inline bool kvmmem_page_is_ksm(struct page *page)
{
#ifdef KVMMEM_HAVE_FOLIO_KSM
	return folio_test_ksm(page_folio(page));
#else
	return PageKsm(page);
#endif
}

/**
 * kvmmem_xas_pages - pages that the entry at an XArray cursor stands for
 * @xas: the cursor
 *
 * Return: how many.
 */
static inline unsigned long kvmmem_xas_pages(struct xa_state *xas)
{
#ifdef KVMMEM_HAVE_XAS_ORDER
	return 1UL << xas_get_order(xas);
#else
	return 1;	/* large folios are split before they go to swap */
#endif
}

/**
 * kvmmem_xas_cost - what it took to come from one place of a file to another
 * @from: where the search began
 * @to: where it found an entry, at or behind @from
 *
 * A search looks at each empty slot on its way, in a node of each level up and down again.
 * Eight of them take as long as an entry, some 100 instructions.
 *
 * Return: in entries, among them the one that was found.
 */
static inline unsigned int kvmmem_xas_cost(pgoff_t from, pgoff_t to)
{
	unsigned int cost = 1;

	for (; (from ^ to) >> XA_CHUNK_SHIFT; from >>= XA_CHUNK_SHIFT, to >>= XA_CHUNK_SHIFT)
		cost += 2 * XA_CHUNK_SIZE / 8;
	return cost + (to - from) / 8;
}

#endif /* _KVMMEM_COMPAT_HOSTPAGE_H */
