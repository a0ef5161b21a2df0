/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who wants the probes on kvm_entry and kvm_exit, which every exit passes.
 */
#ifndef _KVMMEM_RUN_H
#define _KVMMEM_RUN_H

#include <linux/types.h>

struct kvmmem_probe;

/**
 * enum kvmmem_run_need - what the probes are for
 * @KVMMEM_RUN_TAG: the hardware tag and flushes: one of the two tracepoints
 * @KVMMEM_RUN_TIME: service time: both
 * @KVMMEM_NR_RUN_NEEDS: how many there are
 */
enum kvmmem_run_need {
	KVMMEM_RUN_TAG,
	KVMMEM_RUN_TIME,
	KVMMEM_NR_RUN_NEEDS
};

void kvmmem_run_init(const struct kvmmem_probe *entry, const struct kvmmem_probe *exit);
void kvmmem_run_want(enum kvmmem_run_need need, bool on);
bool kvmmem_run_wanted(enum kvmmem_run_need need);
bool kvmmem_run_attached(enum kvmmem_run_need need);
void kvmmem_run_note(const char *note);

#endif /* _KVMMEM_RUN_H */
