/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the perf PMU shows of memory: not counts, but how it is now.
 */
#ifndef _KVMMEM_PMU_GAUGES_H
#define _KVMMEM_PMU_GAUGES_H

#include <linux/list.h>
#include <linux/types.h>

struct kvmmem_vm;

/* In KiB. */
enum kvmmem_gauge {
	KVMMEM_GAUGE_EPT_4K,
	KVMMEM_GAUGE_EPT_2M,
	KVMMEM_GAUGE_EPT_1G,
	KVMMEM_GAUGE_TABLES,
	KVMMEM_GAUGE_HOST_4K,
	KVMMEM_GAUGE_HOST_2M,
	KVMMEM_GAUGE_HOST_1G,
	KVMMEM_GAUGE_SWAP,
	KVMMEM_GAUGE_KSM,
	KVMMEM_NR_GAUGES
};

struct kvmmem_gauged *kvmmem_gauges_get(struct kvmmem_vm *vm, enum kvmmem_gauge gauge);
void kvmmem_gauges_put(struct kvmmem_gauged *gauged);
void kvmmem_gauges_stop(void);
u64 kvmmem_gauges_read(const struct kvmmem_gauged *gauged, enum kvmmem_gauge gauge);

#endif /* _KVMMEM_PMU_GAUGES_H */
