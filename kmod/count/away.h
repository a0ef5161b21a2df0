/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where a vCPU's thread is between a VM exit and the next entry, when it is not
 * running in KVM.
 */
#ifndef _KVMMEM_AWAY_H
#define _KVMMEM_AWAY_H

#include <linux/ftrace.h>

#include "registry/vm.h"

void kvmmem_away_init(ftrace_func_t out, ftrace_func_t in);
void kvmmem_away_switch(bool on);
bool kvmmem_away_on(void);
void kvmmem_away_out(struct kvm_vcpu *vcpu);
void kvmmem_away_in(struct kvm_vcpu *vcpu);
void kvmmem_away_parts(const struct kvmmem_vcpu *rec, u64 exit, u64 ticks, u64 *asleep,
		       u64 *user);
bool kvmmem_away_in_user(const struct kvmmem_vcpu *rec);
bool kvmmem_away_stayed(const struct kvmmem_vcpu *rec);

/**
 * kvmmem_away_was - was the thread elsewhere since an exit?
 * @rec: record of the vCPU
 * @exit: TSC at the exit
 *
 * KVM notes when it put the vCPU away, in the scheduler and on its way to user space.
 *
 * Return: true if so.
 */
static __always_inline bool kvmmem_away_was(const struct kvmmem_vcpu *rec, u64 exit)
{
	return rec->vcpu->arch.last_host_tsc > exit;
}

/**
 * kvmmem_away_left_l2 - was a vCPU in a guest of its guest until its last exit?
 * @rec: its record
 *
 * KVM says that it is back in L1 before it has L1's registers again, and may sleep in
 * between. Context: any; the VM alive.
 *
 * Return: true if so; false, too, while flushes are not accounted for.
 */
static inline bool kvmmem_away_left_l2(const struct kvmmem_vcpu *rec)
{
	return READ_ONCE(rec->tracked) && (READ_ONCE(rec->hflags) & HF_GUEST_MASK);
}

#endif /* _KVMMEM_AWAY_H */
