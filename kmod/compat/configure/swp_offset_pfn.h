/* SPDX-License-Identifier: GPL-2.0 */
/* an entry for a page that is not present has its frame in part of its offset */
static unsigned long test_swp_offset_pfn(swp_entry_t entry)
{
	return is_pfn_swap_entry(entry) ? swp_offset_pfn(entry) : 0;
}
