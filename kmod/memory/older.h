/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The load of KVM's older MMU.
 */
#ifndef _KVMMEM_OLDER_H
#define _KVMMEM_OLDER_H

#include "registry/vm.h"

/**
 * struct kvmmem_older - what a VM's older MMU has to do, for readers
 * @unsync: tables that are out of step with the guest's now
 * @events: since the VM's record was born, by enum kvmmem_older_event
 * @rmap_kb: what the slots' reverse mappings took at the last walk
 */
struct kvmmem_older {
	u64 unsync;
	u64 events[KVMMEM_NR_OLDER];
	u64 rmap_kb;
};

bool kvmmem_older_of_vm(struct kvmmem_vm *vm, struct kvmmem_older *older);

#endif /* _KVMMEM_OLDER_H */
