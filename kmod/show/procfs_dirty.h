/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KVMMEM_PROCFS_DIRTY_H
#define _KVMMEM_PROCFS_DIRTY_H

struct kvmmem_vm;
struct seq_file;

int kvmmem_proc_dirty_head(struct seq_file *seq);
int kvmmem_proc_dirty_row(struct seq_file *seq, struct kvmmem_vm *vm);

#endif /* _KVMMEM_PROCFS_DIRTY_H */
