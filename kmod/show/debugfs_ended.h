/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KVMMEM_DEBUGFS_ENDED_H
#define _KVMMEM_DEBUGFS_ENDED_H

struct dentry;

void kvmmem_debugfs_ended(struct dentry *dir);

#endif /* _KVMMEM_DEBUGFS_ENDED_H */
