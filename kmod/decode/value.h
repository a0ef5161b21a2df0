/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KVMMEM_VALUE_H
#define _KVMMEM_VALUE_H

#include <linux/limits.h>
#include <linux/types.h>

/* A value that this kernel or host cannot tell; printed as '-', never as 0. */
#define KVMMEM_UNKNOWN	U64_MAX

/**
 * struct kvmmem_grown - how much a count of KVM's has grown
 * @seen: the count when it was looked at last
 * @sum: what it has grown by
 *
 * KVM's statistics can be cleared, by a file in debugfs.
 */
struct kvmmem_grown {
	u64 seen;
	u64 sum;
};

/**
 * kvmmem_grown_by - look at the count once more
 * @grown: what is known of it
 * @now: its value
 *
 * A count that is smaller than before was cleared. What it had grown by since the
 * last look is lost then; nothing shrinks.
 *
 * Return: what it has grown by in all.
 */
static inline u64 kvmmem_grown_by(struct kvmmem_grown *grown, u64 now)
{
	if (now > grown->seen)
		grown->sum += now - grown->seen;
	grown->seen = now;
	return grown->sum;
}

#endif /* _KVMMEM_VALUE_H */
