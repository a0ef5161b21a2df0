/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Dirty logging: what a migration does to a VM.
 */
#ifndef _KVMMEM_DIRTY_H
#define _KVMMEM_DIRTY_H

#include "registry/vm.h"

/**
 * enum kvmmem_dirty_mode - how a VM's writes are noted
 * @KVMMEM_DIRTY_OFF: not at all, any more
 * @KVMMEM_DIRTY_LOG: in a bitmap for each slot
 * @KVMMEM_DIRTY_RING: in a ring for each vCPU
 */
enum kvmmem_dirty_mode { KVMMEM_DIRTY_OFF, KVMMEM_DIRTY_LOG, KVMMEM_DIRTY_RING };

/**
 * struct kvmmem_dirty_sum - the scorecard of a VM
 * @mode: how its writes are noted now
 * @since_ms: how long it has been so
 * @write_faults: on pages that were write-protected for it
 * @split_2m: 2M mappings that were split for it
 * @ring_full: exits since a ring was full
 * @pml_full: exits since the processor's log was full
 * @time_us: service time of @write_faults
 * @recovered_2m: 2M mappings that came since it was off, of @split_2m
 */
struct kvmmem_dirty_sum {
	enum kvmmem_dirty_mode mode;
	u64 since_ms;
	u64 write_faults;
	u64 split_2m;
	u64 ring_full;
	u64 pml_full;
	u64 time_us;
	u64 recovered_2m;
};

void kvmmem_dirty_init(void);
void kvmmem_dirty_fault(struct kvmmem_vcpu *rec, struct kvm_vcpu *vcpu, u64 gfn, bool timed);
void kvmmem_dirty_served(struct kvmmem_vcpu *rec, u64 ticks);
void kvmmem_dirty_meet_all(void);
bool kvmmem_dirty_of_vm(struct kvmmem_vm *vm, struct kvmmem_dirty_sum *sum);

#endif /* _KVMMEM_DIRTY_H */
