/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Leading a vCPU's probes off their straight path.
 */
#ifndef _KVMMEM_DETOUR_H
#define _KVMMEM_DETOUR_H

#include "registry/vm.h"

struct kvmmem_detour;

struct kvmmem_detour *kvmmem_detour_begin(const struct kvmmem_vcpu *rec);
void kvmmem_detour_end(struct kvmmem_detour *detour);
void kvmmem_detour_exit(void);

#endif /* _KVMMEM_DETOUR_H */
