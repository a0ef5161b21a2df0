/* SPDX-License-Identifier: GPL-2.0 */
/* CR3's place among the registers that KVM may have read already has another name */
static enum kvm_reg test_reg_of_cr(void)
{
	return VCPU_REG_CR3;
}
