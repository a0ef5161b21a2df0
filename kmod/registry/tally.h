/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counts by processor, for who counts with perf (show/pmu.c). Nobody keeps them while
 * nobody does, see observed.h.
 *
 * A processor's counts grow while a thread runs on it that does what is counted. So
 * what they grow by while a thread has the processor is that thread's.
 */
#ifndef _KVMMEM_TALLY_H
#define _KVMMEM_TALLY_H

#include <linux/percpu.h>

#include "decode/fault.h"
#include "decode/flush.h"
#include "decode/inval.h"
#include "registry/observed.h"
#include "registry/vm.h"

/**
 * enum kvmmem_tally - what is counted
 * @KVMMEM_TALLY_FAULT: faults by class, and MMIO, as struct kvmmem_vcpu has them
 * @KVMMEM_TALLY_L2: faults of nested guests, of all classes
 * @KVMMEM_TALLY_REFLECTED: of those, the ones that L1 was given
 * @KVMMEM_TALLY_REFAULT: faults that brought back what was taken away lately
 * @KVMMEM_TALLY_SERVED: faults whose service time was measured
 * @KVMMEM_TALLY_KVM_NS: of it, in KVM
 * @KVMMEM_TALLY_ASLEEP_NS: of it, without a processor
 * @KVMMEM_TALLY_USER_NS: of it, in user space
 * @KVMMEM_TALLY_FLUSH: full flushes by cause
 * @KVMMEM_TALLY_RANGE: flushes of address ranges
 * @KVMMEM_TALLY_INVAL: invalidations by initiator
 * @KVMMEM_TALLY_INVAL_PAGES: pages that those took away
 * @KVMMEM_NR_TALLIES: how many there are
 */
enum kvmmem_tally {
	KVMMEM_TALLY_FAULT,
	KVMMEM_TALLY_L2 = KVMMEM_TALLY_FAULT + KVMMEM_FAULT_CELLS,
	KVMMEM_TALLY_REFLECTED,
	KVMMEM_TALLY_REFAULT,
	KVMMEM_TALLY_SERVED,
	KVMMEM_TALLY_KVM_NS,
	KVMMEM_TALLY_ASLEEP_NS,
	KVMMEM_TALLY_USER_NS,
	KVMMEM_TALLY_FLUSH,
	KVMMEM_TALLY_RANGE = KVMMEM_TALLY_FLUSH + KVMMEM_NR_CAUSES,
	KVMMEM_TALLY_INVAL,
	KVMMEM_TALLY_INVAL_PAGES = KVMMEM_TALLY_INVAL + KVMMEM_NR_INVALS,
	KVMMEM_NR_TALLIES
};

DECLARE_PER_CPU(u64[KVMMEM_NR_TALLIES], kvmmem_tallies);

int kvmmem_tally_vm(struct kvmmem_vm *vm);
void __kvmmem_tally(const struct kvmmem_vm *vm, unsigned int which, u64 n);

/**
 * kvmmem_tally - count, if somebody wants it
 * @vm: whose
 * @which: enum kvmmem_tally
 * @n: how many
 *
 * Context: a hook, in the thread that does it.
 */
static __always_inline void kvmmem_tally(const struct kvmmem_vm *vm, unsigned int which, u64 n)
{
	if (kvmmem_observed())
		__kvmmem_tally(vm, which, n);
}

#endif /* _KVMMEM_TALLY_H */
