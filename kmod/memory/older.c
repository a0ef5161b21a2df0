// SPDX-License-Identifier: GPL-2.0
/*
 * The load of KVM's older MMU, from KVM's own counters: see older.h.
 */
#include "decode/value.h"
#include "memory/older.h"

/**
 * kvmmem_older_of_vm - what a VM's older MMU has to do
 * @vm: its record
 * @older: where to
 *
 * Context: any in which vm->lock can be taken.
 *
 * Return: false when the VM is gone.
 */
bool kvmmem_older_of_vm(struct kvmmem_vm *vm, struct kvmmem_older *older)
{
	u64 now[KVMMEM_NR_OLDER];
	bool alive;
	int i;

	raw_spin_lock(&vm->lock);
	alive = vm->kvm;
	if (alive) {
		older->unsync = READ_ONCE(vm->kvm->stat.mmu_unsync);
		kvmmem_older_events(vm->kvm, now);
		for (i = 0; i < KVMMEM_NR_OLDER; i++)
			older->events[i] = kvmmem_grown_by(&vm->older[i], now[i]);
		older->rmap_kb = vm->backing.walked ? vm->backing.rmap_kb : KVMMEM_UNKNOWN;
	}
	raw_spin_unlock(&vm->lock);
	return alive;
}
