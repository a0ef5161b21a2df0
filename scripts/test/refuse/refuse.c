// SPDX-License-Identifier: GPL-2.0
/*
 * refuse: let a module begin to load, and refuse it after five seconds, or at once if it
 * comes again. The kernel does so if the module's BTF does not fit, or live patching
 * fails: who is called after that one hears nothing of the module.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/string.h>

static char *whom = "";
module_param(whom, charp, 0400);

static bool again;

static int refuse_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	const struct module *mod = data;

	if (action != MODULE_STATE_COMING || strcmp(mod->name, whom))
		return NOTIFY_DONE;
	if (!again)
		msleep(5000);
	again = true;
	return NOTIFY_BAD;
}

/* Before kvmmem. */
static struct notifier_block refuse_nb = { .notifier_call = refuse_notify, .priority = 1 };

static int __init refuse_init(void)
{
	return register_module_notifier(&refuse_nb);
}

static void __exit refuse_exit(void)
{
	unregister_module_notifier(&refuse_nb);
}

module_init(refuse_init);
module_exit(refuse_exit);

MODULE_DESCRIPTION("Let a module begin to load, and refuse it");
MODULE_LICENSE("GPL");
