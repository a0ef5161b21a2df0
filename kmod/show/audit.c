// SPDX-License-Identifier: GPL-2.0
#include <linux/kernel.h>
#include <linux/rculist.h>
#include <linux/string.h>

#include "count/fault.h"
#include "count/tlb.h"
#include "count/tlb_hooks.h"
#include "registry/info.h"
#include "show/audit.h"

static bool audit_faults_counted(void)
{
	return KVMMEM_KVM_COUNTS_FAULTS && kvmmem_fault_on();
}

static bool audit_is_shadow(const struct kvmmem_vm *vm)
{
	return audit_faults_counted() && vm->mode == KVMMEM_MODE_SHADOW;
}

static bool audit_is_tdp(const struct kvmmem_vm *vm)
{
	/* For one event of a TDX guest KVM may try several times, and counts each. */
	return audit_faults_counted() && vm->mode != KVMMEM_MODE_SHADOW && !vm->is_tdx;
}

static bool audit_flushes_counted(const struct kvmmem_vm *vm)
{
	return kvmmem_tlb_on();
}

const struct kvmmem_audit kvmmem_audits[] = {
	{ "ept_violations", audit_is_tdp, kvmmem_fault_witness },
	{ "shadow", audit_is_shadow, kvmmem_fault_witness },
	{ "flushes", audit_flushes_counted, kvmmem_tlb_witness },
};

const unsigned int kvmmem_nr_audits = ARRAY_SIZE(kvmmem_audits);

/* vCPUs that are looked at in one go; reading the tags of one takes some 300 instructions. */
#define BATCH	8

/* The counts of some vCPUs from @rec on; the first one that is left, or NULL. */
static struct kvmmem_vcpu *audit_add_vcpus(const struct kvmmem_audit *audit,
					   struct kvmmem_vm *vm, struct kvmmem_vcpu *rec,
					   struct kvmmem_witness *sum)
{
	struct kvmmem_counts counts;
	unsigned int n = 0;

	raw_spin_lock(&vm->lock);
	if (!vm->kvm)
		rec = NULL;
	for (; rec && n < BATCH; n++, rec = kvmmem_vm_next_vcpu(vm, rec)) {
		if (!audit->witness(rec, &counts))
			continue;
		sum->ours += counts.ours;
		sum->kvms += counts.kvms;
		sum->vcpus_off += counts.ours != counts.kvms;
		sum->cleared |= counts.cleared;
	}
	raw_spin_unlock(&vm->lock);
	return rec;
}

/**
 * kvmmem_audit_vm - a VM's counts
 * @audit: of what
 * @vm: its record
 * @sum: where to
 *
 * Context: a reference on the record.
 *
 * Return: false when the VM has not got this counter, or is gone.
 */
bool kvmmem_audit_vm(const struct kvmmem_audit *audit, struct kvmmem_vm *vm,
		     struct kvmmem_witness *sum)
{
	struct kvmmem_vcpu *rec = kvmmem_vm_next_vcpu(vm, NULL);

	if (!audit->applies(vm))
		return false;
	memset(sum, 0, sizeof(*sum));
	while (rec)
		rec = audit_add_vcpus(audit, vm, rec, sum);
	return kvmmem_vm_alive(vm);
}
