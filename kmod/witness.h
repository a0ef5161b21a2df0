/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KVMMEM_WITNESS_H
#define _KVMMEM_WITNESS_H

#include <linux/types.h>

/**
 * struct kvmmem_witness - two counts of the same thing
 * @ours: kvmmem's, of all vCPUs
 * @kvms: KVM's, since counting began
 * @vcpus_off: vCPUs whose own two counts differ
 */
struct kvmmem_witness {
	u64 ours;
	u64 kvms;
	unsigned int vcpus_off;
};

/**
 * kvmmem_witness_add - add one vCPU's counts
 * @witness: where to
 * @ours: kvmmem's count
 * @kvms: KVM's count
 */
static inline void kvmmem_witness_add(struct kvmmem_witness *witness, u64 ours, u64 kvms)
{
	witness->ours += ours;
	witness->kvms += kvms;
	witness->vcpus_off += ours != kvms;
}

#endif /* _KVMMEM_WITNESS_H */
