/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A violation while it is observed: from the fault to the next VM entry.
 */
#ifndef _KVMMEM_VIOLATION_H
#define _KVMMEM_VIOLATION_H

#include "registry/vm.h"

void kvmmem_violation_begin(struct kvmmem_vcpu *rec, struct kvm_vcpu *vcpu, u64 gpa,
			    unsigned int class, bool timed);
void kvmmem_violation_end(struct kvmmem_vcpu *rec, s64 ns);

#endif /* _KVMMEM_VIOLATION_H */
