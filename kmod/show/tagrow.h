/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The columns of a tag, the same in /proc/kvmmem and in debugfs.
 */
#ifndef _KVMMEM_TAGROW_H
#define _KVMMEM_TAGROW_H

#include <linux/string.h>

#include "count/requests.h"
#include "count/tlb.h"
#include "count/tlb_hooks.h"
#include "show/table.h"

/* vpid, entries, flushes, the causes, single, moves, range */
#define KVMMEM_TAG_VALUES	(6 + KVMMEM_NR_CAUSES)

/**
 * kvmmem_tag_causes - the causes of the flushes under a tag
 * @causes: where to, by enum kvmmem_cause
 * @tag: the tag, or a sum of tags
 * @flushes: all of them
 * @is_tdx: of a TDX guest, whose flush functions are others
 *
 * Where causes cannot be told apart they are unknown and all flushes are other.
 */
static inline void kvmmem_tag_causes(u64 *causes, const struct kvmmem_tag *tag, u64 flushes,
				     bool is_tdx)
{
	if (is_tdx || !kvmmem_tlb_causes_known()) {
		memset(causes, 0xff, sizeof(tag->flushes));
		causes[KVMMEM_CAUSE_OTHER] = flushes;
		return;
	}
	memcpy(causes, tag->flushes, sizeof(tag->flushes));
	if (!kvmmem_requests_reach_vcpus())
		causes[KVMMEM_CAUSE_REMOTE] = KVMMEM_UNKNOWN;
}

/**
 * kvmmem_tag_values - what the rows of a tag have in common
 * @values: where to, KVMMEM_TAG_VALUES numbers in the order of the columns
 * @tag: the tag
 * @range: flushes of address ranges under it
 * @is_tdx: it is a TDX guest's
 */
static inline void kvmmem_tag_values(u64 *values, const struct kvmmem_tag *tag, u64 range,
				     bool is_tdx)
{
	u64 flushes = kvmmem_tag_flushes(tag);

	*values++ = tag->tag == KVMMEM_TAG_UNKNOWN ? KVMMEM_UNKNOWN : tag->tag;
	*values++ = tag->entries;
	*values++ = flushes;
	kvmmem_tag_causes(values, tag, flushes, is_tdx);
	values += KVMMEM_NR_CAUSES;
	*values++ = tag->single;
	*values++ = tag->moves;
	*values = range;
}

#endif /* _KVMMEM_TAGROW_H */
