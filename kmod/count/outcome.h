/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What KVM made of a VM's faults, by its own counts.
 */
#ifndef _KVMMEM_OUTCOME_H
#define _KVMMEM_OUTCOME_H

#include "registry/vm.h"

bool kvmmem_outcome_of_vm(struct kvmmem_vm *vm, u64 *sums, u64 *retried);

#endif /* _KVMMEM_OUTCOME_H */
