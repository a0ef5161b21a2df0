/* SPDX-License-Identifier: GPL-2.0 */
/* KVM counts the requests for remote flushes */
static u64 test_remote_requests(struct kvm *kvm)
{
	return kvm->stat.generic.remote_tlb_flush_requests;
}
