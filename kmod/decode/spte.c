// SPDX-License-Identifier: GPL-2.0
#include "compat/memory.h"
#include "decode/spte.h"

/**
 * kvmmem_flow_kind - what a change of an entry is to the flow of huge mappings
 * @level: of the entry: 1 is 4K
 * @old: what it was
 * @new: what it is
 *
 * Context: any.
 *
 * Return: the kind; KVMMEM_FLOW_NONE for most.
 */
enum kvmmem_flow kvmmem_flow_kind(int level, u64 old, u64 new)
{
	bool was = old & KVMMEM_SPTE_PRESENT, is = new & KVMMEM_SPTE_PRESENT;
	bool was_huge = was && (old & KVMMEM_SPTE_HUGE), is_huge = is && (new & KVMMEM_SPTE_HUGE);

	/* 2M and 1G; what is above has only tables. */
	if (level < 2 || level > KVMMEM_NR_SIZES)
		return KVMMEM_FLOW_NONE;
	if (was_huge && is_huge)
		return KVMMEM_FLOW_NONE;
	if (was_huge && is)
		return KVMMEM_FLOW_SPLIT;
	if (was_huge)
		return kvmmem_spte_frozen(new) ? KVMMEM_FLOW_FROZEN : KVMMEM_FLOW_ZAPPED;
	if (is_huge)
		return was ? KVMMEM_FLOW_RECOVERED : KVMMEM_FLOW_INSTALLED;
	if (!was && is)
		return KVMMEM_FLOW_LINKED;
	if (was && !is && level == 2)
		return KVMMEM_FLOW_TABLE_ZAPPED;
	return KVMMEM_FLOW_NONE;
}
