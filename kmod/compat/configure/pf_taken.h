/* SPDX-License-Identifier: GPL-2.0 */
/* KVM counts the faults that its MMU handles */
static u64 test_pf_taken(struct kvm_vcpu *vcpu)
{
	return vcpu->stat.pf_taken;
}
