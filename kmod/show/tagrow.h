/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The columns of a tag, the same in /proc/kvmmem and in debugfs.
 */
#ifndef _KVMMEM_TAGROW_H
#define _KVMMEM_TAGROW_H

#include <linux/string.h>

#include "count/requests.h"
#include "count/tlb.h"
#include "show/table.h"

/* vpid, entries, flushes, the causes, single, moves, range */
#define KVMMEM_TAG_VALUES	(6 + KVMMEM_NR_CAUSES)

/**
 * kvmmem_tag_causes - the causes of the flushes under a tag
 * @causes: where to, by enum kvmmem_cause
 * @tag: the tag, or a sum of tags
 * @flushes: all of them
 * @known: can they be told apart? Else they are unknown, and all flushes are other.
 */
static inline void kvmmem_tag_causes(u64 *causes, const struct kvmmem_tag *tag, u64 flushes,
				     bool known)
{
	if (!known) {
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
 * @known: can causes be told apart?
 */
static inline void kvmmem_tag_values(u64 *values, const struct kvmmem_tag *tag, u64 range,
				     bool known)
{
	u64 flushes = kvmmem_tag_flushes(tag);

	*values++ = tag->tag == KVMMEM_TAG_UNKNOWN ? KVMMEM_UNKNOWN : tag->tag;
	*values++ = tag->entries;
	*values++ = flushes;
	kvmmem_tag_causes(values, tag, flushes, known);
	values += KVMMEM_NR_CAUSES;
	*values++ = tag->single;
	*values++ = tag->moves;
	*values = range;
}

#endif /* _KVMMEM_TAGROW_H */
