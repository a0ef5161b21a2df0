/* SPDX-License-Identifier: GPL-2.0 */
/* Since 5.15, where there are machine checks: a thread counts those that it met. */
static int test_mce_count(const struct task_struct *task)
{
	return task->mce_count;
}
