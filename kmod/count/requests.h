/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Remote flushes: how far one change of a VM's tables travels.
 */
#ifndef _KVMMEM_REQUESTS_H
#define _KVMMEM_REQUESTS_H

#include <linux/ftrace.h>
#include <linux/types.h>

struct kvm;
struct kvmmem_vm;

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

#endif /* _KVMMEM_REQUESTS_H */
