/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How much of a VM's memory is noted as dirty.
 */
#ifndef _KVMMEM_DIRTYLOG_H
#define _KVMMEM_DIRTYLOG_H

#include "registry/vm.h"

u64 kvmmem_dirtylog_kb(struct kvmmem_vm *vm);

#endif /* _KVMMEM_DIRTYLOG_H */
