/* SPDX-License-Identifier: GPL-2.0 */
/* Nowhere: proves that a failure is noticed */
static int test_never(struct kvm *kvm)
{
	return kvm->kvmmem_has_no_such_member;
}
