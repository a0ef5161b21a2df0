/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How much of a VM's memory is noted as dirty.
 */
#ifndef _KVMMEM_DIRTYLOG_H
#define _KVMMEM_DIRTYLOG_H

#include "memory/budget.h"
#include "registry/vm.h"

void kvmmem_dirtylog_refresh(struct kvmmem_budget *budget);
u64 kvmmem_dirtylog_kb(const struct kvmmem_vm *vm, u64 since);

#endif /* _KVMMEM_DIRTYLOG_H */
