// SPDX-License-Identifier: GPL-2.0
/*
 * decoy: functions that are called like KVM's, in a module that came after it. Livepatches
 * have such. Nobody calls them.
 */
#include <linux/module.h>

struct kvm;
struct kvm_vcpu;

static noinline __used void kvm_arch_destroy_vm(struct kvm *kvm)
{
	pr_info("decoy: %ps\n", kvm);
}

static noinline __used void kvm_arch_vcpu_destroy(struct kvm_vcpu *vcpu)
{
	pr_info("decoy: %ps\n", vcpu);
}

static noinline __used void vmx_flush_tlb_guest(struct kvm_vcpu *vcpu)
{
	pr_info("decoy: vmx %ps\n", vcpu);
}

static noinline __used void svm_flush_tlb_current(struct kvm_vcpu *vcpu)
{
	pr_info("decoy: svm %ps\n", vcpu);
}

static int __init decoy_init(void)
{
	return 0;
}

static void __exit decoy_exit(void)
{
}

module_init(decoy_init);
module_exit(decoy_exit);

MODULE_DESCRIPTION("Functions that are called like KVM's");
MODULE_LICENSE("GPL");
