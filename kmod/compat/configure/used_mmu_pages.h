/* SPDX-License-Identifier: GPL-2.0 */
/* KVM counts the table pages of its older MMU, by VM */
static unsigned long test_used_mmu_pages(struct kvm *kvm)
{
	return kvm->arch.n_used_mmu_pages;
}
