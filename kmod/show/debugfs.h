/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KVMMEM_DEBUGFS_H
#define _KVMMEM_DEBUGFS_H

void kvmmem_debugfs_init(void);
void kvmmem_debugfs_exit(void);

#endif /* _KVMMEM_DEBUGFS_H */
