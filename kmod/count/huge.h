/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Huge mappings of KVM's tables that come and go, by KVM's own count of them.
 */
#ifndef _KVMMEM_HUGE_H
#define _KVMMEM_HUGE_H

#include "compat/memory.h"
#include "registry/vm.h"

bool kvmmem_huge_fault(struct kvmmem_vcpu *rec);
void kvmmem_huge_taken(struct kvmmem_vcpu *rec);
void kvmmem_huge_apart(struct kvmmem_vm *vm);
void kvmmem_huge_look(struct kvmmem_vm *vm, bool taken);
void kvmmem_huge_settle(struct kvmmem_vm *vm);

/* For kvmmem_flow_init(). */
extern const struct kvmmem_flow_others kvmmem_huge_others;
bool kvmmem_huge_of_vm(struct kvmmem_vm *vm, u64 *flows);

/**
 * kvmmem_huge_changed - have 2M mappings come or gone? For the end of a fault
 * @rec: record of the vCPU
 *
 * Of 1G there are few: the reader looks for them, and whoever looks for something else.
 * Context: a hook in the vCPU's thread.
 *
 * Return: true if there are more or fewer than somebody has counted.
 */
static __always_inline bool kvmmem_huge_changed(const struct kvmmem_vcpu *rec)
{
	return KVMMEM_KVM_COUNTS_LEAVES &&
	       !kvmmem_ept_2m_is(rec->vcpu->kvm, atomic64_read(&rec->vm->huge_seen[0]));
}

#endif /* _KVMMEM_HUGE_H */
