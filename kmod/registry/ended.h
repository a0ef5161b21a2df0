/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The VMs that ended last, with their counts.
 */
#ifndef _KVMMEM_ENDED_H
#define _KVMMEM_ENDED_H

#include "registry/total.h"

/* So many are kept. */
#define KVMMEM_NR_ENDED		64

/**
 * struct kvmmem_ended - a VM that has ended
 * @id: what it was called
 * @comm: name of its process at the end
 * @mode: how its addresses were translated
 * @is_tdx: the causes of its flushes could not be told
 * @hides_mmio: its MMIO did not come by faults
 * @lived_ns: how long kvmmem knew it
 * @at: when it ended, ktime_get_ns()
 * @total: its counts
 */
struct kvmmem_ended {
	char id[KVMMEM_ID_LEN];
	char comm[TASK_COMM_LEN];
	enum kvmmem_mode mode;
	bool is_tdx;
	bool hides_mmio;
	u64 lived_ns;
	u64 at;
	struct kvmmem_total total;
};

void kvmmem_ended_note(struct kvmmem_vm *vm);
void kvmmem_ended_add(const struct kvmmem_vm *vm, const struct kvmmem_total *total);
u64 kvmmem_ended_count(void);
bool kvmmem_ended_get(u64 nr, struct kvmmem_ended *one);

#endif /* _KVMMEM_ENDED_H */
