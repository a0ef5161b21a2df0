/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Births and deaths of VMs and vCPUs.
 */
#ifndef _KVMMEM_LIFE_H
#define _KVMMEM_LIFE_H

#include "registry/vm.h"

int kvmmem_registry_init(void);
void kvmmem_registry_exit(void);

struct kvmmem_vm *kvmmem_vm_birth(struct kvm *kvm, struct task_struct *task);
struct kvmmem_vcpu *kvmmem_vcpu_birth(struct kvm_vcpu *vcpu, struct task_struct *task);
struct kvmmem_vcpu *kvmmem_vcpu_meet(struct kvm_vcpu *vcpu);
void kvmmem_vm_death(const struct kvm *kvm);
void kvmmem_vcpu_death(struct kvm_vcpu *vcpu);
void kvmmem_vm_death_all(void);
bool kvmmem_slots_heard(void);

#endif /* _KVMMEM_LIFE_H */
