/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counting TLB flushes by hardware tag and cause.
 */
#ifndef _KVMMEM_TLB_H
#define _KVMMEM_TLB_H

#include "vm.h"
#include "witness.h"

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

void kvmmem_tlb_init(void);
bool kvmmem_tlb_on(void);
bool kvmmem_tlb_causes_known(void);
unsigned int kvmmem_tlb_tags(struct kvmmem_vcpu *rec, struct kvmmem_tag *tags);
u64 kvmmem_tag_flushes(const struct kvmmem_tag *tag);
bool kvmmem_tlb_totals(struct kvmmem_vm *vm, struct kvmmem_flush_totals *totals);
bool kvmmem_tlb_witness(struct kvmmem_vm *vm, struct kvmmem_witness *witness);

#endif /* _KVMMEM_TLB_H */
