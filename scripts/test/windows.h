/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Holds open the moments between two steps of kvmmem's in which somebody else may come:
 * suite_windows.py builds kvmmem with this, and has somebody come.
 */
#ifndef WINDOWS_H
#define WINDOWS_H

#include <linux/compiler.h>
#include <linux/delay.h>
#include <linux/tracepoint.h>

/* A VM's list of vCPUs was empty; then their number is read. */
#define WINDOW_US	500

/* All hooks are off, and nobody is waited for yet. */
#define HOOKS_OFF_MS	1500

#undef READ_ONCE
#define READ_ONCE(x)							\
({									\
	if (!__builtin_strcmp(#x, "vm->nr_vcpus"))			\
		udelay(WINDOW_US);					\
	compiletime_assert_rwonce_type(x);				\
	__READ_ONCE(x);							\
})

#define tracepoint_synchronize_unregister()				\
do {									\
	if (strstr(__FILE__, "attach/hooks.c"))				\
		msleep(HOOKS_OFF_MS);					\
	(tracepoint_synchronize_unregister)();				\
} while (0)

#endif
