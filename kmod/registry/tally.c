// SPDX-License-Identifier: GPL-2.0
/*
 * Counts by processor: see tally.h.
 */
#include "registry/tally.h"

DEFINE_PER_CPU(u64[KVMMEM_NR_TALLIES], kvmmem_tallies);

/**
 * __kvmmem_tally - the rest of kvmmem_tally()
 * @vm: whose
 * @which: enum kvmmem_tally
 * @n: how many
 *
 * The thread may change its processor in between: each count is one instruction.
 */
noinline void __kvmmem_tally(const struct kvmmem_vm *vm, unsigned int which, u64 n)
{
	u64 __percpu *own = READ_ONCE(vm->tallies);

	this_cpu_add(kvmmem_tallies[which], n);
	if (own)
		this_cpu_add(own[which], n);
}

/**
 * kvmmem_tally_vm - have a VM's counts kept apart, too
 * @vm: its record, on which the caller has a reference
 *
 * They begin at 0, and last as long as the record. Context: may sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int kvmmem_tally_vm(struct kvmmem_vm *vm)
{
	u64 __percpu *new;

	if (READ_ONCE(vm->tallies))
		return 0;
	new = __alloc_percpu(KVMMEM_NR_TALLIES * sizeof(*new), __alignof__(*new));
	if (!new)
		return -ENOMEM;
	if (cmpxchg(&vm->tallies, NULL, new))
		free_percpu(new);
	return 0;
}
