/* SPDX-License-Identifier: GPL-2.0 */
/* The workqueue of no processor has another name, and warns of its old one */
static struct workqueue_struct *test_unbound_workqueue(void)
{
	return system_dfl_wq;
}
