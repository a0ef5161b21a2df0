/* SPDX-License-Identifier: GPL-2.0 */
/* What is not present is a leaf, and mm_inline.h brings what sorts leaves */
static bool test_softleaf(pte_t pte)
{
	return softleaf_has_pfn(softleaf_from_pte(pte));
}
