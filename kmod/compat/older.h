/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What KVM's older MMU counts.
 */
#ifndef _KVMMEM_COMPAT_OLDER_H
#define _KVMMEM_COMPAT_OLDER_H

/**
 * enum kvmmem_older_event - events of the older MMU
 * @KVMMEM_OLDER_PTE_WRITE: a write to a page table of the guest's was intercepted
 * @KVMMEM_OLDER_FLOODED: a table was given up because it was written to all the time
 * @KVMMEM_OLDER_RECYCLED: a table was taken away because there were too many
 * @KVMMEM_OLDER_ZAPPED: a table was removed, for whatever reason
 * @KVMMEM_NR_OLDER: how many there are
 */
enum kvmmem_older_event {
	KVMMEM_OLDER_PTE_WRITE,
	KVMMEM_OLDER_FLOODED,
	KVMMEM_OLDER_RECYCLED,
	KVMMEM_OLDER_ZAPPED,
	KVMMEM_NR_OLDER,
};

/**
 * kvmmem_older_events - what KVM counts of its older MMU
 * @kvm: a live VM
 * @events: where to, by enum kvmmem_older_event
 */
static inline void kvmmem_older_events(const struct kvm *kvm, u64 *events)
{
	events[KVMMEM_OLDER_PTE_WRITE] = READ_ONCE(kvm->stat.mmu_pte_write);
	events[KVMMEM_OLDER_FLOODED] = READ_ONCE(kvm->stat.mmu_flooded);
	events[KVMMEM_OLDER_RECYCLED] = READ_ONCE(kvm->stat.mmu_recycled);
	events[KVMMEM_OLDER_ZAPPED] = READ_ONCE(kvm->stat.mmu_shadow_zapped);
}

#endif /* _KVMMEM_COMPAT_OLDER_H */
