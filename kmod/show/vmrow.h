/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Rows of a VM's name and numbers.
 */
#ifndef _KVMMEM_VMROW_H
#define _KVMMEM_VMROW_H

#include <linux/build_bug.h>
#include <linux/kernel.h>

#include "registry/vm.h"
#include "show/table.h"

/**
 * kvmmem_vm_row - print a row
 * @_seq: where to
 * @_table: its KVMMEM_TABLE(), whose first column is the VM
 * @_vm: the VM's record
 * @...: a number for each other column, or KVMMEM_UNKNOWN
 */
#define kvmmem_vm_row(_seq, _table, _vm, ...)					\
do {										\
	const u64 _values[] = { __VA_ARGS__ };					\
										\
	static_assert(ARRAY_SIZE(_values) == ARRAY_SIZE(_table##_columns) - 1);	\
	kvmmem_table_row(_seq, &(_table), (_vm)->padded_id, (_vm)->id_len, _values); \
} while (0)

#endif /* _KVMMEM_VMROW_H */
