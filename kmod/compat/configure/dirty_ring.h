/* SPDX-License-Identifier: GPL-2.0 */
/* dirty pages can be noted in a ring for each vCPU */
static u32 test_dirty_ring(struct kvm *kvm, struct kvm_vcpu *vcpu)
{
	return kvm->dirty_ring_size + vcpu->dirty_ring.dirty_index - vcpu->dirty_ring.reset_index;
}
