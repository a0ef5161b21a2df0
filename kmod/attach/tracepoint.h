/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hooks at KVM's tracepoints.
 */
#ifndef _KVMMEM_TRACEPOINT_H
#define _KVMMEM_TRACEPOINT_H

#include "attach/hook.h"

struct kvmmem_protos;

void kvmmem_tracepoint_choose(struct kvmmem_hook *hook, const struct kvmmem_protos *protos);
void kvmmem_tracepoint_attach(struct kvmmem_hook *hook);
void kvmmem_tracepoint_detach(struct kvmmem_hook *hook);

#endif /* _KVMMEM_TRACEPOINT_H */
