/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who took memory away from a VM: rows of /proc/kvmmem.
 */
#ifndef _KVMMEM_PROCFS_INVAL_H
#define _KVMMEM_PROCFS_INVAL_H

struct kvmmem_vm;
struct seq_file;

int kvmmem_proc_inval_head(struct seq_file *seq);
int kvmmem_proc_inval_row(struct seq_file *seq, struct kvmmem_vm *vm);
int kvmmem_proc_inval_kb_head(struct seq_file *seq);
int kvmmem_proc_inval_kb_row(struct seq_file *seq, struct kvmmem_vm *vm);

#endif /* _KVMMEM_PROCFS_INVAL_H */
