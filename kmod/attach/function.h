/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hooks at the entry of KVM's functions, in groups.
 */
#ifndef _KVMMEM_FUNCTION_H
#define _KVMMEM_FUNCTION_H

#include "attach/hook.h"

void kvmmem_functions_init(struct kvmmem_hook_group *group);
void kvmmem_functions_attach(struct kvmmem_hook_group *group, struct list_head *hooks,
			     bool module_here);
void kvmmem_functions_detach(struct kvmmem_hook_group *group, struct list_head *hooks);
void kvmmem_functions_leave(void);

#endif /* _KVMMEM_FUNCTION_H */
