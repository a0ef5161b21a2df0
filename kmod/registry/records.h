/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The table of VMs: who is in it, and how readers go through it.
 */
#ifndef _KVMMEM_RECORDS_H
#define _KVMMEM_RECORDS_H

#include "registry/vm.h"

struct kvmmem_user;

int kvmmem_records_init(void);
void kvmmem_records_exit(void);
void kvmmem_records_top_up(void);

struct kvmmem_vm *kvmmem_record_vm(struct kvm *kvm, struct task_struct *task);
struct kvmmem_vcpu *kvmmem_record_vcpu(struct kvm_vcpu *vcpu, struct task_struct *task);
struct kvmmem_vm *kvmmem_record_find(const struct kvm *kvm);
struct kvmmem_vm *kvmmem_record_unlink(const struct kvm *kvm);
struct kvmmem_vm *kvmmem_record_unlink_at(unsigned int slot);

void kvmmem_records_locked(void (*change)(void *data), void *data);

unsigned int kvmmem_vm_slots(void);
int kvmmem_vm_next(unsigned int from);
struct kvmmem_vm *kvmmem_vm_at(unsigned int slot);
struct kvmmem_vm *kvmmem_vm_get(unsigned int slot);
void kvmmem_vm_put(struct kvmmem_vm *vm);
unsigned int kvmmem_vm_count(void);

/**
 * struct kvmmem_records_usage - memory that the registry holds
 * @live: records in use
 * @reserve: records ready to be used
 * @size: bytes of one record
 */
struct kvmmem_records_usage {
	unsigned int live;
	unsigned int reserve;
	unsigned int size;
};

void kvmmem_records_usage(struct kvmmem_records_usage *vm,
			  struct kvmmem_records_usage *vcpu);

unsigned int kvmmem_records_user(unsigned int from, struct kvmmem_user *user);

#endif /* _KVMMEM_RECORDS_H */
