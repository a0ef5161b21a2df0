/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A sleep that does not end.
 */
#ifndef _KVMMEM_SLEEP_H
#define _KVMMEM_SLEEP_H

#include <linux/freezer.h>
#include <linux/sched.h>

/**
 * kvmmem_sleep_for_ever - the end of a thread that must not return
 *
 * It can be frozen, so that the host still suspends. Context: may sleep, no lock is held.
 */
static inline void __noreturn kvmmem_sleep_for_ever(void)
{
	for (;;) {
#ifdef TASK_FREEZABLE
		set_current_state(TASK_IDLE | TASK_FREEZABLE);
		schedule();
#else
		set_current_state(TASK_IDLE);
		freezable_schedule();
#endif
	}
}

#endif /* _KVMMEM_SLEEP_H */
