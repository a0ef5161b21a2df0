/* SPDX-License-Identifier: GPL-2.0 */
/* A vCPU has a flag that its guest uses the interface of Hyper-V */
static bool test_hyperv_enabled(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.hyperv_enabled;
}
