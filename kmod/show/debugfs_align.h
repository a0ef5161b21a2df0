/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KVMMEM_DEBUGFS_ALIGN_H
#define _KVMMEM_DEBUGFS_ALIGN_H

struct dentry;
struct kvmmem_vm;

bool kvmmem_debugfs_align(struct kvmmem_vm *vm, struct dentry *dir);

#endif /* _KVMMEM_DEBUGFS_ALIGN_H */
