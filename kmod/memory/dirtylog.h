/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How much of a VM's memory is noted as dirty.
 */
#ifndef _KVMMEM_DIRTYLOG_H
#define _KVMMEM_DIRTYLOG_H

#include "memory/budget.h"
#include "registry/vm.h"

u64 kvmmem_dirtylog_kb(struct kvmmem_vm *vm, struct kvmmem_budget *budget);

#endif /* _KVMMEM_DIRTYLOG_H */
