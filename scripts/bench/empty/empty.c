// SPDX-License-Identifier: GPL-2.0
/*
 * Probes that do nothing, on the tracepoints that kvmmem's probes are on: what
 * anything at all costs there.
 */
#include <linux/module.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

static void nothing(void *data)
{
}

static char *events = "kvm_page_fault";
module_param(events, charp, 0444);
MODULE_PARM_DESC(events, "names of tracepoints of kvm.ko, with commas between");

static bool wanted(const char *name)
{
	size_t len = strlen(name);
	const char *at = events;

	while (at && *at) {
		if (!strncmp(at, name, len) && (at[len] == ',' || !at[len]))
			return true;
		at = strchr(at, ',');
		at += !!at;
	}
	return false;
}

static int on_module(struct notifier_block *nb, unsigned long action, void *data)
{
	struct module *mod = ((struct tp_module *)data)->mod;
	unsigned int i;

	for (i = 0; !strcmp(mod->name, "kvm") && i < mod->num_tracepoints; i++) {
		struct tracepoint *tp = tracepoint_ptr_deref(&mod->tracepoints_ptrs[i]);

		if (!wanted(tp->name))
			continue;
		if (action == MODULE_STATE_COMING)
			WARN_ON(tracepoint_probe_register(tp, nothing, NULL));
		else if (action == MODULE_STATE_GOING)
			tracepoint_probe_unregister(tp, nothing, NULL);
	}
	return NOTIFY_OK;
}

static struct notifier_block nb = {
	.notifier_call = on_module,
};

static int __init empty_init(void)
{
	return register_tracepoint_module_notifier(&nb);
}

static void __exit empty_exit(void)
{
	unregister_tracepoint_module_notifier(&nb);
	tracepoint_synchronize_unregister();
}

module_init(empty_init);
module_exit(empty_exit);

MODULE_DESCRIPTION("Empty probes, the floor of what a probe can cost");
MODULE_LICENSE("GPL");
