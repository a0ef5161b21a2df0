/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What of the memory's side depends on a kernel version or on KVM's private
 * layout: memory slots, KVM's tables. Like compat.h, and only for those who look at
 * them. The host's page tables are in compat/hostpage.h.
 */
#ifndef _KVMMEM_COMPAT_MEMORY_H
#define _KVMMEM_COMPAT_MEMORY_H

#include <linux/mm.h>

#include "compat/spte.h"

/**
 * struct kvmmem_slot - a copy of what matters of a memory slot
 * @base_gfn: first guest page
 * @npages: pages
 * @hva: where it lies in the VM's process
 * @flags: KVM_MEM_*
 * @id: KVM's number of it
 * @rmap_bytes: what its reverse mappings take
 */
struct kvmmem_slot {
	u64 base_gfn;
	u64 npages;
	unsigned long hva;
	u32 flags;
	int id;
	u64 rmap_bytes;
};

#ifdef KVMMEM_HAVE_MEMSLOT_ITERATOR
#define kvmmem_for_each_slot_from(slot, slots, gfn)				\
	for (struct kvm_memslot_iter __iter = ({				\
			struct kvm_memslot_iter __i;				\
			kvm_memslot_iter_start(&__i, slots, gfn); __i; });	\
	     kvm_memslot_iter_is_valid(&__iter, ~0ULL) &&			\
	     ((slot) = __iter.slot);						\
	     kvm_memslot_iter_next(&__iter))
#else
/*
 * An array, the highest address first: how many slots begin at @gfn or above, and the one
 * below, which may reach across @gfn?
 */
static inline unsigned int kvmmem_slots_above(const struct kvm_memslots *slots, u64 gfn)
{
	unsigned int low = 0, high = slots->used_slots, middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (slots->memslots[middle].base_gfn >= gfn)
			low = middle + 1;
		else
			high = middle;
	}
	return min_t(unsigned int, low + 1, slots->used_slots);
}

/* @slots is a variable: another array may be KVM's by the next look. */
#define kvmmem_for_each_slot_from(slot, slots, gfn)				\
	for ((slot) = &(slots)->memslots[kvmmem_slots_above(slots, gfn)];	\
	     (slot)-- > &(slots)->memslots[0];)
#endif

/* What a slot's reverse mappings take, but for chains of several entries. */
static inline u64 kvmmem_slot_rmap_bytes(const struct kvm_memory_slot *slot)
{
	u64 entries = 0;
	int i;

	for (i = 0; i < KVM_NR_PAGE_SIZES; i++)
		if (READ_ONCE(slot->arch.rmap[i]))
			entries += ((slot->base_gfn + slot->npages - 1) >> (9 * i)) -
				   (slot->base_gfn >> (9 * i)) + 1;
	return entries * sizeof(struct kvm_rmap_head);
}

static inline void kvmmem_slot_copy(const struct kvm_memory_slot *slot, struct kvmmem_slot *copy)
{
	copy->base_gfn = slot->base_gfn;
	copy->npages = slot->npages;
	copy->hva = slot->userspace_addr;
	copy->flags = slot->flags;
	copy->id = slot->id;
	copy->rmap_bytes = kvmmem_slot_rmap_bytes(slot);
}

/**
 * kvmmem_slots_from - copy memory slots, in the order of their addresses
 * @kvm: a live VM
 * @gfn: only slots that begin at this page or above
 * @copy: where to
 * @max: room there
 *
 * Address space 0 only: 1 is SMM's view of the same memory. Does not sleep; takes kvm->srcu
 * for reading.
 *
 * Return: slots copied; there may be more when it is @max.
 */
static inline unsigned int kvmmem_slots_from(struct kvm *kvm, u64 gfn,
					     struct kvmmem_slot *copy, unsigned int max)
{
	struct kvm_memory_slot *slot;
	struct kvm_memslots *slots;
	unsigned int n = 0;
	int idx;

	idx = srcu_read_lock(&kvm->srcu);
	slots = __kvm_memslots(kvm, 0);
	kvmmem_for_each_slot_from(slot, slots, gfn) {
		/* One that reaches across @gfn comes first. */
		if (slot->base_gfn < gfn)
			continue;
		if (n == max)
			break;
		kvmmem_slot_copy(slot, &copy[n++]);
	}
	srcu_read_unlock(&kvm->srcu, idx);
	return n;
}

#ifdef KVMMEM_HAVE_GUEST_MEMFD
#define kvmmem_slot_is_private(slot)	((slot)->flags & KVM_MEM_GUEST_MEMFD)

/**
 * kvmmem_slot_memfd - where the pages of a slot's guest_memfd are
 * @slot: the slot
 * @first: index of the slot's first page there
 *
 * The file may be released at any time: KVM first clears the slot's pointer, then
 * lets go of the inode, which is freed after a grace period. The file itself may be
 * another one by then, so a pointer that is still there vouches for the mapping.
 * Context: RCU, and kvm->srcu.
 *
 * Return: the mapping, or NULL if there is none.
 */
static inline struct address_space *kvmmem_slot_memfd(struct kvm_memory_slot *slot,
						      pgoff_t *first)
{
	struct file *file = READ_ONCE(slot->gmem.file);
	struct address_space *mapping = file ? READ_ONCE(file->f_mapping) : NULL;

	smp_rmb(); /* the mapping, then that it was this slot's */
	*first = slot->gmem.pgoff;
	return READ_ONCE(slot->gmem.file) == file ? mapping : NULL;
}

#define KVMMEM_HAS_MEMFD	true
#else
#define KVMMEM_HAS_MEMFD	false
#define kvmmem_slot_is_private(slot)	((slot)->flags & 0)
static inline struct address_space *kvmmem_slot_memfd(struct kvm_memory_slot *slot,
						      pgoff_t *first)
{
	return NULL;
}
#endif

/**
 * kvmmem_slots_generation - changes when the memory slots do
 * @kvm: a live VM
 *
 * Does not sleep; takes kvm->srcu for reading.
 *
 * Return: KVM's generation of address space 0; 0 before the first slot.
 */
static inline u64 kvmmem_slots_generation(struct kvm *kvm)
{
	int idx = srcu_read_lock(&kvm->srcu);
	u64 generation = READ_ONCE(__kvm_memslots(kvm, 0)->generation);

	srcu_read_unlock(&kvm->srcu, idx);
	return generation;
}

/**
 * kvmmem_slots_find - the slot that a guest page lies in
 * @slots: where to look
 * @gfn: the page
 *
 * Context: KVM's srcu is held.
 *
 * Return: the slot or NULL.
 */
static inline struct kvm_memory_slot *kvmmem_slots_find(const struct kvm_memslots *slots,
							u64 gfn)
{
	struct kvm_memory_slot *slot;

	kvmmem_for_each_slot_from(slot, (struct kvm_memslots *)slots, gfn) {
		if (slot->base_gfn > gfn)
			break;
		if (gfn < slot->base_gfn + slot->npages)
			return slot;
	}
	return NULL;
}

/* The slot that a guest page lies in, or NULL. Under kvm->srcu. */
static inline struct kvm_memory_slot *kvmmem_slot_at(struct kvm *kvm, u64 gfn)
{
	return kvmmem_slots_find(__kvm_memslots(kvm, 0), gfn);
}

/**
 * kvmmem_slot_with - copy the slot that a guest page lies in
 * @kvm: a live VM
 * @gfn: the page
 * @copy: where to
 *
 * Does not sleep; takes kvm->srcu for reading.
 *
 * Return: false where no slot is.
 */
static inline bool kvmmem_slot_with(struct kvm *kvm, u64 gfn, struct kvmmem_slot *copy)
{
	int idx = srcu_read_lock(&kvm->srcu);
	struct kvm_memory_slot *slot = kvmmem_slot_at(kvm, gfn);

	if (slot)
		kvmmem_slot_copy(slot, copy);
	srcu_read_unlock(&kvm->srcu, idx);
	return slot;
}

/**
 * kvmmem_slot_is_users - is a slot the VMM's, and not one of KVM's own?
 * @slot: the slot
 *
 * Return: true if it is.
 */
static inline bool kvmmem_slot_is_users(const struct kvm_memory_slot *slot)
{
	return slot->id < KVM_USER_MEM_SLOTS;
}

/**
 * kvmmem_slot_is_emulated - does KVM emulate accesses to this slot all the same?
 * @vcpu: the vCPU that faulted there
 * @slot: the slot
 *
 * The page of the local APIC has a slot where the processor can serve it. KVM
 * emulates while that is inhibited, and for a nested guest (mmu.c, kvm_mmu_faultin_pfn).
 *
 * Return: true if it does.
 */
static inline bool kvmmem_slot_is_emulated(const struct kvm_vcpu *vcpu,
					   const struct kvm_memory_slot *slot)
{
	return slot->id == APIC_ACCESS_PAGE_PRIVATE_MEMSLOT &&
	       (READ_ONCE(vcpu->kvm->arch.apicv_inhibit_reasons) ||
		(vcpu->arch.hflags & HF_GUEST_MASK));
}

/**
 * kvmmem_slot_flags - KVM_MEM_* of the slot that a guest page lies in
 * @kvm: a live VM
 * @gfn: the page
 *
 * Does not sleep; takes kvm->srcu for reading.
 *
 * Return: 0 where no slot is.
 */
static inline u32 kvmmem_slot_flags(struct kvm *kvm, u64 gfn)
{
	struct kvmmem_slot slot;

	return kvmmem_slot_with(kvm, gfn, &slot) ? slot.flags : 0;
}

/**
 * kvmmem_huge_disallowed - does KVM keep a guest page from lying in a 2M mapping?
 * @kvm: a live VM
 * @gfn: the page
 *
 * KVM's own note (lpage_info): of the slot's alignment and edges, of guest page
 * tables and other pages that it write-protects, and of mixed attributes. Does
 * not sleep; takes kvm->srcu for reading.
 *
 * Return: true if it does.
 */
static inline bool kvmmem_huge_disallowed(struct kvm *kvm, u64 gfn)
{
	int idx = srcu_read_lock(&kvm->srcu);
	struct kvm_memory_slot *slot = kvmmem_slot_at(kvm, gfn);
	bool disallowed = false;

	if (slot && slot->arch.lpage_info[0]) {
		u64 i = (gfn >> 9) - (slot->base_gfn >> 9);

		disallowed = READ_ONCE(slot->arch.lpage_info[0][i].disallow_lpage);
	}
	srcu_read_unlock(&kvm->srcu, idx);
	return disallowed;
}

/**
 * kvmmem_ept_leaves - leaf entries that KVM counts in a VM's tables now
 * @kvm: a live VM
 * @level: 0: 4K, 1: 2M, 2: 1G
 *
 * Return: KVMMEM_UNKNOWN (value.h) where KVM does not count them by size.
 */
static inline u64 kvmmem_ept_leaves(const struct kvm *kvm, int level)
{
#ifdef KVMMEM_HAVE_STAT_PAGES
	return max_t(s64, atomic64_read(&kvm->stat.pages[level]), 0);
#else
	return U64_MAX;
#endif
}

/* Does KVM count the leaf entries by size? */
#ifdef KVMMEM_HAVE_STAT_PAGES
#define KVMMEM_KVM_COUNTS_LEAVES	1
#else
#define KVMMEM_KVM_COUNTS_LEAVES	0
#endif

/**
 * kvmmem_ept_2m_is - is KVM's count of 2M mappings this? For the hot path
 * @kvm: the VM of the calling thread's vCPU
 * @count: what it may be
 *
 * Return: true if so, or if KVM does not count them.
 */
static __always_inline bool kvmmem_ept_2m_is(const struct kvm *kvm, u64 count)
{
#ifdef KVMMEM_HAVE_STAT_PAGES
	return atomic64_read(&kvm->stat.pages[1]) == count;
#else
	return true;
#endif
}

/**
 * kvmmem_nx_splits - tables that KVM has only since a huge page was executed
 * @kvm: a live VM
 *
 * Return: how many, now.
 */
static inline u64 kvmmem_nx_splits(const struct kvm *kvm)
{
	return READ_ONCE(kvm->stat.nx_lpage_splits);
}

/**
 * kvmmem_shadow_tables - table pages of KVM's older MMU
 * @kvm: a live VM
 *
 * Return: how many, now.
 */
static inline u64 kvmmem_shadow_tables(const struct kvm *kvm)
{
#ifdef KVMMEM_HAVE_USED_MMU_PAGES
	return READ_ONCE(kvm->arch.n_used_mmu_pages);
#else
	return READ_ONCE(kvm->stat.mmu_shadow_pages);
#endif
}

/**
 * kvmmem_spte_frozen - is an entry's change under way?
 * @spte: an entry without KVMMEM_SPTE_PRESENT
 *
 * REMOVED_SPTE, later FROZEN_SPTE of KVM's private spte.h: not 0, whatever else
 * it is; entries of MMIO are never huge before.
 *
 * Return: true if it is.
 */
static inline bool kvmmem_spte_frozen(u64 spte)
{
	return spte & ~BIT_ULL(63);	/* 63: "suppress #VE", set in every absent entry */
}

/**
 * kvmmem_tdp_roots - the list of the roots of KVM's newer MMU
 * @kvm: a live VM
 *
 * An RCU list: kvm_tdp_mmu_put_root() takes a root from it before it hands the
 * root to call_rcu(). It did not always do so, which a compiler cannot tell,
 * but has since before a vCPU's MMU got its root_role.
 *
 * Return: NULL where that MMU frees its tables otherwise, or is off: the list was not
 * made then.
 */
static inline const struct list_head *kvmmem_tdp_roots(const struct kvm *kvm)
{
#ifdef KVMMEM_HAVE_ROOT_ROLE
	const struct list_head *roots = &kvm->arch.tdp_mmu_roots;

	return READ_ONCE(roots->next) ? roots : NULL;
#else
	return NULL;
#endif
}

/**
 * kvmmem_has_tdp_mmu - are a VM's tables those of KVM's newer MMU?
 * @kvm: a live VM
 *
 * Return: true if so, but for those of nested guests.
 */
static inline bool kvmmem_has_tdp_mmu(const struct kvm *kvm)
{
#ifdef KVMMEM_HAVE_ROOT_ROLE
	return kvmmem_tdp_roots(kvm);
#else
	return kvm->arch.tdp_mmu_enabled;
#endif
}

/**
 * kvmmem_tdp_root - the tables that a vCPU runs its guest on
 * @vcpu: a live vCPU
 * @level: where to put their levels
 *
 * Not those of a nested guest. A slot's deletion makes all tables obsolete: KVM asks
 * each vCPU to let go of its own, and zaps them. One that does not run keeps them, and
 * the request, until it does; so the request tells (as in KVM's is_page_fault_stale()).
 * KVM makes it after the tables are marked, and the vCPU takes it before it lets go.
 *
 * Return: their physical address, INVALID_PAGE if there are none, or if they are
 * obsolete, those of SMM, or of a nested guest without second-level tables.
 */
static inline hpa_t kvmmem_tdp_root(const struct kvm_vcpu *vcpu, int *level)
{
#ifdef KVMMEM_HAVE_ROOT_ROLE
	union kvm_mmu_page_role role = READ_ONCE(vcpu->arch.root_mmu.root_role);
	hpa_t hpa;

	*level = role.level;
	if (role.smm || role.guest_mode || !role.direct)
		return INVALID_PAGE;
	hpa = READ_ONCE(vcpu->arch.root_mmu.root.hpa);
	smp_rmb(); /* the address before the role that it was of */
	if (READ_ONCE(vcpu->arch.root_mmu.root_role.word) != role.word)
		return INVALID_PAGE;
	smp_rmb(); /* and before the request that makes it obsolete */
	if (kvm_test_request(KVM_REQ_MMU_FREE_OBSOLETE_ROOTS, (struct kvm_vcpu *)vcpu))
		return INVALID_PAGE;
	return hpa;
#else
	return INVALID_PAGE;
#endif
}

#endif /* _KVMMEM_COMPAT_MEMORY_H */
