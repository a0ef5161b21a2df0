/* SPDX-License-Identifier: GPL-2.0 */
/* KVM zaps what was split for a log, and puts nothing back itself */
static void test_zap_collapsible(struct kvm *kvm, const struct kvm_memory_slot *slot)
{
	kvm_mmu_zap_collapsible_sptes(kvm, slot);
}
