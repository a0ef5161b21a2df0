/* SPDX-License-Identifier: GPL-2.0 */
/*
 * kvmmem's counters beside the independent counts that KVM keeps.
 */
#ifndef _KVMMEM_AUDIT_H
#define _KVMMEM_AUDIT_H

#include "vm.h"
#include "witness.h"

/**
 * struct kvmmem_audit - a counter that has a witness
 * @counter: its name in /proc/kvmmem
 * @applies: has this VM got it? Context: rcu_read_lock()
 * @witness: our count and KVM's. Context: rcu_read_lock(). Returns false when
 *	the VM is gone.
 */
struct kvmmem_audit {
	const char *counter;
	bool (*applies)(const struct kvmmem_vm *vm);
	bool (*witness)(struct kvmmem_vm *vm, struct kvmmem_witness *witness);
};

extern const struct kvmmem_audit kvmmem_audits[];
extern const unsigned int kvmmem_nr_audits;

#endif /* _KVMMEM_AUDIT_H */
