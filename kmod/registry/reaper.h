/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The reaper, which frees the records of dead VMs.
 */
#ifndef _KVMMEM_REAPER_H
#define _KVMMEM_REAPER_H

struct kvmmem_vm;

void kvmmem_reaper_unhash(struct kvmmem_vm *vm);
void kvmmem_reaper_bury(struct kvmmem_vm *vm);
void kvmmem_reaper_settle(void);
void kvmmem_reaper_stop(void);

#endif /* _KVMMEM_REAPER_H */
