/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What of dirty logging depends on a kernel version or on KVM's private layout.
 */
#ifndef _KVMMEM_COMPAT_DIRTY_H
#define _KVMMEM_COMPAT_DIRTY_H

#include <linux/bitops.h>
#include <linux/version.h>

#include "compat/memory.h"

/* The arguments of kvm_arch_commit_memory_region() that are the slot before and after. */
#ifdef KVMMEM_HAVE_COMMIT_REGION
#define KVMMEM_COMMIT_OLD_ARG	1
#else
#define KVMMEM_COMMIT_OLD_ARG	2
#endif

/* Does KVM put huge mappings back in place when a slot ceases to be logged? 6.13 and on. */
#ifdef KVMMEM_HAVE_ZAP_COLLAPSIBLE
#define KVMMEM_KVM_PUTS_BACK	false
#else
#define KVMMEM_KVM_PUTS_BACK	true
#endif

/*
 * A write to logged memory that a huge mapping maps: newer kernels split the mapping in
 * place, since 6.2; the others take it away, and put a table there.
 */
#define KVMMEM_KVM_SPLITS_IN_PLACE	(LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0))

/**
 * kvmmem_slot_is_logged - is a slot one of the VM's memory that is logged?
 * @slot: the slot or NULL
 *
 * Address space 0 only: 1 is SMM's view of the same memory.
 *
 * Return: true if it is.
 */
static inline bool kvmmem_slot_is_logged(const struct kvm_memory_slot *slot)
{
	return slot && !slot->as_id && (slot->flags & KVM_MEM_LOG_DIRTY_PAGES);
}

/**
 * kvmmem_slot_dirty - count bits of a slot's dirty bitmap
 * @kvm: a live VM
 * @base_gfn: first page of the slot
 * @word: where to begin, in words of the bitmap
 * @max: how many words
 *
 * KVM frees a bitmap after it has waited for readers under kvm->srcu. Does not
 * sleep.
 *
 * Return: dirty pages; KVMMEM_UNKNOWN (value.h) where no such bitmap is.
 */
static inline u64 kvmmem_slot_dirty(struct kvm *kvm, u64 base_gfn, u64 word, u64 max)
{
	int idx = srcu_read_lock(&kvm->srcu);
	struct kvm_memory_slot *slot = kvmmem_slot_at(kvm, base_gfn);
	const unsigned long *bitmap = slot ? READ_ONCE(slot->dirty_bitmap) : NULL;
	u64 end, dirty = U64_MAX;

	if (bitmap && slot->base_gfn == base_gfn) {
		dirty = 0;
		end = min_t(u64, word + max, BITS_TO_LONGS(slot->npages));
		for (; word < end; word++) {
			unsigned long bits = READ_ONCE(bitmap[word]);

			if (bits)
				dirty += hweight_long(bits);
		}
	}
	srcu_read_unlock(&kvm->srcu, idx);
	return dirty;
}

/**
 * kvmmem_has_dirty_ring - are dirty pages noted in a ring for each vCPU?
 * @kvm: a live VM
 *
 * Return: true if so, and not in bitmaps.
 */
static inline bool kvmmem_has_dirty_ring(const struct kvm *kvm)
{
#ifdef KVMMEM_HAVE_DIRTY_RING
	return READ_ONCE(kvm->dirty_ring_size);
#else
	return false;
#endif
}

/**
 * kvmmem_ring_dirty - entries of a vCPU's ring that are not free again
 * @vcpu: a live vCPU
 *
 * Return: how many.
 */
static inline u32 kvmmem_ring_dirty(const struct kvm_vcpu *vcpu)
{
#ifdef KVMMEM_HAVE_DIRTY_RING
	u32 reset = READ_ONCE(vcpu->dirty_ring.reset_index);

	smp_rmb(); /* it only follows the other one */
	return READ_ONCE(vcpu->dirty_ring.dirty_index) - reset;
#else
	return 0;
#endif
}

#endif /* _KVMMEM_COMPAT_DIRTY_H */
