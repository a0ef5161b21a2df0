/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The events that the perf PMU has.
 */
#ifndef _KVMMEM_PMU_KINDS_H
#define _KVMMEM_PMU_KINDS_H

#include <linux/types.h>

/**
 * enum kvmmem_pmu_unit - what an event counts
 * @KVMMEM_PMU_COUNT: how often
 * @KVMMEM_PMU_NS: nanoseconds
 * @KVMMEM_PMU_PAGES: pages of 4K, shown as bytes
 * @KVMMEM_PMU_KIB: KiB, shown as bytes: a gauge
 */
enum kvmmem_pmu_unit {
	KVMMEM_PMU_COUNT,
	KVMMEM_PMU_NS,
	KVMMEM_PMU_PAGES,
	KVMMEM_PMU_KIB,
};

/**
 * struct kvmmem_pmu_kind - an event
 * @name: in sysfs
 * @unit: what it counts
 * @tallies: bits of enum kvmmem_tally whose sum it is; of a gauge: its enum kvmmem_gauge
 * @hooks: bits of enum kvmmem_hook_id without which it cannot be told
 * @cause: it is one cause of flushes
 * @mappings: it takes KVM's counts of mappings by size
 */
struct kvmmem_pmu_kind {
	const char *name;
	enum kvmmem_pmu_unit unit;
	u64 tallies;
	u64 hooks;
	bool cause;
	bool mappings;
};

extern const struct kvmmem_pmu_kind kvmmem_pmu_kinds[];
extern const unsigned int kvmmem_pmu_nr_kinds;

#define KVMMEM_PMU_MAX_KINDS	64

const struct kvmmem_pmu_kind *kvmmem_pmu_kind(u64 config);
bool kvmmem_pmu_kind_exists(const struct kvmmem_pmu_kind *kind);
bool kvmmem_pmu_kind_works(const struct kvmmem_pmu_kind *kind);

#endif /* _KVMMEM_PMU_KINDS_H */
