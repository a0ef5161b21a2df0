// SPDX-License-Identifier: GPL-2.0
/*
 * poison: a page of a process's memory has failed, and nobody knows yet. Whoever copies
 * from it in the kernel is told so by a machine check, of which this does what the kernel
 * would: the copy ends, and the thread is to have the page taken away when it leaves the
 * kernel (queue_task_work(), kill_me_never()). A thread that never does must not meet
 * another: for one at another page the kernel panics, and for the eleventh at this one.
 */
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/task_work.h>

static unsigned long hva;
module_param(hva, ulong, 0400);
MODULE_PARM_DESC(hva, "where the process has the page");

static unsigned long hpa;
module_param(hpa, ulong, 0400);
MODULE_PARM_DESC(hpa, "where it is");

static unsigned int met;
module_param(met, uint, 0400);
MODULE_PARM_DESC(met, "machine checks so far");

static int most;
module_param(most, int, 0400);
MODULE_PARM_DESC(most, "of one thread, before it left the kernel");

static task_work_func_t kill_me_never_fn;
static int (*task_work_add_fn)(struct task_struct *task, struct callback_head *work,
			       enum task_work_notify_mode mode);

static int poison_copy(struct kprobe *probe, struct pt_regs *regs)
{
	if (!(current->flags & PF_KTHREAD) || (regs->si ^ hva) & PAGE_MASK ||
	    !folio_mapped(page_folio(pfn_to_page(hpa >> PAGE_SHIFT))))
		return 0;
	met++;
	most = max(most, ++current->mce_count);
	if (current->mce_count == 1) {
		current->mce_addr = hpa;
		current->mce_kill_me.func = kill_me_never_fn;
		task_work_add_fn(current, &current->mce_kill_me, TWA_RESUME);
	}
	/* Nothing was copied: all that regs->cx says is left. */
	regs->ip = *(unsigned long *)regs->sp;
	regs->sp += sizeof(unsigned long);
	return 1;
}

/* A probe with one of these is not made a jump, which would not mind a new regs->ip. */
static void poison_after(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

static struct kprobe copy = {
	.symbol_name = "rep_movs_alternative",
	.pre_handler = poison_copy,
	.post_handler = poison_after,
};

static void *poison_find(const char *name)
{
	struct kprobe probe = { .symbol_name = name, .flags = KPROBE_FLAG_DISABLED };

	if (register_kprobe(&probe))
		return NULL;
	unregister_kprobe(&probe);
	return probe.addr;
}

static int __init poison_init(void)
{
	kill_me_never_fn = poison_find("kill_me_never");
	task_work_add_fn = poison_find("task_work_add");
	if (!kill_me_never_fn || !task_work_add_fn || !pfn_valid(hpa >> PAGE_SHIFT))
		return -ENOENT;
	return register_kprobe(&copy);
}

static void __exit poison_exit(void)
{
	unregister_kprobe(&copy);
}

module_init(poison_init);
module_exit(poison_exit);

MODULE_DESCRIPTION("A page of memory fails while the kernel copies from it");
MODULE_LICENSE("GPL");
