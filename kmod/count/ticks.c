// SPDX-License-Identifier: GPL-2.0
#include <linux/cache.h>
#include <asm/tsc.h>

#include "count/ticks.h"

u32 kvmmem_ticks_mult __read_mostly;

/**
 * kvmmem_ticks_init - learn how fast the TSC is
 *
 * Return: false if it cannot be used.
 */
bool kvmmem_ticks_init(void)
{
	kvmmem_ticks_mult = kvmmem_tsc_mult(tsc_khz);
	return kvmmem_ticks_mult && !check_tsc_unstable();
}
