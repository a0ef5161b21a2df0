/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Huge mappings of KVM's tables that come and go, each one at its change.
 */
#ifndef _KVMMEM_FLOW_H
#define _KVMMEM_FLOW_H

#include "registry/vm.h"

/**
 * struct kvmmem_flow_others - who counts flows while nobody listens to each change
 * @settle: called for each VM, before somebody else counts its flows
 * @skip: called for a VM whose flows were counted until now, and will not be
 * @balance: called after that: count what nobody has
 */
struct kvmmem_flow_others {
	void (*settle)(struct kvmmem_vm *vm);
	void (*skip)(struct kvmmem_vm *vm);
	void (*balance)(void);
};

void kvmmem_flow_init(const struct kvmmem_flow_others *others);
bool kvmmem_flow_counts(const struct kvmmem_vm *vm);

#endif /* _KVMMEM_FLOW_H */
