/* SPDX-License-Identifier: GPL-2.0 */
/* KVM counts the leaf entries of its tables, by size */
static s64 test_stat_pages(struct kvm *kvm)
{
	return atomic64_read(&kvm->stat.pages[0]);
}
