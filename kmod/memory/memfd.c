// SPDX-License-Identifier: GPL-2.0
/*
 * Pages in the guest_memfds of memory slots: see memfd.h.
 *
 * Such memory need not be mapped anywhere but in KVM's tables; what is there is
 * known to the file.
 */
#include <linux/pagemap.h>
#include <linux/rcupdate.h>

#include "compat/hostpage.h"
#include "memory/memfd.h"

/* What one go may take, the VM's lock held: see kvmmem_xas_cost(). */
#define CHUNK	192

/* Pages of @mapping from @first on that lie in @slot, from its page *@at on. */
static u64 memfd_count(struct address_space *mapping, pgoff_t first,
		       const struct kvmmem_slot *slot, u64 *at)
{
	XA_STATE(xas, &mapping->i_pages, first + *at);
	pgoff_t last = first + slot->npages - 1, seen = first + *at;
	unsigned int cost = 0;
	u64 pages = 0;
	void *entry;

	xas_for_each(&xas, entry, last) {
		pgoff_t begin, end;

		if (xas_retry(&xas, entry) || xa_is_value(entry))
			continue;
		cost += kvmmem_xas_cost(seen, max(seen, xas.xa_index));
		begin = max(xas.xa_index & ~(kvmmem_xas_pages(&xas) - 1), first + *at);
		end = min(xas.xa_index | (kvmmem_xas_pages(&xas) - 1), last);
		pages += end - begin + 1;
		seen = end;
		if (cost >= CHUNK) {
			*at = end + 1 - first;
			return pages;
		}
	}
	*at = slot->npages;
	return pages;
}

/**
 * kvmmem_memfd_chunk - count on the pages of a slot's guest_memfd
 * @vm: the record
 * @slot: the slot
 * @at: page of the slot where to go on; @slot->npages at the end
 *
 * Context: any in which vm->lock can be taken.
 *
 * Return: pages found.
 */
u64 kvmmem_memfd_chunk(struct kvmmem_vm *vm, const struct kvmmem_slot *slot, u64 *at)
{
	struct address_space *mapping = NULL;
	u64 before = *at, pages = 0;
	pgoff_t first = 0;
	int idx;

	*at = slot->npages;
	raw_spin_lock(&vm->lock);
	if (vm->kvm && before < slot->npages) {
		struct kvm_memory_slot *now;

		idx = srcu_read_lock(&vm->kvm->srcu);
		rcu_read_lock();
		now = kvmmem_slot_at(vm->kvm, slot->base_gfn);
		if (now && kvmmem_slot_is_private(now))
			mapping = kvmmem_slot_memfd(now, &first);
		if (mapping) {
			*at = before;
			pages = memfd_count(mapping, first, slot, at);
		}
		rcu_read_unlock();
		srcu_read_unlock(&vm->kvm->srcu, idx);
	}
	raw_spin_unlock(&vm->lock);
	return pages;
}
