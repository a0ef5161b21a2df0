/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who wants to hear of each violation, and who of vCPUs that do not get on: it costs
 * nothing while nobody does.
 */
#ifndef _KVMMEM_OBSERVED_H
#define _KVMMEM_OBSERVED_H

#include <linux/jump_label.h>
#include <linux/kconfig.h>
#include <linux/types.h>

DECLARE_STATIC_KEY_FALSE(kvmmem_observed_key);

/**
 * struct kvmmem_seen - a violation that is over
 * @gpa: where
 * @ns: its service time; -1 if not known
 * @access: what the guest wanted, a word like the next three
 * @cause: why it could not
 * @outcome: what KVM made of it
 * @page: size of KVM's mapping now
 * @walk: it was the guest's own page-table walk
 * @l2: of a nested guest, and so is @gpa, if L1 has tables for it
 */
struct kvmmem_seen {
	u64 gpa;
	s64 ns;
	const char *access;
	const char *cause;
	const char *outcome;
	const char *page;
	bool walk;
	bool l2;
};

/**
 * kvmmem_observed - does somebody want to hear of each fault?
 *
 * A jump that is not there while nobody does. KVMMEM_BLIND leaves that out, too: what
 * it takes is the difference (scripts/bench).
 *
 * Return: true if so.
 */
static __always_inline bool kvmmem_observed(void)
{
	return !__is_defined(KVMMEM_BLIND) && static_branch_unlikely(&kvmmem_observed_key);
}

void kvmmem_trace_ready(void);
int kvmmem_trace_allowed(void);
int kvmmem_observe(void);
void kvmmem_unobserve(void);
void kvmmem_trace_init(void);
int kvmmem_stuck_wanted(void);
bool kvmmem_stuck_is_wanted(void);
void kvmmem_stuck_unwanted(void);
void kvmmem_stuck_watch_by(void (*begin)(void));

#endif /* _KVMMEM_OBSERVED_H */
