/* SPDX-License-Identifier: GPL-2.0 */
/* The root is a struct, in 5.18 before its role is a field of the MMU */
static hpa_t test_root_info(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.root_mmu.root.hpa;
}
