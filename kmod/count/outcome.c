// SPDX-License-Identifier: GPL-2.0
/*
 * What KVM made of a VM's faults. KVM counts that for each vCPU, so nothing is done
 * but when somebody reads.
 */
#include <linux/mutex.h>
#include <linux/rculist.h>

#include "count/outcome.h"
#include "decode/value.h"

/* vCPUs that are looked at in one go. */
#define BATCH	64

/* The counts of all vCPUs, as KVM has them; false when the VM is gone. */
static bool outcome_sum(struct kvmmem_vm *vm, u64 *sums)
{
	struct kvmmem_vcpu *rec = kvmmem_vm_next_vcpu(vm, NULL);
	bool alive = true;
	unsigned int n;

	while (rec && alive) {
		raw_spin_lock(&vm->lock);
		alive = vm->kvm;
		for (n = 0; alive && rec && n < BATCH; n++, rec = kvmmem_vm_next_vcpu(vm, rec))
			kvmmem_vcpu_add_outcomes(rec->vcpu, sums);
		raw_spin_unlock(&vm->lock);
	}
	return alive;
}

/**
 * kvmmem_outcome_of_vm - KVM's counts, since kvmmem knows the VM
 * @vm: its record
 * @sums: where to, by enum kvmmem_outcome; all are KVMMEM_UNKNOWN where KVM does not count
 * @retried: faults that came to nothing, so that the guest will fault again; likewise
 *
 * A fault under way has been taken and has no outcome yet: of those that retried
 * may hold no more than were under way once, since it must not shrink.
 *
 * Context: a reference on the record; may sleep.
 *
 * Return: false when the VM is gone.
 */
bool kvmmem_outcome_of_vm(struct kvmmem_vm *vm, u64 *sums, u64 *retried)
{
	u64 now[KVMMEM_NR_OUTCOMES] = {}, ended;
	unsigned int i;

	*retried = KVMMEM_UNKNOWN;
	memset(sums, 0xff, KVMMEM_NR_OUTCOMES * sizeof(*sums));
	if (!KVMMEM_KVM_COUNTS_FAULTS)
		return true;

	mutex_lock(&vm->outcome_lock);
	if (!outcome_sum(vm, now)) {
		mutex_unlock(&vm->outcome_lock);
		return false;
	}
	for (i = 0; i < KVMMEM_NR_OUTCOMES; i++) {
		sums[i] = kvmmem_grown_by(&vm->outcomes[i], now[i]) -
			  min(vm->outcomes[i].sum, READ_ONCE(vm->outcomes_before[i]));
		/* An older vCPU that is met now is in the one, perhaps not in the other. */
		sums[i] = max(vm->outcomes_shown[i], sums[i]);
		vm->outcomes_shown[i] = sums[i];
	}
	/* A page that came while the guest ran beside is fixed without being taken. */
	ended = sums[KVMMEM_OUTCOME_FIXED] + sums[KVMMEM_OUTCOME_SPURIOUS] +
		sums[KVMMEM_OUTCOME_EMULATED];
	if (sums[KVMMEM_OUTCOME_TAKEN] > ended)
		vm->retried = max(vm->retried, sums[KVMMEM_OUTCOME_TAKEN] - ended);
	*retried = vm->retried;
	mutex_unlock(&vm->outcome_lock);
	return true;
}
