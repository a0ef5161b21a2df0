/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The sizes of a guest's mappings, by three layers of tables.
 */
#ifndef _KVMMEM_ALIGN_H
#define _KVMMEM_ALIGN_H

#include "compat/guest.h"
#include "memory/budget.h"
#include "memory/reach.h"
#include "registry/vm.h"

int kvmmem_align(struct kvmmem_vm *vm, const struct kvmmem_regs *regs,
		 struct kvmmem_budget *budget, struct kvmmem_alignment *alignment);

#endif /* _KVMMEM_ALIGN_H */
