/* SPDX-License-Identifier: GPL-2.0 */
/* A slot can have a guest_memfd */
static struct file *test_guest_memfd(struct kvm_memory_slot *slot)
{
	return slot->gmem.file;
}
