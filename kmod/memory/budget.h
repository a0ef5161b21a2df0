/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How much of a processor all walks together may take.
 */
#ifndef _KVMMEM_BUDGET_H
#define _KVMMEM_BUDGET_H

#include <linux/types.h>

/**
 * struct kvmmem_budget - what one reading may still spend on walks
 * @left_ns: time
 * @wait_ns: of it for who waits for somebody else
 * @first: it is at the walk that comes first in a reading
 */
struct kvmmem_budget {
	s64 left_ns;
	s64 wait_ns;
	bool first;
};

void kvmmem_budget_open(struct kvmmem_budget *budget);
void kvmmem_budget_go_on(struct kvmmem_budget *budget);
void kvmmem_budget_open_long(struct kvmmem_budget *budget);
bool kvmmem_budget_left(const struct kvmmem_budget *budget);
s64 kvmmem_budget_rest(const struct kvmmem_budget *budget);
u64 kvmmem_budget_spend(struct kvmmem_budget *budget, u64 begun);
bool kvmmem_budget_wait(struct kvmmem_budget *budget);
void kvmmem_budget_waited(struct kvmmem_budget *budget, u64 begun);

#endif /* _KVMMEM_BUDGET_H */
