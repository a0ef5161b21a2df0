/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What became of a VM's faults: a row of /proc/kvmmem.
 */
#ifndef _KVMMEM_PROCFS_OUTCOME_H
#define _KVMMEM_PROCFS_OUTCOME_H

struct kvmmem_vm;
struct seq_file;

int kvmmem_outcome_head(struct seq_file *seq);
int kvmmem_outcome_row(struct seq_file *seq, struct kvmmem_vm *vm);

#endif /* _KVMMEM_PROCFS_OUTCOME_H */
