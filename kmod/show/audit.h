/* SPDX-License-Identifier: GPL-2.0 */
/*
 * kvmmem's counters beside the independent counts that KVM keeps.
 */
#ifndef _KVMMEM_AUDIT_H
#define _KVMMEM_AUDIT_H

#include "registry/vm.h"

/**
 * struct kvmmem_audit - a counter that has a witness
 * @counter: its name in /proc/kvmmem
 * @applies: has this VM got it? Context: a reference on it
 * @witness: a vCPU's two counts, or false when it has none yet. Context:
 *	the lock of its VM, which is alive.
 */
struct kvmmem_audit {
	const char *counter;
	bool (*applies)(const struct kvmmem_vm *vm);
	bool (*witness)(struct kvmmem_vcpu *rec, struct kvmmem_counts *counts);
};

/**
 * struct kvmmem_witness - two counts of the same thing
 * @ours: kvmmem's, of all vCPUs
 * @kvms: KVM's, since counting began
 * @vcpus_off: vCPUs whose own two counts differ
 * @cleared: KVM's count was cleared meanwhile; the comparison began anew then
 */
struct kvmmem_witness {
	u64 ours;
	u64 kvms;
	unsigned int vcpus_off;
	bool cleared;
};

bool kvmmem_audit_vm(const struct kvmmem_audit *audit, struct kvmmem_vm *vm,
		     struct kvmmem_witness *sum);

extern const struct kvmmem_audit kvmmem_audits[];
extern const unsigned int kvmmem_nr_audits;

#endif /* _KVMMEM_AUDIT_H */
