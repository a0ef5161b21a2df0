// SPDX-License-Identifier: GPL-2.0
/*
 * What is being counted of a VM. Asked when it ends: parameters may be switched and hooks
 * come and go later, and what its counts mean must not change with them.
 */
#include "count/counted.h"
#include "count/fault.h"
#include "count/latency.h"
#include "count/mmio.h"
#include "count/run.h"
#include "count/tlb_hooks.h"
#include "registry/ended.h"
#include "registry/info.h"

/* By what is attached now; and when a VM ended last. */
static unsigned int counted_last;

static unsigned int counted_now(void)
{
	unsigned int counts = 0;

	if (kvmmem_fault_on())
		counts |= KVMMEM_COUNTS_FAULTS;
	if (kvmmem_mmio_on())
		counts |= KVMMEM_COUNTS_MMIO;
	if (kvmmem_tlb_on())
		counts |= KVMMEM_COUNTS_FLUSHES;
	if (kvmmem_tlb_causes_known())
		counts |= KVMMEM_COUNTS_CAUSES;
	if (kvmmem_tlb_ranges_known())
		counts |= KVMMEM_COUNTS_RANGES;
	if (kvmmem_latency_on())
		counts |= KVMMEM_COUNTS_TIME;
	return counts;
}

static unsigned int counted_of_vm(const struct kvmmem_vm *vm)
{
	unsigned int counts = counted_now();

	WRITE_ONCE(counted_last, counts);
	counts &= ~(KVMMEM_COUNTS_MMIO | KVMMEM_COUNTS_CAUSES);
	if (kvmmem_mmio_known(vm))
		counts |= KVMMEM_COUNTS_MMIO;
	if (kvmmem_tlb_vm_causes_known(vm))
		counts |= KVMMEM_COUNTS_CAUSES;
	return counts;
}

/**
 * kvmmem_counted_of_all - what is being counted of all VMs together
 *
 * KVM can leave when the last VM has ended, and nothing is missing while it is away: then
 * it is what was counted of that one. Context: any.
 *
 * Return: KVMMEM_COUNTS_*; none before KVM has come.
 */
unsigned int kvmmem_counted_of_all(void)
{
	unsigned int counts = counted_now(), last = READ_ONCE(counted_last);

	/* What was switched off since is not counted, KVM or not. */
	if (!kvmmem_run_wanted(KVMMEM_RUN_TAG))
		last &= ~(KVMMEM_COUNTS_FLUSHES | KVMMEM_COUNTS_CAUSES | KVMMEM_COUNTS_RANGES);
	if (!kvmmem_run_wanted(KVMMEM_RUN_TIME))
		last &= ~KVMMEM_COUNTS_TIME;
	if (kvmmem_fault_waits())
		counts |= last;
	else if (kvmmem_tlb_waits())
		counts |= last & (KVMMEM_COUNTS_CAUSES | KVMMEM_COUNTS_RANGES);
	return counts;
}

static void counted_keep(struct kvmmem_vm *vm)
{
	/* It may end just now, and say the same. */
	WRITE_ONCE(vm->ended_counts, counted_of_vm(vm));
}

/**
 * kvmmem_counted_exit - hooks are about to go, and VMs are forgotten then
 *
 * What was counted of them stays what it is. Context: may sleep.
 */
void kvmmem_counted_exit(void)
{
	kvmmem_vm_for_all(counted_keep);
	kvmmem_ended_ask(NULL);
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
