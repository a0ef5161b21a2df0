/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is true of the host as a whole.
 */
#ifndef _KVMMEM_HOST_H
#define _KVMMEM_HOST_H

#include <linux/types.h>

#define KVMMEM_WORD_LEN	16

/* Sizes of huge page pools on x86-64, in KiB. */
#define KVMMEM_NR_POOLS	2

/**
 * struct kvmmem_huge_pool - a pool of hugetlb pages
 * @size_kb: of a page; 0 when this host has no such pool
 * @total: pages
 * @free: pages
 */
struct kvmmem_huge_pool {
	u64 size_kb;
	u64 total;
	u64 free;
};

/**
 * struct kvmmem_host - the host's facts; KVMMEM_UNKNOWN or "-" is unknown
 * @isa: "vmx" or "svm", what the processor has
 * @tdp: are EPT or NPT used: "on", "off"
 * @vpid: are VPIDs or ASIDs used
 * @thp: "always", "madvise", "never"
 * @ksm: "on", "off"
 * @pools: of hugetlb pages
 * @mem_total_kb: memory, KiB
 * @mem_available_kb: memory that could be used without swapping, KiB
 * @swap_total_kb: swap space, KiB
 * @swap_used_kb: of it, in use, KiB
 */
struct kvmmem_host {
	char isa[KVMMEM_WORD_LEN];
	char tdp[KVMMEM_WORD_LEN];
	char vpid[KVMMEM_WORD_LEN];
	char thp[KVMMEM_WORD_LEN];
	char ksm[KVMMEM_WORD_LEN];
	struct kvmmem_huge_pool pools[KVMMEM_NR_POOLS];
	u64 mem_total_kb;
	u64 mem_available_kb;
	u64 swap_total_kb;
	u64 swap_used_kb;
};

int kvmmem_host_facts(struct kvmmem_host *host);

bool kvmmem_pick_bracketed(const char *text, char *word, size_t size);
bool kvmmem_pick_field(const char *text, const char *field, u64 *value);

#endif /* _KVMMEM_HOST_H */
