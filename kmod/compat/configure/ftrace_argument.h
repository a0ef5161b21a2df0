/* SPDX-License-Identifier: GPL-2.0 */
/* ftrace has accessors for the arguments of a hooked function */
static unsigned long test_ftrace_argument(struct ftrace_regs *fregs)
{
	return ftrace_regs_get_argument(fregs, 0);
}
