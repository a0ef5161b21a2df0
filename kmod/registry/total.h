/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counts of all VMs since load, those that have ended included.
 */
#ifndef _KVMMEM_TOTAL_H
#define _KVMMEM_TOTAL_H

#include "registry/vm.h"

/**
 * struct kvmmem_total - counts of many VMs
 * @vms: VMs that live
 * @vms_ended: VMs that have ended
 * @vcpus_ended: their vCPUs
 * @modes: a bit for each enum kvmmem_mode that one of them had
 * @shows_mmio: one of them does not hide its MMIO
 * @shows_access: of one of them it is told how it accesses, which is not so of TDX guests
 * @faults: of all, as counted
 * @tags: of all vCPUs and tags; @tag and @moves mean nothing
 * @range: flushes of address ranges
 * @served: faults that were served
 * @ticks: time that they took, by the TSC
 */
struct kvmmem_total {
	u64 vms;
	u64 vms_ended;
	u64 vcpus_ended;
	unsigned int modes;
	bool shows_mmio;
	bool shows_access;
	struct kvmmem_fault_sum faults;
	struct kvmmem_tag tags;
	u64 range;
	u64 served;
	u64 ticks;
};

void kvmmem_total_born(struct kvmmem_vm *vm);
void kvmmem_total_ended(struct kvmmem_vm *vm, struct kvmmem_total *total);
void kvmmem_total_read(struct kvmmem_total *total);

#endif /* _KVMMEM_TOTAL_H */
