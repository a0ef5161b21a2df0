/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /proc/kvmmem: the row of all VMs since load.
 */
#ifndef _KVMMEM_PROCFS_TOTAL_H
#define _KVMMEM_PROCFS_TOTAL_H

struct seq_file;

int kvmmem_proc_total(struct seq_file *seq);

#endif /* _KVMMEM_PROCFS_TOTAL_H */
