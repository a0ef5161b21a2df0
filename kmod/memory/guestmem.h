/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reading a guest's memory, what of it is there.
 */
#ifndef _KVMMEM_GUESTMEM_H
#define _KVMMEM_GUESTMEM_H

#include "compat/memory.h"
#include "registry/vm.h"

/**
 * struct kvmmem_guest - a guest whose memory is being read
 * @vm: the record
 * @mm: of its process, in use by the calling thread
 * @slot: the slot that was read last; npages is 0 before
 * @generation: KVM's of the slots then
 */
struct kvmmem_guest {
	struct kvmmem_vm *vm;
	struct mm_struct *mm;
	struct kvmmem_slot slot;
	u64 generation;
};

int kvmmem_guest_run(struct kvmmem_vm *vm, void (*work)(struct kvmmem_guest *guest, void *data),
		     void *data);
int kvmmem_guest_slot(struct kvmmem_guest *guest, u64 gfn);
int kvmmem_guest_read(struct kvmmem_guest *guest, u64 gpa, void *to, unsigned int bytes);

#endif /* _KVMMEM_GUESTMEM_H */
