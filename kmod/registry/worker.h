/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The worker, which tells of births and deaths and frees the dead.
 */
#ifndef _KVMMEM_WORKER_H
#define _KVMMEM_WORKER_H

struct kvmmem_vm;

/**
 * struct kvmmem_vm_watch - who wants to hear of births and deaths
 * @born: a VM has a record; called by the worker, may sleep
 * @died: the record is about to be freed; called by the worker, may sleep
 */
struct kvmmem_vm_watch {
	void (*born)(struct kvmmem_vm *vm);
	void (*died)(struct kvmmem_vm *vm);
};

void kvmmem_worker_kick(void);
void kvmmem_worker_bury(struct kvmmem_vm *vm);
void kvmmem_worker_watch(const struct kvmmem_vm_watch *watch);
void kvmmem_worker_settle(void);
void kvmmem_worker_stop(void);

#endif /* _KVMMEM_WORKER_H */
