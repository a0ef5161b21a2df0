/* SPDX-License-Identifier: GPL-2.0 */
/* The iterator over memory slots has a cursor for the bucket */
static struct kvm_memory_slot *test_memslot_iterator(struct kvm_memslots *slots)
{
	struct kvm_memory_slot *slot;
	int bkt;

	kvm_for_each_memslot(slot, bkt, slots)
		return slot;
	return NULL;
}
