/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a change of an entry of KVM's tables is to huge mappings: a pure
 * function, for the probe of flow.c and for KUnit.
 */
#ifndef _KVMMEM_SPTE_H
#define _KVMMEM_SPTE_H

#include <linux/bits.h>
#include <linux/types.h>

#include "decode/size.h"

/* Huge mappings of KVM's tables that come and go. */
enum kvmmem_flow {
	KVMMEM_FLOW_INSTALLED,		/* where there was nothing */
	KVMMEM_FLOW_SPLIT,		/* into a table, for the NX mitigation */
	KVMMEM_FLOW_SPLIT_LOGGED,	/* into a table, in a slot that is logged */
	KVMMEM_FLOW_RECOVERED,		/* in place of a table */
	KVMMEM_FLOW_ZAPPED,		/* gone */
	KVMMEM_FLOW_TABLE_ZAPPED,	/* a table gone: a huge mapping may follow */
	KVMMEM_NR_FLOWS,
	/* Not counted, but by what may follow. */
	KVMMEM_FLOW_FROZEN = KVMMEM_NR_FLOWS,	/* not there for the moment */
	KVMMEM_FLOW_LINKED,			/* a table where there was nothing */
	KVMMEM_FLOW_NONE
};

enum kvmmem_flow kvmmem_flow_kind(int level, u64 old, u64 new);

#endif /* _KVMMEM_SPTE_H */
