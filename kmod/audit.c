// SPDX-License-Identifier: GPL-2.0
#include <linux/kernel.h>

#include "audit.h"
#include "fault.h"
#include "tlb.h"

static bool faults_counted(void)
{
	return KVMMEM_KVM_COUNTS_FAULTS && kvmmem_fault_on();
}

static bool is_shadow(const struct kvmmem_vm *vm)
{
	return faults_counted() && vm->mode == KVMMEM_MODE_SHADOW;
}

static bool is_tdp(const struct kvmmem_vm *vm)
{
	return faults_counted() && vm->mode != KVMMEM_MODE_SHADOW;
}

static bool flushes_counted(const struct kvmmem_vm *vm)
{
	return kvmmem_tlb_on();
}

const struct kvmmem_audit kvmmem_audits[] = {
	{ "ept_violations", is_tdp, kvmmem_fault_witness },
	{ "shadow", is_shadow, kvmmem_fault_witness },
	{ "flushes", flushes_counted, kvmmem_tlb_witness },
};

const unsigned int kvmmem_nr_audits = ARRAY_SIZE(kvmmem_audits);
