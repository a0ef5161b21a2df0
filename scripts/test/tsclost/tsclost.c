// SPDX-License-Identifier: GPL-2.0
/*
 * tsclost: the kernel finds out that the TSC is not to be relied on, as its watchdog may at
 * any time.
 */
#include <linux/module.h>
#include <asm/tsc.h>

static int __init tsclost_init(void)
{
	mark_tsc_unstable("a test");
	return 0;
}

static void __exit tsclost_exit(void)
{
}

module_init(tsclost_init);
module_exit(tsclost_exit);

MODULE_DESCRIPTION("Have the TSC found unstable");
MODULE_LICENSE("GPL");
