/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Telling somebody of births and deaths.
 */
#ifndef _KVMMEM_WATCH_H
#define _KVMMEM_WATCH_H

#include <linux/types.h>

struct kvmmem_vm;

/**
 * struct kvmmem_vm_watch - who wants to hear of births and deaths
 * @born: a VM has a record. Return: false to be asked again at the next birth or
 *	death. May sleep.
 * @died: a VM that was told of is dead, or telling ends. The record is good until
 *	it returns. May sleep.
 */
struct kvmmem_vm_watch {
	bool (*born)(struct kvmmem_vm *vm);
	void (*died)(struct kvmmem_vm *vm);
};

void kvmmem_watch_kick(void);
void kvmmem_watch_kick_slots(void);
void kvmmem_watch_kick_too(void (*fn)(void));
void kvmmem_watch_by(const struct kvmmem_vm_watch *watch);
void kvmmem_watch_settle(void);
void kvmmem_watch_stop(void);

#endif /* _KVMMEM_WATCH_H */
