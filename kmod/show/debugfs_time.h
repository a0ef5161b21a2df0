/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KVMMEM_DEBUGFS_TIME_H
#define _KVMMEM_DEBUGFS_TIME_H

struct dentry;
struct kvmmem_vm;

bool kvmmem_debugfs_time(struct kvmmem_vm *vm, struct dentry *dir);

#endif /* _KVMMEM_DEBUGFS_TIME_H */
