/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel that kvmmem was built for.
 *
 * The layouts of KVM's structures are those of its headers. Stable updates change them
 * (6.1.153 put a field before kvm_vcpu_arch.mmu), and nothing that the kernel compares
 * when it loads a module with CONFIG_MODVERSIONS covers them, since kvmmem imports none of
 * KVM's symbols.
 */
#ifndef _KVMMEM_RELEASE_H
#define _KVMMEM_RELEASE_H

#include <generated/utsrelease.h>
#include <linux/string.h>
#include <linux/utsname.h>

#ifdef KVMMEM_WRONG_RELEASE		/* for a test */
#define KVMMEM_RELEASE	UTS_RELEASE "-other"
#else
#define KVMMEM_RELEASE	UTS_RELEASE
#endif

/**
 * kvmmem_release_fits - does this kernel have the layouts that kvmmem knows?
 *
 * Return: true if so.
 */
static inline bool kvmmem_release_fits(void)
{
	return !strcmp(init_utsname()->release, KVMMEM_RELEASE);
}

#endif /* _KVMMEM_RELEASE_H */
