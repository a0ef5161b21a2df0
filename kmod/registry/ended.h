/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The VMs that ended last, with their counts.
 */
#ifndef _KVMMEM_ENDED_H
#define _KVMMEM_ENDED_H

#include "registry/total.h"

/* So many are kept. */
#define KVMMEM_NR_ENDED		64

/* What is being counted of a VM. */
enum {
	KVMMEM_COUNTS_FAULTS = 1,
	KVMMEM_COUNTS_MMIO = 2,
	KVMMEM_COUNTS_FLUSHES = 4,
	KVMMEM_COUNTS_TIME = 8,
	KVMMEM_COUNTS_CAUSES = 16,
	KVMMEM_COUNTS_RANGES = 32,
};

/**
 * struct kvmmem_ended - a VM that has ended
 * @id: what it was called
 * @comm: name of its process at the end
 * @mode: how its addresses were translated
 * @is_tdx: of a TDX guest, of which less can be told
 * @counts: what was being counted when it ended; the rest of @total is unknown
 * @lived_ns: how long kvmmem knew it
 * @at: when it ended, ktime_get_ns()
 * @total: its counts
 */
struct kvmmem_ended {
	char id[KVMMEM_ID_LEN];
	char comm[TASK_COMM_LEN];
	enum kvmmem_mode mode;
	bool is_tdx;
	unsigned int counts;
	u64 lived_ns;
	u64 at;
	struct kvmmem_total total;
};

void kvmmem_ended_ask(unsigned int (*counts_of)(const struct kvmmem_vm *vm));
void kvmmem_ended_mask(struct kvmmem_fault_sum *faults, enum kvmmem_mode mode, bool is_tdx,
		       unsigned int counts);
void kvmmem_ended_note(struct kvmmem_vm *vm);
void kvmmem_ended_add(const struct kvmmem_vm *vm, const struct kvmmem_total *total);
u64 kvmmem_ended_count(void);
bool kvmmem_ended_get(u64 nr, struct kvmmem_ended *one);

#endif /* _KVMMEM_ENDED_H */
