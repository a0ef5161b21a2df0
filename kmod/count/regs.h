/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Asking a vCPU for its registers.
 */
#ifndef _KVMMEM_REGS_H
#define _KVMMEM_REGS_H

#include <linux/atomic.h>

#include "compat/guest.h"
#include "registry/vm.h"

/**
 * struct kvmmem_regs_answer - a vCPU's registers
 * @regs: the registers
 * @age_us: how old they are; KVMMEM_UNKNOWN: it has not run since kvmmem came
 * @fresh: the vCPU's thread said them when it was asked
 * @in_l2: it runs a guest of its guest; the registers are those of L1
 */
struct kvmmem_regs_answer {
	struct kvmmem_regs regs;
	u64 age_us;
	bool fresh;
	bool in_l2;
};

extern atomic_t kvmmem_regs_asked;

void kvmmem_regs_reply(struct kvmmem_vcpu *rec, const struct kvm_vcpu *vcpu);
int kvmmem_regs_of_vcpu(struct kvmmem_vcpu *rec, bool ask, struct kvmmem_regs_answer *answer);

/**
 * kvmmem_regs_look - does somebody ask for registers? For the other path of the probes
 * @rec: record of the vCPU
 * @vcpu: the vCPU, which the calling thread runs and has loaded
 */
static __always_inline void kvmmem_regs_look(struct kvmmem_vcpu *rec,
					     const struct kvm_vcpu *vcpu)
{
	if (atomic_read(&kvmmem_regs_asked))
		kvmmem_regs_reply(rec, vcpu);
}

#endif /* _KVMMEM_REGS_H */
