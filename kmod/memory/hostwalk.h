/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Walking the host's page tables behind a range of a process's addresses.
 */
#ifndef _KVMMEM_HOSTWALK_H
#define _KVMMEM_HOSTWALK_H

#include <linux/bits.h>
#include <linux/types.h>

#include "compat/memory.h"
#include "registry/vm.h"

struct mm_struct;
struct rw_semaphore;
struct vm_area_struct;

/* What a range of addresses is backed by; a slot may have several. */
#define KVMMEM_KIND_ANON	BIT(0)
#define KVMMEM_KIND_HUGETLB	BIT(1)
#define KVMMEM_KIND_SHMEM	BIT(2)
#define KVMMEM_KIND_FILE	BIT(3)
#define KVMMEM_KIND_DEVICE	BIT(4)

/**
 * struct kvmmem_hostmem - what a range of addresses has behind it, in 4K pages
 * @mapped: pages in memory, by enum kvmmem_size of the entry that maps them.
 *	As in Rss of smaps, entries that are being migrated are in memory and
 *	the zero page is not; other than there, hugetlb pages are counted.
 * @swap: pages in swap; those of shared memory are found in its file, as there
 * @ksm: of @mapped, pages merged by KSM
 * @special: mapped, and no memory of this VM: the zero page, files on DAX
 * @device: addresses of a device's memory, whether they are mapped or not
 * @kinds: KVMMEM_KIND_*
 */
struct kvmmem_hostmem {
	u64 mapped[KVMMEM_NR_SIZES];
	u64 swap;
	u64 ksm;
	u64 special;
	u64 device;
	u32 kinds;
};

#define KVMMEM_RUNS	32

/**
 * struct kvmmem_run - neighbouring huge mappings
 * @hva: where they begin
 * @pages: their length, in 4K pages
 */
struct kvmmem_run {
	unsigned long hva;
	u64 pages;
};

/**
 * struct kvmmem_hostwalk - a walk
 * @mm: whose page tables; its user makes sure that they stay
 * @addr: where it is; set it before the first chunk
 * @end: where it ends
 * @sum: where to add
 * @nodes: pages by NUMA node, nr_node_ids of them, or NULL
 * @runs: huge mappings that the last chunk met, or NULL; room for KVMMEM_RUNS
 * @nr_runs: how many there are
 * @shmem: how far swapped pages of shared memory have been counted
 */
struct kvmmem_hostwalk {
	struct mm_struct *mm;
	unsigned long addr;
	unsigned long end;
	struct kvmmem_hostmem *sum;
	u64 *nodes;
	struct kvmmem_run *runs;
	unsigned int nr_runs;
	unsigned long shmem;
};

/**
 * kvmmem_hostwalk_of_slot - a walk over a memory slot, at its beginning
 * @mm: whose page tables
 * @slot: the slot
 * @sum: where to add
 *
 * Return: the walk.
 */
static inline struct kvmmem_hostwalk kvmmem_hostwalk_of_slot(struct mm_struct *mm,
							     const struct kvmmem_slot *slot,
							     struct kvmmem_hostmem *sum)
{
	return (struct kvmmem_hostwalk) {
		.mm = mm,
		.addr = slot->hva,
		.end = slot->hva + (slot->npages << PAGE_SHIFT),
		.sum = sum,
	};
}

int kvmmem_hostwalk_chunk(struct kvmmem_hostwalk *walk);

struct rw_semaphore *kvmmem_host_sharing(struct vm_area_struct *vma);
u32 kvmmem_host_kind(struct vm_area_struct *vma);

#endif /* _KVMMEM_HOSTWALK_H */
