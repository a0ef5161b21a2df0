// SPDX-License-Identifier: GPL-2.0
/*
 * Hooks at KVM's tracepoints.
 *
 * A probe is called with whatever arguments its tracepoint has, so before any
 * is attached the prototypes are compared with what BTF says (proto.c).
 */
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

#include "attach/proto.h"
#include "attach/tracepoint.h"

/**
 * kvmmem_tracepoint_choose - choose the probe that fits a tracepoint
 * @hook: a tracepoint's hook
 * @protos: what BTF says of KVM's tracepoints, or why that is not known
 *
 * If none fits, the hook will be refused. Context: hooks_mutex; may sleep.
 */
void kvmmem_tracepoint_choose(struct kvmmem_hook *hook, const struct kvmmem_protos *protos)
{
	const struct kvmmem_probe *probe;
	char text[KVMMEM_PROTO_LEN];
	int err = kvmmem_protos_find(protos, hook->name, text, sizeof(text));

	hook->probe = NULL;
	hook->checked = !err;
	hook->found[0] = '\0';
	if (err == -ENOENT && KVMMEM_PROTOTYPES_KNOWN && hook->probes->func) {
		hook->probe = hook->probes;
		return;
	}
	for (probe = hook->probes; !err && probe->func; probe++)
		if (!strcmp(probe->proto, text)) {
			hook->probe = probe;
			return;
		}
	strscpy(hook->found, !err ? text : err == -ENOENT ? "unknown" : "unreadable",
		sizeof(hook->found));
	pr_warn("%s has another prototype than expected: %s\n", hook->name, hook->found);
}

/**
 * kvmmem_tracepoint_attach - attach a hook's probe, unless it is off
 * @hook: a hook whose tracepoint was found
 *
 * Context: hooks_mutex; may sleep.
 */
void kvmmem_tracepoint_attach(struct kvmmem_hook *hook)
{
	if (hook->state == KVMMEM_HOOK_ATTACHED || hook->state == KVMMEM_HOOK_OFF)
		return;
	if (!hook->probe)
		WRITE_ONCE(hook->state, KVMMEM_HOOK_REFUSED);
	else
		kvmmem_hook_settle(hook, tracepoint_probe_register(hook->tp, hook->probe->func,
								   hook));
}

/**
 * kvmmem_tracepoint_detach - let go of a tracepoint
 * @hook: its hook
 *
 * When it returns the probe is not running and will not. Context: hooks_mutex;
 * may sleep.
 */
void kvmmem_tracepoint_detach(struct kvmmem_hook *hook)
{
	if (hook->state == KVMMEM_HOOK_ATTACHED) {
		tracepoint_probe_unregister(hook->tp, hook->probe->func, hook);
		kvmmem_probes_synchronize();
	}
	kvmmem_hook_let_go(hook);
}
