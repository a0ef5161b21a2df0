/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Telling accesses to devices from faults on memory.
 */
#ifndef _KVMMEM_MMIO_H
#define _KVMMEM_MMIO_H

#include <linux/ftrace.h>

#include "registry/vm.h"

struct kvmmem_probe;

/**
 * struct kvmmem_mmio_probes - what is called where KVM shows MMIO
 * @emulate: at x86_emulate_instruction()
 * @fast: of kvm_fast_mmio
 * @check: of check_mmio_spte
 * @mark: of mark_mmio_spte
 */
struct kvmmem_mmio_probes {
	ftrace_func_t emulate;
	const struct kvmmem_probe *fast;
	const struct kvmmem_probe *check;
	const struct kvmmem_probe *mark;
};

void kvmmem_mmio_init(const struct kvmmem_mmio_probes *probes);
bool kvmmem_mmio_on(void);
bool kvmmem_mmio_known(const struct kvmmem_vm *vm);
bool kvmmem_mmio_is(struct kvmmem_vcpu *rec, struct kvm_vcpu *vcpu, u64 gfn);
void kvmmem_mmio_fast(struct kvm_vcpu *vcpu);
void kvmmem_mmio_emulated(struct kvm_vcpu *vcpu, u64 gpa);
void kvmmem_mmio_made(struct kvm_vcpu *vcpu);
bool kvmmem_mmio_is_checked(const struct kvm_vcpu *vcpu);
unsigned int kvmmem_mmio_checked(struct kvm_vcpu *vcpu, bool stale);

/**
 * kvmmem_mmio_is_not - is this an ordinary fault on memory, with nothing to look up?
 * @rec: record of the vCPU
 * @vcpu: the vCPU, which the calling thread runs
 * @addr: where it faulted
 *
 * For the fault probe. The slot that was found last is good as long as no slot has
 * changed. A nested guest's addresses are not L1's, and SMM has slots of its own.
 *
 * Return: false when it takes kvmmem_mmio_is(), or @rec has flags.
 */
static __always_inline bool kvmmem_mmio_is_not(const struct kvmmem_vcpu *rec,
					       const struct kvm_vcpu *vcpu, u64 addr)
{
	u32 odd = (vcpu->arch.hflags & (HF_GUEST_MASK | HF_SMM_MASK)) | rec->special;

	return !odd && addr - rec->slot_start < rec->slot_bytes &&
	       (u32)kvmmem_vcpu_slots(vcpu)->generation == rec->slot_generation;
}

#endif /* _KVMMEM_MMIO_H */
