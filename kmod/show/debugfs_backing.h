/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KVMMEM_DEBUGFS_BACKING_H
#define _KVMMEM_DEBUGFS_BACKING_H

struct dentry;
struct kvmmem_vm;

bool kvmmem_debugfs_backing(struct kvmmem_vm *vm, struct dentry *dir);

#endif /* _KVMMEM_DEBUGFS_BACKING_H */
