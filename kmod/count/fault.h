/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counting EPT violations, nested page faults and shadow paging's #PFs.
 */
#ifndef _KVMMEM_FAULT_H
#define _KVMMEM_FAULT_H

#include "registry/vm.h"

struct kvmmem_probe;

void kvmmem_fault_init(const struct kvmmem_probe *probes, const struct kvmmem_probe *inject);
bool kvmmem_fault_on(void);
bool kvmmem_fault_waits(void);
void kvmmem_fault_of_vm(struct kvmmem_vm *vm, struct kvmmem_fault_sum *sum);
void kvmmem_fault_of_vcpu(struct kvmmem_vcpu *rec, struct kvmmem_fault_sum *sum);
void kvmmem_fault_nested(struct kvmmem_vm *vm, u64 *l2, u64 *reflected);
void kvmmem_fault_cleared(struct kvmmem_vcpu *rec, u64 taken);
bool kvmmem_fault_witness(struct kvmmem_vcpu *rec, struct kvmmem_counts *counts);

#endif /* _KVMMEM_FAULT_H */
