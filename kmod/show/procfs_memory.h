/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /proc/kvmmem: where a VM's memory lies, and what the older MMU has to do for it.
 */
#ifndef _KVMMEM_PROCFS_MEMORY_H
#define _KVMMEM_PROCFS_MEMORY_H

struct kvmmem_vm;
struct seq_file;

int kvmmem_proc_huge_head(struct seq_file *seq);
int kvmmem_proc_huge_row(struct seq_file *seq, struct kvmmem_vm *vm);
int kvmmem_proc_numa_head(struct seq_file *seq);
int kvmmem_proc_numa_rows(struct seq_file *seq, struct kvmmem_vm *vm);
int kvmmem_proc_older_head(struct seq_file *seq);
int kvmmem_proc_older_row(struct seq_file *seq, struct kvmmem_vm *vm);

#endif /* _KVMMEM_PROCFS_MEMORY_H */
