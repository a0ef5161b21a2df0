// SPDX-License-Identifier: GPL-2.0
#include <linux/percpu.h>

#include "registry/lost.h"

static DEFINE_PER_CPU(u64, lost);

/**
 * kvmmem_lost - count an event that has no record to go to
 *
 * Context: any.
 */
void kvmmem_lost(void)
{
	this_cpu_inc(lost);
}

/**
 * kvmmem_lost_events - events that could not be counted, since load
 *
 * Context: any.
 *
 * Return: how many.
 */
u64 kvmmem_lost_events(void)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(lost, cpu));
	return sum;
}
