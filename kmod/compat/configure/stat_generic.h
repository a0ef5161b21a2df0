/* SPDX-License-Identifier: GPL-2.0 */
/* The counters that all architectures have are in a structure of their own */
static u64 test_stat_generic(struct kvm *kvm)
{
	return kvm->stat.generic.remote_tlb_flush;
}
