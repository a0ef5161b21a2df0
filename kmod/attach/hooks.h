/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All hooks: attaching them to KVM when it comes, and letting go when it leaves.
 */
#ifndef _KVMMEM_HOOKS_H
#define _KVMMEM_HOOKS_H

#include "attach/hook.h"

struct module;

void kvmmem_hook_add(struct kvmmem_hook *hook);
void kvmmem_hook_switch(struct kvmmem_hook *hook, bool on);
void kvmmem_hook_group_switch(struct kvmmem_hook_group *group, bool on);

int kvmmem_hooks_start(void (*kvm_gone)(void), void (*kvm_late)(void));
void kvmmem_hooks_stop(void);
void kvmmem_hooks_forget(void);

/**
 * kvmmem_hooks_for_each - call a function for each hook
 * @fn: called with hooks_mutex held; may sleep
 * @data: handed through
 *
 * Context: may sleep.
 */
void kvmmem_hooks_for_each(void (*fn)(const struct kvmmem_hook *hook, void *data),
			   void *data);

/**
 * kvmmem_hooks_with_kvm - run a function while KVM's module cannot leave
 * @fn: called with KVM's struct module, NULL if KVM is built in
 *
 * Does nothing when KVM is not there. Context: may sleep.
 */
void kvmmem_hooks_with_kvm(void (*fn)(const struct module *kvm));

#endif /* _KVMMEM_HOOKS_H */
