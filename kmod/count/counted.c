// SPDX-License-Identifier: GPL-2.0
/*
 * What is being counted of a VM. Asked when it ends: parameters may be switched and hooks
 * come and go later, and what its counts mean must not change with them.
 */
#include "count/counted.h"
#include "count/fault.h"
#include "count/latency.h"
#include "count/mmio.h"
#include "count/tlb_hooks.h"
#include "registry/ended.h"

static unsigned int counted_of_vm(const struct kvmmem_vm *vm)
{
	unsigned int counts = 0;

	if (kvmmem_fault_on())
		counts |= KVMMEM_COUNTS_FAULTS;
	if (kvmmem_mmio_known(vm))
		counts |= KVMMEM_COUNTS_MMIO;
	if (kvmmem_tlb_on())
		counts |= KVMMEM_COUNTS_FLUSHES;
	if (kvmmem_latency_on())
		counts |= KVMMEM_COUNTS_TIME;
	return counts;
}

/**
 * kvmmem_counted_init - tell whoever keeps the counts of the dead
 *
 * Context: before any VM is met.
 */
void kvmmem_counted_init(void)
{
	kvmmem_ended_ask(counted_of_vm);
}
