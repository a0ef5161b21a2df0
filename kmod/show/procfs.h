/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KVMMEM_PROCFS_H
#define _KVMMEM_PROCFS_H

int kvmmem_procfs_init(void);
void kvmmem_procfs_exit(void);

#endif /* _KVMMEM_PROCFS_H */
