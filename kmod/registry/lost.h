/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events that have no record to go to.
 */
#ifndef _KVMMEM_LOST_H
#define _KVMMEM_LOST_H

#include <linux/types.h>

void kvmmem_lost(void);
u64 kvmmem_lost_events(void);

#endif /* _KVMMEM_LOST_H */
