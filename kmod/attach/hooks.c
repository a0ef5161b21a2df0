// SPDX-License-Identifier: GPL-2.0
/*
 * Attaching to KVM and letting go of it.
 *
 * KVM is several modules that come and go while kvmmem stays. Tracepoints are
 * found by name in what the tracepoint code tells us of kvm.ko; it replays the
 * modules that are already there, and it tells of a module's leaving before it
 * leaves, so no reference on KVM is needed (tracepoint.c). Functions are hooked by
 * ftrace (function.c), and the module notifier tells when they come and go.
 *
 * Lock order: tracepoint_module_list_mutex or the module notifier's rwsem ->
 * hooks_mutex -> tracepoints_mutex, ftrace_lock (the kernel's own).
 */
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/tracepoint.h>
#include <linux/workqueue.h>

#include "attach/function.h"
#include "attach/hooks.h"
#include "attach/proto.h"
#include "attach/queue.h"
#include "attach/tracepoint.h"

static DEFINE_MUTEX(hooks_mutex);
static LIST_HEAD(hooks);
static void (*kvm_gone_fn)(void);
static void (*kvm_late_fn)(void);
static const struct module *kvm_module;		/* hooks_mutex */
static bool kvm_present;			/* hooks_mutex */
static bool started, stopped;			/* hooks_mutex */

/* Before any is attached: which probe fits, or none. */
static void hooks_choose_probes(const struct kvmmem_protos *protos)
{
	struct kvmmem_hook *hook;

	list_for_each_entry(hook, &hooks, node)
		if (hook->probes)
			kvmmem_tracepoint_choose(hook, protos);
}

/* After this the hook, and the others of its group, are not running and will not. */
static void hooks_detach(struct kvmmem_hook *hook)
{
	if (hook->group)
		kvmmem_functions_detach(hook->group, &hooks);
	else
		kvmmem_tracepoint_detach(hook);
}

static void hooks_tracepoint_found(struct tracepoint *tp, void *unused)
{
	struct kvmmem_hook *hook;

	list_for_each_entry(hook, &hooks, node)
		if (hook->probes && !strcmp(hook->name, tp->name)) {
			hook->tp = tp;
			kvmmem_tracepoint_attach(hook);
		}
}

/*
 * KVM is here: what still waits for a place in it waits in vain. Functions are
 * tried once more when the module notifier's turn comes.
 */
static void hooks_tracepoints_done(const struct module *mod)
{
	struct kvmmem_hook *hook;

	kvm_present = true;
	kvm_module = mod;
	list_for_each_entry(hook, &hooks, node) {
		if (!strcmp(hook->module, "kvm") &&
		    hook->state == KVMMEM_HOOK_WAITING)
			WRITE_ONCE(hook->state, KVMMEM_HOOK_ABSENT);
	}
}

/*
 * A module whose other functions could be hooked is here, so what was not found
 * in it is not in it.
 */
static void hooks_functions_done(void)
{
	struct kvmmem_hook *hook, *other;

	list_for_each_entry(hook, &hooks, node) {
		if (!hook->func || hook->state != KVMMEM_HOOK_WAITING)
			continue;
		list_for_each_entry(other, &hooks, node)
			if (other->func && other->state == KVMMEM_HOOK_ATTACHED &&
			    !strcmp(other->module, hook->module))
				WRITE_ONCE(hook->state, KVMMEM_HOOK_ABSENT);
	}
}

/* How often it is tried whether ftrace is back. */
#define RETRY		(2 * HZ)

static void hooks_retry(struct work_struct *work);
static DECLARE_DELAYED_WORK(retry, hooks_retry);

/*
 * ftrace can be switched off (the sysctl kernel.ftrace_enabled) while nobody needs
 * it as we do, and then refuses. Under hooks_mutex.
 */
static bool hooks_refused_by_ftrace(const struct kvmmem_hook *hook)
{
	return hook->group && hook->state == KVMMEM_HOOK_FAILED && hook->err == -EBUSY;
}

static void hooks_retry_later(void)
{
	struct kvmmem_hook *hook;

	list_for_each_entry(hook, &hooks, node)
		if (hooks_refused_by_ftrace(hook)) {
			queue_delayed_work(kvmmem_queue, &retry, RETRY);
			return;
		}
}

static void hooks_retry(struct work_struct *work)
{
	struct kvmmem_hook *hook;
	bool late = false;

	mutex_lock(&hooks_mutex);
	if (!stopped) {
		/* As in kvmmem_hooks_start(): no VM is known before all are there. */
		list_for_each_entry_reverse(hook, &hooks, node)
			if (hooks_refused_by_ftrace(hook)) {
				kvmmem_functions_attach(hook->group, &hooks, false);
				late |= kvmmem_hook_attached(hook);
			}
		hooks_functions_done();
		hooks_retry_later();
	}
	mutex_unlock(&hooks_mutex);
	/* VMs whose births could not be heard meanwhile. */
	if (late && kvm_late_fn)
		kvm_late_fn();
}

static int hooks_on_tracepoint_module(struct notifier_block *nb, unsigned long action,
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
		hooks_choose_probes(protos);
		for (i = 0; i < mod->num_tracepoints; i++)
			hooks_tracepoint_found(tracepoint_ptr_deref(&mod->tracepoints_ptrs[i]),
					       NULL);
		hooks_tracepoints_done(mod);
	} else if (action == MODULE_STATE_GOING) {
		list_for_each_entry(hook, &hooks, node) {
			if (hook->func)
				continue;
			hooks_detach(hook);
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
	.notifier_call = hooks_on_tracepoint_module,
};

static int hooks_on_module(struct notifier_block *nb, unsigned long action, void *data)
{
	struct module *mod = data;
	struct kvmmem_hook *hook;

	if (action != MODULE_STATE_COMING && action != MODULE_STATE_GOING)
		return NOTIFY_DONE;
	/* All other modules do not wait for a scan, which may be long. */
	if (strncmp(mod->name, "kvm", 3))
		return NOTIFY_DONE;

	mutex_lock(&hooks_mutex);
	/*
	 * COMING, too: the kernel can refuse a module that has begun to come, of which we
	 * hear nothing, and its functions may have been hooked by then.
	 */
	list_for_each_entry(hook, &hooks, node)
		if (hook->func && !strcmp(hook->module, mod->name))
			hooks_detach(hook);
	list_for_each_entry(hook, &hooks, node)
		if (action == MODULE_STATE_COMING && hook->func &&
		    !strcmp(hook->module, mod->name))
			kvmmem_functions_attach(hook->group, &hooks, true);
	hooks_retry_later();
	mutex_unlock(&hooks_mutex);

	/* No VM outlives kvm.ko; drop what a failed start may have left. */
	if (action == MODULE_STATE_GOING && !strcmp(mod->name, "kvm") && kvm_gone_fn)
		kvm_gone_fn();
	return NOTIFY_OK;
}

static struct notifier_block module_nb = {
	.notifier_call = hooks_on_module,
};

/**
 * kvmmem_hook_add - add a hook, before kvmmem_hooks_start()
 * @hook: its constant fields set, its state OFF or WAITING
 */
void kvmmem_hook_add(struct kvmmem_hook *hook)
{
	if (hook->group)
		kvmmem_functions_init(hook->group);
	mutex_lock(&hooks_mutex);
	list_add_tail(&hook->node, &hooks);
	mutex_unlock(&hooks_mutex);
}

/**
 * kvmmem_hook_switch - switch a hook that is in no group on or off
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
		hooks_detach(hook);
		WRITE_ONCE(hook->state, KVMMEM_HOOK_OFF);
	} else if (hook->state == KVMMEM_HOOK_OFF) {
		WRITE_ONCE(hook->state, KVMMEM_HOOK_WAITING);
		if (hook->tp)
			kvmmem_tracepoint_attach(hook);
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
		kvmmem_functions_detach(group, &hooks);
	list_for_each_entry(hook, &hooks, node) {
		if (hook->group != group)
			continue;
		if (!on)
			WRITE_ONCE(hook->state, KVMMEM_HOOK_OFF);
		else if (hook->state == KVMMEM_HOOK_OFF)
			WRITE_ONCE(hook->state, KVMMEM_HOOK_WAITING);
	}
	/* Before that nobody would hear that KVM leaves. */
	if (on && started) {
		kvmmem_functions_attach(group, &hooks, false);
		hooks_functions_done();
		hooks_retry_later();
	}
	mutex_unlock(&hooks_mutex);
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

static void hooks_detach_all(void)
{
	struct kvmmem_hook *hook;

	mutex_lock(&hooks_mutex);
	stopped = true;
	/* Backwards: events stop first, the deaths of VMs are heard last. */
	list_for_each_entry_reverse(hook, &hooks, node)
		hooks_detach(hook);
	kvm_present = false;
	kvm_module = NULL;
	mutex_unlock(&hooks_mutex);
}

/**
 * kvmmem_hooks_start - attach to KVM, now or when it comes
 * @kvm_gone: called when kvm.ko leaves, after its hooks are off; may sleep
 * @kvm_late: called when functions of KVM could be hooked only after KVM had come,
 *	since ftrace was off; may sleep
 *
 * Functions are hooked before tracepoints, so that no VM is met before its
 * death can be heard; of functions those of VMs' lives, which were added first,
 * come last, so that no VM is known before what is to count can. A hook that cannot
 * be attached is no error: its state tells, and what depends on it is unknown.
 *
 * Context: may sleep.
 *
 * Return: 0 or an errno from registering the notifiers.
 */
int kvmmem_hooks_start(void (*kvm_gone)(void), void (*kvm_late)(void))
{
	struct kvmmem_hook *hook;
	int err;

	kvm_gone_fn = kvm_gone;
	kvm_late_fn = kvm_late;
	err = register_module_notifier(&module_nb);
	if (err)
		return err;

	mutex_lock(&hooks_mutex);
	started = true;
	stopped = false;
	list_for_each_entry_reverse(hook, &hooks, node)
		if (hook->group)
			kvmmem_functions_attach(hook->group, &hooks, false);
	hooks_functions_done();
	hooks_retry_later();
	mutex_unlock(&hooks_mutex);

	err = register_tracepoint_module_notifier(&tracepoint_nb);
	if (err)
		goto err_detach;

	if (IS_BUILTIN(CONFIG_KVM)) {
		struct kvmmem_protos *protos = kvmmem_protos_get(NULL);

		mutex_lock(&hooks_mutex);
		hooks_choose_probes(protos);
		for_each_kernel_tracepoint(hooks_tracepoint_found, NULL);
		hooks_tracepoints_done(NULL);
		mutex_unlock(&hooks_mutex);
		kvmmem_protos_put(protos);
	}
	return 0;

err_detach:
	unregister_module_notifier(&module_nb);
	hooks_detach_all();
	cancel_delayed_work_sync(&retry);
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
	kvm_late_fn = NULL;
	mutex_unlock(&hooks_mutex);
}

/**
 * kvmmem_hooks_stop - let go of KVM for good
 *
 * When it returns no hook is running and none will. Context: may sleep.
 */
void kvmmem_hooks_stop(void)
{
	hooks_detach_all();
	/* Says GOING for kvm.ko once more: every hook is off already. */
	unregister_tracepoint_module_notifier(&tracepoint_nb);
	unregister_module_notifier(&module_nb);
	kvmmem_probes_synchronize();
	/* A COMING may have slipped in between the two. */
	hooks_detach_all();
	cancel_delayed_work_sync(&retry);
	kvmmem_hooks_forget();
}
