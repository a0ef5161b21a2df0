/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages in the guest_memfds of memory slots.
 */
#ifndef _KVMMEM_MEMFD_H
#define _KVMMEM_MEMFD_H

#include "compat/memory.h"
#include "registry/vm.h"

u64 kvmmem_memfd_chunk(struct kvmmem_vm *vm, const struct kvmmem_slot *slot, u64 *at);

#endif /* _KVMMEM_MEMFD_H */
