/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The way through the host's page tables to one address of a process.
 */
#ifndef _KVMMEM_HOSTPATH_H
#define _KVMMEM_HOSTPATH_H

#include "decode/paging.h"
#include "decode/size.h"

struct mm_struct;

/**
 * enum kvmmem_host_end - what the host has at an address
 * @KVMMEM_HOST_PAGE: a page in memory
 * @KVMMEM_HOST_ZERO: the zero page, or another that is no memory of this process's
 * @KVMMEM_HOST_MOVING: a page in memory that is being moved
 * @KVMMEM_HOST_POISON: a page in memory that has failed, so that nobody maps it
 * @KVMMEM_HOST_SWAP: a page in swap
 * @KVMMEM_HOST_NOTHING: no page is mapped
 * @KVMMEM_HOST_DEVICE: a device's memory
 * @KVMMEM_HOST_NO_VMA: the process has no such address
 * @KVMMEM_HOST_BUSY: nobody knows: somebody else had a lock
 */
enum kvmmem_host_end {
	KVMMEM_HOST_PAGE,
	KVMMEM_HOST_ZERO,
	KVMMEM_HOST_MOVING,
	KVMMEM_HOST_POISON,
	KVMMEM_HOST_SWAP,
	KVMMEM_HOST_NOTHING,
	KVMMEM_HOST_DEVICE,
	KVMMEM_HOST_NO_VMA,
	KVMMEM_HOST_BUSY,
};

/**
 * struct kvmmem_hostpath - the way to an address
 * @nr: steps
 * @step: the entries, by their host-physical addresses
 * @end: where they lead
 * @size: of the mapping
 * @hpa: the host-physical address, of a page, the zero page, or one that is being moved
 * @node: its NUMA node; -1: not known
 * @kind: KVMMEM_KIND_* of what is mapped there (hostwalk.h)
 * @span: so many bytes from the address on, at most, have the same end
 */
struct kvmmem_hostpath {
	unsigned int nr;
	struct kvmmem_step step[KVMMEM_PAGING_LEVELS];
	enum kvmmem_host_end end;
	enum kvmmem_size size;
	u64 hpa;
	int node;
	u32 kind;
	u64 span;
};

void kvmmem_hostpath(struct mm_struct *mm, unsigned long hva, struct kvmmem_hostpath *path);
void kvmmem_hostpath_locked(struct mm_struct *mm, unsigned long hva,
			    struct kvmmem_hostpath *path);
bool kvmmem_host_has_mapping(const struct kvmmem_hostpath *path);
bool kvmmem_host_has_page(const struct kvmmem_hostpath *path);

#endif /* _KVMMEM_HOSTPATH_H */
