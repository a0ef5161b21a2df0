/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What readers ask of a record.
 */
#ifndef _KVMMEM_INFO_H
#define _KVMMEM_INFO_H

#include "compat/memory.h"
#include "registry/vm.h"

struct kvmmem_ranges;

/**
 * struct kvmmem_vm_info - a VM's facts for readers
 * @comm: present name of its process, or the last one known
 * @vcpus: vCPUs that are online
 * @mem_kb: size of its memory slots without @device_kb, in KiB; KVMMEM_UNKNOWN while
 *	there was no time to count them
 * @device_kb: what of the slots is a device's memory; KVMMEM_UNKNOWN, and in @mem_kb,
 *	while no walk has seen the slots as they are now
 */
struct kvmmem_vm_info {
	char comm[TASK_COMM_LEN];
	unsigned int vcpus;
	u64 mem_kb;
	u64 device_kb;
};

/**
 * struct kvmmem_vm_slots - a VM's memory slots, some at a time
 * @gfn: where the next ones begin; 0 at first
 * @over: there are none after these
 * @nr: how many of @slot there are
 * @slot: copies
 */
struct kvmmem_vm_slots {
	u64 gfn;
	bool over;
	unsigned int nr;
	struct kvmmem_slot slot[8];
};

bool kvmmem_vm_alive(const struct kvmmem_vm *vm);
u64 kvmmem_vm_mem_kb(struct kvmmem_vm *vm, u64 *device_kb);
bool kvmmem_vm_info(struct kvmmem_vm *vm, struct kvmmem_vm_info *info);
void kvmmem_vm_forget_slots(const struct kvmmem_vm *vm);
struct mm_struct *kvmmem_vm_get_mm(struct kvmmem_vm *vm);
void kvmmem_put_mm(struct mm_struct *mm);
bool kvmmem_vm_next_slots(struct kvmmem_vm *vm, struct kvmmem_vm_slots *some);
struct kvmmem_ranges *kvmmem_vm_ranges(struct kvmmem_vm *vm);
void kvmmem_vm_for_all(void (*fn)(struct kvmmem_vm *vm));

#endif /* _KVMMEM_INFO_H */
