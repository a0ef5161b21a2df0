/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _STORM_VM_H
#define _STORM_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DATA_GPA	HUGE		/* where a guest's memory begins */

/**
 * struct vm - a guest that writes to a page after the other, for ever
 * @memory: what is behind its slot at DATA_GPA; aligned to 2M
 * @size: of that, in bytes
 */
struct vm {
	int kvm, fd, vcpu;
	struct kvm_run *run;
	uint8_t *memory;
	size_t size;
};

/* With no vCPU and no memory yet; false if KVM is not there or says no. */
bool vm_open(struct vm *vm);
void vm_close(struct vm *vm);

bool vm_add_memory(struct vm *vm, size_t size);
bool vm_set_slot(struct vm *vm, bool there, uint32_t flags);
bool vm_add_vcpu(struct vm *vm);

/* Run the vCPU until over(), whatever becomes of its memory. */
void vm_run(struct vm *vm);

#endif /* _STORM_VM_H */
