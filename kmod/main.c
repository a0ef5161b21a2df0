// SPDX-License-Identifier: GPL-2.0
/*
 * kvmmem: what memory virtualization costs on a KVM host, and why.
 *
 * The order of start and stop, and nothing else. Readers come last and go
 * first; hooks stop before the records that they write to are freed. Parameters
 * can be written from before the first step until after the last: what they
 * would switch is there only in between.
 */
#include <linux/module.h>

#include "attach/function.h"
#include "attach/hooks.h"
#include "attach/queue.h"
#include "compat/release.h"
#include "count/counted.h"
#include "count/dirty.h"
#include "count/flow.h"
#include "count/huge.h"
#include "count/latency.h"
#include "count/notifier.h"
#include "count/probes.h"
#include "count/stuck.h"
#include "decode/param.h"
#include "registry/life.h"
#include "registry/observed.h"
#include "registry/scan.h"
#include "show/debugfs.h"
#include "show/pmu.h"
#include "show/procfs.h"

static int __init kvmmem_start(void)
{
	int err;

	kvmmem_trace_init();
	err = kvmmem_queue_init();
	if (err)
		return err;
	err = kvmmem_registry_init();
	if (err)
		goto err_queue;
	kvmmem_counted_init();
	kvmmem_probes_init();
	kvmmem_latency_init();
	kvmmem_flow_init(&kvmmem_huge_others);
	kvmmem_dirty_init();
	kvmmem_notifier_init();

	err = kvmmem_hooks_start(kvmmem_vm_death_all, kvmmem_scan);
	if (err)
		goto err_notifier;
	kvmmem_scan();
	kvmmem_notifier_start();

	err = kvmmem_procfs_init();
	if (err)
		goto err_hooks;
	kvmmem_stuck_init();
	err = kvmmem_pmu_init();
	if (err)
		goto err_procfs;
	/* Last, since it cannot fail: a file that somebody has open outlives its removal. */
	kvmmem_debugfs_init();
	return 0;

err_procfs:
	kvmmem_stuck_exit();
	kvmmem_procfs_exit();
err_hooks:
	kvmmem_notifier_leave();
	kvmmem_hooks_stop();
err_notifier:
	kvmmem_notifier_stop();
	kvmmem_registry_exit();
err_queue:
	kvmmem_queue_exit();
	return err;
}

/* Not held from the first step to the last, which reads files of sysfs. */
static void kvmmem_parameters(enum kvmmem_param_state state)
{
	kernel_param_lock(THIS_MODULE);
	kvmmem_params_are(state);
	kernel_param_unlock(THIS_MODULE);
}

static int __init kvmmem_init(void)
{
	int err;

	if (!kvmmem_release_fits()) {
		pr_err("built for %s, and this is %s: build it for this kernel\n",
		       KVMMEM_RELEASE, init_utsname()->release);
		return -ENOEXEC;
	}
	kvmmem_parameters(KVMMEM_PARAMS_STARTING);
	err = kvmmem_start();
	if (!err)
		kvmmem_trace_ready();
	kvmmem_parameters(err ? KVMMEM_PARAMS_GONE : KVMMEM_PARAMS_LIVE);
	if (err)
		kvmmem_functions_leave();
	return err;
}

static void __exit kvmmem_exit(void)
{
	kvmmem_parameters(KVMMEM_PARAMS_GONE);
	kvmmem_pmu_exit();
	kvmmem_stuck_exit();
	kvmmem_debugfs_exit();
	kvmmem_procfs_exit();
	kvmmem_notifier_leave();
	kvmmem_counted_exit();
	kvmmem_hooks_stop();
	kvmmem_notifier_stop();
	kvmmem_registry_exit();
	kvmmem_queue_exit();
	kvmmem_functions_leave();
}

module_init(kvmmem_init);
module_exit(kvmmem_exit);

MODULE_AUTHOR("The kvmmem developers");
MODULE_DESCRIPTION("Memory virtualization of KVM guests: EPT violations, TLB flushes, huge-page backing");
MODULE_LICENSE("GPL");
MODULE_VERSION(KVMMEM_VERSION);
