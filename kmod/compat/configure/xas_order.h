/* SPDX-License-Identifier: GPL-2.0 */
/* large folios go to swap whole; the cursor knows their order */
static int test_xas_order(struct xa_state *xas)
{
	return xas_get_order(xas);
}
