/* SPDX-License-Identifier: GPL-2.0 */
/* KVM changes a slot by what it was and what it is, without user space's words for it */
static void test_commit_region(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	kvm_arch_commit_memory_region(kvm, slot, slot, KVM_MR_FLAGS_ONLY);
}
