// SPDX-License-Identifier: GPL-2.0
#include <linux/cache.h>
#include <asm/tsc.h>

#include "count/ticks.h"

u32 kvmmem_ticks_mult __read_mostly;

static bool ticks_wanted;

/**
 * kvmmem_ticks_init - somebody wants to measure: learn how fast the TSC is
 *
 * Return: false if it cannot be used.
 */
bool kvmmem_ticks_init(void)
{
	WRITE_ONCE(ticks_wanted, true);
	kvmmem_ticks_mult = kvmmem_tsc_mult(tsc_khz);
	return kvmmem_ticks_mult && !check_tsc_unstable();
}

/**
 * kvmmem_ticks_exit - nobody wants to measure any more
 */
void kvmmem_ticks_exit(void)
{
	WRITE_ONCE(ticks_wanted, false);
}

/**
 * kvmmem_ticks_why_not - what keeps those who want to from measuring
 *
 * The kernel may find out at any time that the TSC is not to be relied on. Context: any.
 *
 * Return: a word for 'hooks'; NULL if nothing does, or nobody wants to.
 */
const char *kvmmem_ticks_why_not(void)
{
	return READ_ONCE(ticks_wanted) && (!kvmmem_ticks_mult || check_tsc_unstable()) ?
	       "tsc-not-usable" : NULL;
}
