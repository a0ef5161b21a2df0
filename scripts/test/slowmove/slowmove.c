// SPDX-License-Identifier: GPL-2.0
/*
 * slowmove: a page that a process called movepage moves stays under way until somebody
 * writes to 'go', or for five seconds. 'moving' says that it is.
 *
 * Whoever copies a page has put migration entries in the place of all its mappings.
 */
#include <linux/ftrace.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/timekeeping.h>

static bool moving;
module_param(moving, bool, 0444);
static bool go;
module_param(go, bool, 0644);

/* Interrupts stay on, so that nobody else has to wait. */
static void slowmove_copied(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
			    struct ftrace_regs *regs)
{
	u64 end = ktime_get_mono_fast_ns() + 5 * NSEC_PER_SEC;

	if (strcmp(current->comm, "movepage"))
		return;
	WRITE_ONCE(moving, true);
	/* Not mdelay(), which some emulated processors are quick with. */
	while (!READ_ONCE(go) && ktime_get_mono_fast_ns() < end)
		cpu_relax();
	WRITE_ONCE(moving, false);
}

static struct ftrace_ops ops = { .func = slowmove_copied };

static int __init slowmove_init(void)
{
	char name[] = "folio_migrate_flags";
	int err = ftrace_set_filter(&ops, name, strlen(name), 1);

	return err ?: register_ftrace_function(&ops);
}

static void __exit slowmove_exit(void)
{
	unregister_ftrace_function(&ops);
}

module_init(slowmove_init);
module_exit(slowmove_exit);
MODULE_DESCRIPTION("Holds up the migration of a page, for a test");
MODULE_LICENSE("GPL");
