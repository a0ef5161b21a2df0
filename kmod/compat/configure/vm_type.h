/* SPDX-License-Identifier: GPL-2.0 */
/* A VM has a type */
static unsigned long test_vm_type(struct kvm *kvm)
{
	return kvm->arch.vm_type;
}
