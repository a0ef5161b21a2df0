/* SPDX-License-Identifier: GPL-2.0 */
/* KSM is asked about folios */
static bool test_folio_ksm(struct page *page)
{
	return folio_test_ksm(page_folio(page));
}
