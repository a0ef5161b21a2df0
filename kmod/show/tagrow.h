/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The columns of a tag, the same in /proc/kvmmem and in debugfs.
 */
#ifndef _KVMMEM_TAGROW_H
#define _KVMMEM_TAGROW_H

#include "count/requests.h"
#include "count/tlb.h"
#include "count/tlb_hooks.h"
#include "show/table.h"

/**
 * kvmmem_row_causes - print the causes of the flushes under a tag
 * @row: the row
 * @tag: the tag, or a sum of tags
 * @flushes: all of them
 *
 * Where causes cannot be told apart their columns are unknown and all flushes
 * are other.
 */
static inline void kvmmem_row_causes(struct kvmmem_row *row, const struct kvmmem_tag *tag,
				     u64 flushes)
{
	bool known = kvmmem_tlb_causes_known();
	int i;

	for (i = 0; i < KVMMEM_NR_CAUSES; i++) {
		u64 of_cause = tag->flushes[i];

		if (!known)
			of_cause = i == KVMMEM_CAUSE_OTHER ? flushes : KVMMEM_UNKNOWN;
		else if (i == KVMMEM_CAUSE_REMOTE && !kvmmem_requests_reach_vcpus())
			of_cause = KVMMEM_UNKNOWN;
		kvmmem_row_u64(row, of_cause);
	}
}

/**
 * kvmmem_row_tag - print vpid, entries, flushes, the causes, single, moves, range
 * @row: the row
 * @tag: the tag
 * @range: flushes of address ranges under it
 */
static inline void kvmmem_row_tag(struct kvmmem_row *row, const struct kvmmem_tag *tag,
				  u64 range)
{
	u64 flushes = kvmmem_tag_flushes(tag);

	kvmmem_row_u64(row, tag->tag == KVMMEM_TAG_UNKNOWN ? KVMMEM_UNKNOWN : tag->tag);
	kvmmem_row_u64(row, tag->entries);
	kvmmem_row_u64(row, flushes);
	kvmmem_row_causes(row, tag, flushes);
	kvmmem_row_u64(row, tag->single);
	kvmmem_row_u64(row, tag->moves);
	kvmmem_row_u64(row, range);
}

#endif /* _KVMMEM_TAGROW_H */
