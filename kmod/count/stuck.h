/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vCPUs that do not get on: see stuck.c.
 */
#ifndef _KVMMEM_STUCK_H
#define _KVMMEM_STUCK_H

#include "registry/vm.h"

/**
 * struct kvmmem_stuck_state - a vCPU that does not get on
 * @gpa: where, KVMMEM_UNKNOWN if not known
 * @repeats: faults there, each with nothing done since the last; 0: one that does not end
 * @since_ms: for how long
 */
struct kvmmem_stuck_state {
	u64 gpa;
	u64 repeats;
	u64 since_ms;
};

void kvmmem_stuck_look(struct kvmmem_vcpu *rec, const struct kvm_vcpu *vcpu, u64 addr);
bool kvmmem_stuck_of_vcpu(const struct kvmmem_vcpu *rec, struct kvmmem_stuck_state *state);
u64 kvmmem_stuck_of_vm(struct kvmmem_vm *vm);
void kvmmem_stuck_init(void);
void kvmmem_stuck_exit(void);

#endif /* _KVMMEM_STUCK_H */
