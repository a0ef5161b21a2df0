/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /proc/kvmmem: where a VM's memory lies.
 */
#ifndef _KVMMEM_PROCFS_MEMORY_H
#define _KVMMEM_PROCFS_MEMORY_H

struct kvmmem_vm;
struct seq_file;

int kvmmem_proc_numa_head(struct seq_file *seq);
int kvmmem_proc_numa_rows(struct seq_file *seq, struct kvmmem_vm *vm);

#endif /* _KVMMEM_PROCFS_MEMORY_H */
