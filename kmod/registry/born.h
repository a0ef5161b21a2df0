/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KVMMEM_BORN_H
#define _KVMMEM_BORN_H

#include "registry/vm.h"

void kvmmem_vm_born(struct kvmmem_vm *vm, struct kvm *kvm, struct task_struct *task);

#endif /* _KVMMEM_BORN_H */
