// SPDX-License-Identifier: GPL-2.0
/*
 * slowmove: a page that a process called movepage moves stays under way until somebody
 * writes to 'go', or for five seconds. 'moving' says that it is.
 *
 * Whoever copies a page has put migration entries in the place of all its mappings.
 */
#include <linux/delay.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/string.h>

static bool moving;
module_param(moving, bool, 0444);
static bool go;
module_param(go, bool, 0644);

static int slowmove_copy(struct kprobe *probe, struct pt_regs *regs)
{
	int i;

	if (strcmp(current->comm, "movepage"))
		return 0;
	WRITE_ONCE(moving, true);
	for (i = 0; i < 5000 && !READ_ONCE(go); i++)
		mdelay(1);
	WRITE_ONCE(moving, false);
	return 0;
}

static struct kprobe probe = {
	.symbol_name = "folio_migrate_flags",
	.pre_handler = slowmove_copy,
};

static int __init slowmove_init(void)
{
	return register_kprobe(&probe);
}

static void __exit slowmove_exit(void)
{
	unregister_kprobe(&probe);
}

module_init(slowmove_init);
module_exit(slowmove_exit);
MODULE_DESCRIPTION("Holds up the migration of a page, for a test");
MODULE_LICENSE("GPL");
