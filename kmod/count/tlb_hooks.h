/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The hooks of flush accounting, and what can be known with those attached.
 */
#ifndef _KVMMEM_TLB_HOOKS_H
#define _KVMMEM_TLB_HOOKS_H

#include <linux/ftrace.h>
#include <linux/types.h>

struct kvmmem_probe;
struct kvmmem_vm;

void kvmmem_tlb_hooks_init(const ftrace_func_t *funcs, const struct kvmmem_probe *pv,
			   ftrace_func_t remote);
bool kvmmem_tlb_on(void);
bool kvmmem_tlb_waits(void);
bool kvmmem_tlb_ranges_known(void);
bool kvmmem_tlb_causes_known(void);
bool kvmmem_tlb_vm_causes_known(const struct kvmmem_vm *vm);

#endif /* _KVMMEM_TLB_HOOKS_H */
