/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Remote flushes: how far one change of a VM's tables travels.
 */
#ifndef _KVMMEM_REQUESTS_H
#define _KVMMEM_REQUESTS_H

#include <linux/ftrace.h>
#include <linux/types.h>

#include "registry/vm.h"

/**
 * struct kvmmem_flush_totals - how far a change of a VM's tables travels
 * @requests: remote flushes asked for, or KVMMEM_UNKNOWN
 * @remote: remote flushes that had to kick a vCPU
 * @vcpu: flushes of its vCPUs, of all causes
 */
struct kvmmem_flush_totals {
	u64 requests;
	u64 remote;
	u64 vcpu;
};

void kvmmem_requests_init(ftrace_func_t func, bool on);
void kvmmem_requests_switch(bool on);
void kvmmem_vm_requested(const struct kvm *kvm);
bool kvmmem_requests_known(void);
bool kvmmem_requests_reach_vcpus(void);
bool kvmmem_flush_totals(struct kvmmem_vm *vm, struct kvmmem_flush_totals *totals);

/**
 * kvmmem_vm_requests - remote flushes asked for in a VM
 * @vm: its record
 * @kvm: the VM, alive
 *
 * Return: KVM's count where it has one, else ours; only differences mean something.
 */
static inline u64 kvmmem_vm_requests(struct kvmmem_vm *vm, const struct kvm *kvm)
{
	return KVMMEM_KVM_COUNTS_REQUESTS ? kvmmem_kvm_requests(kvm) :
					    (u64)atomic64_read(&vm->requests);
}

#endif /* _KVMMEM_REQUESTS_H */
