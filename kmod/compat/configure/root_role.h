/* SPDX-License-Identifier: GPL-2.0 */
/* The role of the root is a field of the MMU */
static unsigned int test_root_role(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.root_mmu.root_role.level;
}
