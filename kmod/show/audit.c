// SPDX-License-Identifier: GPL-2.0
#include <linux/kernel.h>
#include <linux/rculist.h>
#include <linux/string.h>

#include "count/fault.h"
#include "count/tlb.h"
#include "count/tlb_hooks.h"
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
	return audit_faults_counted() && vm->mode != KVMMEM_MODE_SHADOW;
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

/**
 * kvmmem_audit_vm - a VM's counts
 * @audit: of what
 * @vm: its record
 * @sum: where to
 *
 * Context: rcu_read_lock().
 *
 * Return: false when the VM has not got this counter, or is gone.
 */
bool kvmmem_audit_vm(const struct kvmmem_audit *audit, struct kvmmem_vm *vm,
		     struct kvmmem_witness *sum)
{
	struct kvmmem_vcpu *rec;
	u64 ours, kvms;
	bool alive;

	if (!audit->applies(vm))
		return false;
	memset(sum, 0, sizeof(*sum));
	raw_spin_lock(&vm->lock);
	alive = vm->kvm;
	if (alive) {
		kvmmem_vm_for_each_vcpu(rec, vm) {
			if (!audit->witness(rec, &ours, &kvms))
				continue;
			sum->ours += ours;
			sum->kvms += kvms;
			sum->vcpus_off += ours != kvms;
		}
	}
	raw_spin_unlock(&vm->lock);
	return alive;
}
