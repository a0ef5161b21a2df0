/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One reading of /proc/kvmmem.
 */
#ifndef _KVMMEM_READING_H
#define _KVMMEM_READING_H

#include "memory/budget.h"
#include "show/host.h"

/**
 * struct kvmmem_reading - what its parts share, under the seq_file's lock
 * @host: the host's facts
 * @budget: what it may still spend on walks
 * @dirty_since: when it came to the dirty rows, ktime_get_ns(); 0: it has not
 */
struct kvmmem_reading {
	struct kvmmem_host host;
	struct kvmmem_budget budget;
	u64 dirty_since;
};

#endif /* _KVMMEM_READING_H */
