/* SPDX-License-Identifier: GPL-2.0 */
/* ftrace hands its callbacks a struct ftrace_regs that has the arguments */
static unsigned long test_ftrace_regs(struct ftrace_regs *fregs)
{
	return regs_get_kernel_argument(&fregs->regs, 0);
}
