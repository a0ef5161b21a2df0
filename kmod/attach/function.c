// SPDX-License-Identifier: GPL-2.0
/*
 * Hooks at the entry of KVM's functions.
 *
 * By ftrace and not by kprobes since a kprobe can be disarmed by a file in
 * debugfs. kvmmem learns of a VM's death by a hook and must not miss one:
 * FTRACE_OPS_FL_PERMANENT makes sure of that.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "attach/function.h"
#include "compat/sleep.h"

/* A name; the longest has 39. */
#define FUNCTION_LEN	64

/*
 * Where a function is. To find it by name ftrace looks up the name of every
 * function that there is, which takes a good part of a second; kprobes know how
 * to find one. Nothing is patched for a kprobe that is disabled from the start.
 */
static int function_find_symbol(const char *symbol, unsigned long *addr)
{
	struct kprobe probe = { .symbol_name = symbol, .flags = KPROBE_FLAG_DISABLED };
	int err = register_kprobe(&probe);

	if (err)
		return err;
	*addr = (unsigned long)probe.addr;
	unregister_kprobe(&probe);
	return 0;
}

/*
 * In KVM's module and in no other: livepatches have functions that are called like those
 * they replace, and of a bare name the kernel takes the module that came last
 * (kallsyms_lookup_name()). The kernel's own functions come before all modules'.
 */
static int function_find(const struct kvmmem_hook *hook, unsigned long *addr)
{
	char symbol[MODULE_NAME_LEN + FUNCTION_LEN];
	int err;

	snprintf(symbol, sizeof(symbol), "%s:%s", hook->module, hook->name);
	err = function_find_symbol(symbol, addr);
	return err == -ENOENT && IS_BUILTIN(CONFIG_KVM) ? function_find_symbol(hook->name, addr) :
							   err;
}

/* Called at each function of a group. */
static notrace KVMMEM_FTRACE_FUNC(function_dispatch)
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

static int function_add_place(struct kvmmem_hook_group *group, const struct kvmmem_hook *hook)
{
	unsigned long addr;
	int err;

	if (WARN_ON_ONCE(group->nr == KVMMEM_GROUP_PLACES))
		return -E2BIG;
	err = function_find(hook, &addr);
	if (!err)
		err = ftrace_set_filter_ip(&group->ops, addr, 0, !group->nr);
	if (err)
		return err;
	group->places[group->nr].addr = addr;
	group->places[group->nr].func = hook->func;
	group->nr++;
	return 0;
}

/* ftrace would not let go of a group: it calls function_dispatch() for ever. */
static bool functions_kept;		/* set once */

/* The filter is the kernel's memory, and ours to give back. */
static void function_forget_places(struct kvmmem_hook_group *group)
{
	ftrace_set_filter(&group->ops, NULL, 0, 1);
	group->nr = 0;
}

/**
 * kvmmem_functions_init - make a group ready to be attached
 * @group: the group
 *
 * Context: nobody else knows the group, or hooks_mutex.
 */
void kvmmem_functions_init(struct kvmmem_hook_group *group)
{
	group->ops.func = function_dispatch;
	group->ops.flags = FTRACE_OPS_FL_PERMANENT | KVMMEM_FTRACE_FLAGS;
}

/**
 * kvmmem_functions_attach - hook what is there of a group
 * @group: the group; nothing happens if it is attached
 * @hooks: all hooks
 * @module_here: its module is loaded, so what is not found is not in it
 *
 * Context: hooks_mutex; may sleep.
 */
void kvmmem_functions_attach(struct kvmmem_hook_group *group, struct list_head *hooks,
			     bool module_here)
{
	struct kvmmem_hook *hook;
	int err;

	if (group->nr)
		return;
	list_for_each_entry(hook, hooks, node) {
		if (hook->group != group || hook->state == KVMMEM_HOOK_OFF)
			continue;
		err = function_add_place(group, hook);
		if (err == -ENOENT)
			WRITE_ONCE(hook->state, module_here ? KVMMEM_HOOK_ABSENT :
							      KVMMEM_HOOK_WAITING);
		else
			kvmmem_hook_settle(hook, err ?: -EINPROGRESS);
	}
	if (!group->nr)
		return;
	err = register_ftrace_function(&group->ops);
	list_for_each_entry(hook, hooks, node)
		if (hook->group == group && hook->err == -EINPROGRESS)
			kvmmem_hook_settle(hook, err);
	if (err)
		function_forget_places(group);
}

/**
 * kvmmem_functions_detach - let go of a group
 * @group: the group
 * @hooks: all hooks
 *
 * When it returns no call of the group's hooks is under way and none will come.
 * If ftrace had shut itself down (ftrace_kill(), after it found a place that did not
 * hold what it should) its calls end in function_dispatch() from then on. Of one that
 * does so just here nobody hears.
 *
 * Context: hooks_mutex; may sleep.
 */
void kvmmem_functions_detach(struct kvmmem_hook_group *group, struct list_head *hooks)
{
	struct kvmmem_hook *hook;

	if (group->nr) {
		if (unregister_ftrace_function(&group->ops))
			functions_kept = true;
		function_forget_places(group);
		if (functions_kept)
			synchronize_rcu_tasks();
	}
	list_for_each_entry(hook, hooks, node)
		if (hook->group == group)
			kvmmem_hook_let_go(hook);
}

/**
 * kvmmem_functions_leave - may the module's code go?
 *
 * Does not return if the kernel would go on to call it. Code and static data stay then,
 * and so does whoever unloads; nobody else is held up.
 *
 * Context: the last step, all groups are detached, no lock is held; may sleep.
 */
void kvmmem_functions_leave(void)
{
	if (!functions_kept)
		return;
	pr_warn("ftrace has shut itself down and calls kvmmem for ever: it stays in memory until the next boot\n");
	kvmmem_sleep_for_ever();
}
