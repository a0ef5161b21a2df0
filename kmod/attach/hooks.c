// SPDX-License-Identifier: GPL-2.0
/*
 * Attaching to KVM and letting go of it.
 *
 * KVM is several modules that come and go while kvmmem stays. Tracepoints are
 * found by name in what the tracepoint code tells us of kvm.ko; it replays the
 * modules that are already there, and it tells of a module's leaving before it
 * leaves, so no reference on KVM is needed. Functions are hooked by ftrace,
 * and the module notifier tells when they come and go.
 *
 * A probe is called with whatever arguments its tracepoint has, so before any
 * is attached the prototypes are compared with what BTF says (proto.c).
 *
 * Functions are hooked by ftrace and not by kprobes since a kprobe can be
 * disarmed by a file in debugfs. kvmmem learns of a VM's death by a hook and
 * must not miss one: FTRACE_OPS_FL_PERMANENT makes sure of that.
 *
 * Lock order: tracepoint_module_list_mutex or the module notifier's rwsem ->
 * hooks_mutex -> tracepoints_mutex, ftrace_lock (the kernel's own).
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/tracepoint.h>

#include "attach/hooks.h"
#include "attach/proto.h"
#include "compat/probe.h"

static DEFINE_MUTEX(hooks_mutex);
static LIST_HEAD(hooks);
static void (*kvm_gone_fn)(void);
static const struct module *kvm_module;		/* hooks_mutex */
static bool kvm_present;			/* hooks_mutex */
static bool stopped;				/* hooks_mutex */

DEFINE_PER_CPU(u64[KVMMEM_NR_HOOKS], kvmmem_hook_events);

static void settle(struct kvmmem_hook *hook, int err)
{
	hook->err = err;
	if (!err)
		WRITE_ONCE(hook->state, KVMMEM_HOOK_ATTACHED);
	else
		WRITE_ONCE(hook->state, KVMMEM_HOOK_FAILED);
}

static void choose_probe(struct kvmmem_hook *hook, const struct kvmmem_protos *protos)
{
	const struct kvmmem_probe *probe;
	char text[KVMMEM_PROTO_LEN];
	int err = kvmmem_protos_find(protos, hook->name, text, sizeof(text));

	hook->probe = NULL;
	hook->checked = !err;
	hook->found[0] = '\0';
	if (err == -ENOENT && KVMMEM_PROTOTYPES_KNOWN) {
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

/* Before any is attached: which probe fits, or none. */
static void choose_probes(const struct kvmmem_protos *protos)
{
	struct kvmmem_hook *hook;

	list_for_each_entry(hook, &hooks, node)
		if (hook->probes)
			choose_probe(hook, protos);
}

static void attach_tracepoint(struct kvmmem_hook *hook)
{
	if (hook->state == KVMMEM_HOOK_ATTACHED || hook->state == KVMMEM_HOOK_OFF)
		return;
	if (!hook->probe)
		WRITE_ONCE(hook->state, KVMMEM_HOOK_REFUSED);
	else
		settle(hook, tracepoint_probe_register(hook->tp, hook->probe->func, hook));
}

/*
 * Where a function is. To find it by name ftrace looks up the name of every
 * function that there is, which takes a good part of a second; kprobes know how
 * to find one. Nothing is patched for a kprobe that is disabled from the start.
 */
static int find_function(const char *name, unsigned long *addr)
{
	struct kprobe probe = { .symbol_name = name, .flags = KPROBE_FLAG_DISABLED };
	int err = register_kprobe(&probe);

	if (err)
		return err;
	*addr = (unsigned long)probe.addr;
	unregister_kprobe(&probe);
	return 0;
}

/* Called at each function of a group. */
static notrace KVMMEM_FTRACE_FUNC(dispatch)
{
	const struct kvmmem_hook_group *group;
	unsigned int i;

	group = container_of(ops, struct kvmmem_hook_group, ops);
	for (i = 0; i < group->nr; i++)
		/* An ENDBR may stand between. */
		if (ip - group->places[i].addr < 16) {
			group->places[i].func(ip, parent_ip, ops, fregs);
			return;
		}
}

static int add_place(struct kvmmem_hook_group *group, const struct kvmmem_hook *hook)
{
	unsigned long addr;
	int err;

	if (WARN_ON_ONCE(group->nr == KVMMEM_GROUP_PLACES))
		return -E2BIG;
	err = find_function(hook->name, &addr);
	if (!err)
		err = ftrace_set_filter_ip(&group->ops, addr, 0, !group->nr);
	if (err)
		return err;
	group->places[group->nr].addr = addr;
	group->places[group->nr].func = hook->func;
	group->nr++;
	return 0;
}

/* The filter is the kernel's memory, and ours to give back. */
static void forget_places(struct kvmmem_hook_group *group)
{
	ftrace_set_filter(&group->ops, NULL, 0, 1);
	group->nr = 0;
}

/* Whatever of a group is there, if its module is. */
static void attach_group(struct kvmmem_hook_group *group, bool module_here)
{
	struct kvmmem_hook *hook;
	int err;

	if (group->nr)
		return;
	list_for_each_entry(hook, &hooks, node) {
		if (hook->group != group || hook->state == KVMMEM_HOOK_OFF)
			continue;
		err = add_place(group, hook);
		if (err == -ENOENT)
			WRITE_ONCE(hook->state, module_here ? KVMMEM_HOOK_ABSENT :
							      KVMMEM_HOOK_WAITING);
		else
			settle(hook, err ?: -EINPROGRESS);
	}
	if (!group->nr)
		return;
	err = register_ftrace_function(&group->ops);
	list_for_each_entry(hook, &hooks, node)
		if (hook->group == group && hook->err == -EINPROGRESS)
			settle(hook, err);
	if (err)
		forget_places(group);
}

static void let_go(struct kvmmem_hook *hook)
{
	hook->err = 0;
	if (hook->state != KVMMEM_HOOK_OFF)
		WRITE_ONCE(hook->state, KVMMEM_HOOK_WAITING);
}

/* After this no call of the group's hooks is under way and none will come. */
static void detach_group(struct kvmmem_hook_group *group)
{
	struct kvmmem_hook *hook;

	if (group->nr) {
		unregister_ftrace_function(&group->ops);
		forget_places(group);
	}
	list_for_each_entry(hook, &hooks, node)
		if (hook->group == group)
			let_go(hook);
}

/* The same of one hook, and of its group. */
static void detach(struct kvmmem_hook *hook)
{
	if (hook->group) {
		detach_group(hook->group);
		return;
	}
	if (hook->state == KVMMEM_HOOK_ATTACHED) {
		tracepoint_probe_unregister(hook->tp, hook->probe->func, hook);
		tracepoint_synchronize_unregister();
	}
	let_go(hook);
}

static void tracepoint_found(struct tracepoint *tp, void *unused)
{
	struct kvmmem_hook *hook;

	list_for_each_entry(hook, &hooks, node)
		if (hook->probes && !strcmp(hook->name, tp->name)) {
			hook->tp = tp;
			attach_tracepoint(hook);
		}
}

/*
 * KVM is here: what still waits for a place in it waits in vain. Functions are
 * tried once more when the module notifier's turn comes.
 */
static void tracepoints_done(const struct module *mod)
{
	struct kvmmem_hook *hook;

	kvm_present = true;
	kvm_module = mod;
	list_for_each_entry(hook, &hooks, node)
		if (!strcmp(hook->module, "kvm") &&
		    hook->state == KVMMEM_HOOK_WAITING)
			WRITE_ONCE(hook->state, KVMMEM_HOOK_ABSENT);
}

/*
 * A module whose other functions could be hooked is here, so what was not found
 * in it is not in it.
 */
static void functions_done(void)
{
	struct kvmmem_hook *hook, *other;

	list_for_each_entry(hook, &hooks, node) {
		if (hook->probes || hook->state != KVMMEM_HOOK_WAITING)
			continue;
		list_for_each_entry(other, &hooks, node)
			if (!other->probes && other->state == KVMMEM_HOOK_ATTACHED &&
			    !strcmp(other->module, hook->module))
				WRITE_ONCE(hook->state, KVMMEM_HOOK_ABSENT);
	}
}

static int on_tracepoint_module(struct notifier_block *nb, unsigned long action,
				void *data)
{
	struct tp_module *tp_mod = data;
	struct module *mod = tp_mod->mod;
	struct kvmmem_protos *protos = NULL;
	struct kvmmem_hook *hook;
	unsigned int i;

	if (strcmp(mod->name, "kvm"))
		return NOTIFY_DONE;
	/* Files are read outside of hooks_mutex, which writers of others take. */
	if (action == MODULE_STATE_COMING)
		protos = kvmmem_protos_get(mod->name);

	mutex_lock(&hooks_mutex);
	if (action == MODULE_STATE_COMING) {
		choose_probes(protos);
		for (i = 0; i < mod->num_tracepoints; i++)
			tracepoint_found(tracepoint_ptr_deref(&mod->tracepoints_ptrs[i]),
					 NULL);
		tracepoints_done(mod);
	} else if (action == MODULE_STATE_GOING) {
		list_for_each_entry(hook, &hooks, node) {
			if (!hook->probes)
				continue;
			detach(hook);
			hook->tp = NULL;
		}
		kvm_present = false;
		kvm_module = NULL;
	}
	mutex_unlock(&hooks_mutex);
	kvmmem_protos_put(protos);
	return NOTIFY_OK;
}

static struct notifier_block tracepoint_nb = {
	.notifier_call = on_tracepoint_module,
};

static int on_module(struct notifier_block *nb, unsigned long action, void *data)
{
	struct module *mod = data;
	struct kvmmem_hook *hook;

	if (action != MODULE_STATE_COMING && action != MODULE_STATE_GOING)
		return NOTIFY_DONE;

	mutex_lock(&hooks_mutex);
	list_for_each_entry(hook, &hooks, node) {
		if (hook->probes || strcmp(hook->module, mod->name))
			continue;
		if (action == MODULE_STATE_COMING)
			attach_group(hook->group, true);
		else
			detach(hook);
	}
	mutex_unlock(&hooks_mutex);

	/* No VM outlives kvm.ko; drop what a failed start may have left. */
	if (action == MODULE_STATE_GOING && !strcmp(mod->name, "kvm") && kvm_gone_fn)
		kvm_gone_fn();
	return NOTIFY_OK;
}

static struct notifier_block module_nb = {
	.notifier_call = on_module,
};

/**
 * kvmmem_hook_add - add a hook, before kvmmem_hooks_start()
 * @hook: its constant fields set, its state OFF or WAITING
 */
void kvmmem_hook_add(struct kvmmem_hook *hook)
{
	if (hook->group) {
		hook->group->ops.func = dispatch;
		hook->group->ops.flags = FTRACE_OPS_FL_PERMANENT | KVMMEM_FTRACE_FLAGS;
	}
	mutex_lock(&hooks_mutex);
	list_add_tail(&hook->node, &hooks);
	mutex_unlock(&hooks_mutex);
}

/**
 * kvmmem_hook_switch - switch a tracepoint's hook on or off
 * @hook: a hook that was added
 * @on: which
 *
 * When it returns after off, the hook is not running and will not. Context: may
 * sleep.
 */
void kvmmem_hook_switch(struct kvmmem_hook *hook, bool on)
{
	mutex_lock(&hooks_mutex);
	/* Parameters can be written until after the last step of unloading. */
	if (stopped) {
		mutex_unlock(&hooks_mutex);
		return;
	}
	if (!on) {
		detach(hook);
		WRITE_ONCE(hook->state, KVMMEM_HOOK_OFF);
	} else if (hook->state == KVMMEM_HOOK_OFF) {
		WRITE_ONCE(hook->state, KVMMEM_HOOK_WAITING);
		if (hook->tp)
			attach_tracepoint(hook);
		else if (kvm_present)
			WRITE_ONCE(hook->state, KVMMEM_HOOK_ABSENT);
	}
	mutex_unlock(&hooks_mutex);
}

/**
 * kvmmem_hook_group_switch - switch all hooks of a group on or off
 * @group: a group whose hooks were added
 * @on: which
 *
 * As kvmmem_hook_switch().
 */
void kvmmem_hook_group_switch(struct kvmmem_hook_group *group, bool on)
{
	struct kvmmem_hook *hook;

	mutex_lock(&hooks_mutex);
	if (stopped) {
		mutex_unlock(&hooks_mutex);
		return;
	}
	if (!on)
		detach_group(group);
	list_for_each_entry(hook, &hooks, node) {
		if (hook->group != group)
			continue;
		if (!on)
			WRITE_ONCE(hook->state, KVMMEM_HOOK_OFF);
		else if (hook->state == KVMMEM_HOOK_OFF)
			WRITE_ONCE(hook->state, KVMMEM_HOOK_WAITING);
	}
	if (on) {
		attach_group(group, false);
		functions_done();
	}
	mutex_unlock(&hooks_mutex);
}

/**
 * kvmmem_hook_attached - is this hook on?
 * @hook: the hook
 *
 * Context: any; the answer may be old by the time it is used.
 */
bool kvmmem_hook_attached(const struct kvmmem_hook *hook)
{
	return READ_ONCE(hook->state) == KVMMEM_HOOK_ATTACHED;
}

/**
 * kvmmem_hook_events_seen - events that a hook has seen since load
 * @hook: the hook
 */
u64 kvmmem_hook_events_seen(const struct kvmmem_hook *hook)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(kvmmem_hook_events, cpu)[hook->id]);
	return sum;
}

void kvmmem_hooks_for_each(void (*fn)(const struct kvmmem_hook *hook, void *data),
			   void *data)
{
	struct kvmmem_hook *hook;

	mutex_lock(&hooks_mutex);
	list_for_each_entry(hook, &hooks, node)
		fn(hook, data);
	mutex_unlock(&hooks_mutex);
}

void kvmmem_hooks_with_kvm(void (*fn)(const struct module *kvm))
{
	mutex_lock(&hooks_mutex);
	if (kvm_present)
		fn(kvm_module);
	mutex_unlock(&hooks_mutex);
}

static void detach_all(void)
{
	struct kvmmem_hook *hook;

	mutex_lock(&hooks_mutex);
	stopped = true;
	/* Backwards: events stop first, the deaths of VMs are heard last. */
	list_for_each_entry_reverse(hook, &hooks, node)
		detach(hook);
	kvm_present = false;
	kvm_module = NULL;
	mutex_unlock(&hooks_mutex);
}

/**
 * kvmmem_hooks_start - attach to KVM, now or when it comes
 * @kvm_gone: called when kvm.ko leaves, after its hooks are off; may sleep
 *
 * Functions are hooked before tracepoints, so that no VM is met before its
 * death can be heard. A hook that cannot be attached is no error: its state
 * tells, and what depends on it is unknown.
 *
 * Context: may sleep. Return: 0 or an errno from registering the notifiers.
 */
int kvmmem_hooks_start(void (*kvm_gone)(void))
{
	struct kvmmem_hook *hook;
	int err;

	kvm_gone_fn = kvm_gone;
	err = register_module_notifier(&module_nb);
	if (err)
		return err;

	mutex_lock(&hooks_mutex);
	stopped = false;
	list_for_each_entry(hook, &hooks, node)
		if (hook->group)
			attach_group(hook->group, false);
	functions_done();
	mutex_unlock(&hooks_mutex);

	err = register_tracepoint_module_notifier(&tracepoint_nb);
	if (err)
		goto err_detach;

	if (IS_BUILTIN(CONFIG_KVM)) {
		struct kvmmem_protos *protos = kvmmem_protos_get(NULL);

		mutex_lock(&hooks_mutex);
		choose_probes(protos);
		for_each_kernel_tracepoint(tracepoint_found, NULL);
		tracepoints_done(NULL);
		mutex_unlock(&hooks_mutex);
		kvmmem_protos_put(protos);
	}
	return 0;

err_detach:
	unregister_module_notifier(&module_nb);
	detach_all();
	return err;
}

/**
 * kvmmem_hooks_forget - forget all hooks, none of which is attached
 */
void kvmmem_hooks_forget(void)
{
	mutex_lock(&hooks_mutex);
	INIT_LIST_HEAD(&hooks);
	kvm_gone_fn = NULL;
	mutex_unlock(&hooks_mutex);
}

/**
 * kvmmem_hooks_stop - let go of KVM for good
 *
 * When it returns no hook is running and none will. Context: may sleep.
 */
void kvmmem_hooks_stop(void)
{
	detach_all();
	/* Says GOING for kvm.ko once more: every hook is off already. */
	unregister_tracepoint_module_notifier(&tracepoint_nb);
	unregister_module_notifier(&module_nb);
	tracepoint_synchronize_unregister();
	/* A COMING may have slipped in between the two. */
	detach_all();
	kvmmem_hooks_forget();
}
