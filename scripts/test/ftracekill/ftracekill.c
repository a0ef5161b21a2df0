// SPDX-License-Identifier: GPL-2.0
/*
 * ftracekill: ftrace does to itself what it does when it finds that a place it wants to
 * patch does not hold what it should.  From then on it neither hooks nor lets go.
 */
#include <linux/kprobes.h>
#include <linux/module.h>

static int __init ftracekill_init(void)
{
	struct kprobe probe = { .symbol_name = "ftrace_kill", .flags = KPROBE_FLAG_DISABLED };
	int err = register_kprobe(&probe);
	void (*kill)(void);

	if (err)
		return err;
	kill = (void *)probe.addr;
	unregister_kprobe(&probe);
	kill();
	return 0;
}

static void __exit ftracekill_exit(void)
{
}

module_init(ftracekill_init);
module_exit(ftracekill_exit);

MODULE_DESCRIPTION("Let ftrace shut itself down");
MODULE_LICENSE("GPL");
