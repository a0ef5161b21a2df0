/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Huge mappings of KVM's tables that come and go, each one at its change.
 */
#ifndef _KVMMEM_FLOW_H
#define _KVMMEM_FLOW_H

#include "registry/vm.h"

void kvmmem_flow_init(void (*settle)(struct kvmmem_vm *vm), void (*balance)(void));
bool kvmmem_flow_counts(const struct kvmmem_vm *vm);

#endif /* _KVMMEM_FLOW_H */
