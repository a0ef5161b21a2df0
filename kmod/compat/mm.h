/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Other processes' memory.
 */
#ifndef _KVMMEM_COMPAT_MM_H
#define _KVMMEM_COMPAT_MM_H

#include <linux/sched/mm.h>

/* NULL where it is not exported: from 5.11 to 6.0, and in the first of 5.10.y and 5.15.y. */
#pragma weak mmput_async

#endif /* _KVMMEM_COMPAT_MM_H */
