/* SPDX-License-Identifier: GPL-2.0 */
/* A function that KVM calls once a VM has its debugfs directory */
static void test_vm_debugfs(struct kvm *kvm)
{
	(void)kvm_arch_create_vm_debugfs(kvm);
}
