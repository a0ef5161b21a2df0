/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Faults that the guest need not wait for, since KVM has a worker fetch the page.
 */
#ifndef _KVMMEM_ASYNC_H
#define _KVMMEM_ASYNC_H

#include "registry/vm.h"

struct kvmmem_probe;

/**
 * struct kvmmem_async_sum - asynchronous faults of a VM or of a vCPU
 * @begun: how many
 * @ready: those whose page has come
 * @ns: time that they took
 *
 * All are KVMMEM_UNKNOWN while nobody counts.
 */
struct kvmmem_async_sum {
	u64 begun;
	u64 ready;
	u64 ns;
};

void kvmmem_async_init(const struct kvmmem_probe *begun, const struct kvmmem_probe *ready);
void kvmmem_async_switch(bool on);
void kvmmem_async_of_vcpu(const struct kvmmem_vcpu *rec, struct kvmmem_async_sum *sum);
u64 kvmmem_async_of_vm(struct kvmmem_vm *vm);
void kvmmem_async_begun(struct kvm_vcpu *vcpu);
void kvmmem_async_ready(struct kvm_vcpu *vcpu, u64 token);

#endif /* _KVMMEM_ASYNC_H */
