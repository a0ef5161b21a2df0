/* SPDX-License-Identifier: GPL-2.0 */
/* What a kernel's configuration can leave out of KVM, and Debian's does not. */
#undef CONFIG_KVM_HYPERV
#undef CONFIG_KVM_SMM
