/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The way through KVM's tables to one guest page.
 */
#ifndef _KVMMEM_EPTPATH_H
#define _KVMMEM_EPTPATH_H

#include "decode/paging.h"
#include "memory/eptwalk.h"

/**
 * struct kvmmem_eptpath - the way to a guest page
 * @state: can KVM's tables be walked?
 * @no_tables: the VM has none
 * @nr: steps
 * @step: the entries, by their host-physical addresses
 * @mapped: the last entry maps memory
 * @size: of the mapping
 * @hpa: host-physical address of the page
 * @span: so many pages from this one on, at most, have the same end
 */
struct kvmmem_eptpath {
	enum kvmmem_ept_state state;
	bool no_tables;
	unsigned int nr;
	struct kvmmem_step step[KVMMEM_PAGING_LEVELS];
	bool mapped;
	enum kvmmem_size size;
	u64 hpa;
	u64 span;
};

void kvmmem_eptpath(struct kvmmem_vm *vm, u64 gfn, struct kvmmem_eptpath *path);
void kvmmem_eptpath_from(const u64 *root, int level, u64 gfn, struct kvmmem_eptpath *path);

#endif /* _KVMMEM_EPTPATH_H */
