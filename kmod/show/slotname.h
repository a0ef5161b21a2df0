/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Words for memory slots and for what can be known of them.
 */
#ifndef _KVMMEM_SLOTNAME_H
#define _KVMMEM_SLOTNAME_H

#include <linux/kvm_host.h>

#include "memory/eptwalk.h"
#include "memory/hostwalk.h"

static inline const char *kvmmem_ept_state_name(enum kvmmem_ept_state state)
{
	static const char * const names[] = {
		[KVMMEM_EPT_WALKED] = "walked",
		[KVMMEM_EPT_SHADOW_MMU] = "shadow-mmu",
		[KVMMEM_EPT_NO_ROOT] = "no-root",
		[KVMMEM_EPT_GONE] = "gone",
		[KVMMEM_EPT_UNFINISHED] = "not-walked",
		[KVMMEM_EPT_DIFFERS] = "differs",
	};

	return names[state];
}

static inline const char *kvmmem_slot_kind_name(u32 kinds)
{
	switch (kinds) {
	case 0:
		return "unmapped";
	case KVMMEM_KIND_ANON:
		return "anon";
	case KVMMEM_KIND_HUGETLB:
		return "hugetlb";
	case KVMMEM_KIND_SHMEM:
		return "shmem";
	case KVMMEM_KIND_FILE:
		return "file";
	case KVMMEM_KIND_DEVICE:
		return "device";
	default:
		return "mixed";
	}
}

static inline const char *kvmmem_slot_flags_name(u32 flags)
{
	bool dirty = flags & KVM_MEM_LOG_DIRTY_PAGES;

	if (flags & KVM_MEM_READONLY)
		return dirty ? "readonly,dirty" : "readonly";
	return dirty ? "dirty" : "-";
}

#endif /* _KVMMEM_SLOTNAME_H */
