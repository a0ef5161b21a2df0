/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which VM a process has.
 */
#ifndef _KVMMEM_PROCESS_H
#define _KVMMEM_PROCESS_H

#include "registry/vm.h"

void kvmmem_process_ask(void (*shared)(struct kvmmem_vm *vm));
void kvmmem_process_add(struct kvmmem_vm *vm);
void kvmmem_process_remove(struct kvmmem_vm *vm);
struct kvmmem_vm *kvmmem_vm_of_mm(const struct mm_struct *mm);

#endif /* _KVMMEM_PROCESS_H */
