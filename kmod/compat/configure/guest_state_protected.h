/* SPDX-License-Identifier: GPL-2.0 */
/* A vCPU has a flag that the host cannot see its registers */
static bool test_guest_state_protected(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.guest_state_protected;
}
