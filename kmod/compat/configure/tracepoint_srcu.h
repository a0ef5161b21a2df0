/* SPDX-License-Identifier: GPL-2.0 */
/* Probes of tracepoints run under SRCU, some or all; not so for a while from 6.13 on. */
static struct srcu_struct *test_tracepoint_srcu(void)
{
	return &tracepoint_srcu;
}
