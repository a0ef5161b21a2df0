/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The prototypes that the running kernel's tracepoints really have.
 */
#ifndef _KVMMEM_PROTO_H
#define _KVMMEM_PROTO_H

#include "attach/btf.h"

/**
 * struct kvmmem_protos - BTF of KVM and of the kernel, for a short while
 * @kernel: BTF of the kernel
 * @kvm: of kvm.ko, which extends it
 * @kernel_data: what @kernel looks at
 * @kvm_data: what @kvm looks at, NULL when KVM is built in
 */
struct kvmmem_protos {
	struct kvmmem_btf kernel;
	struct kvmmem_btf kvm;
	void *kernel_data;
	void *kvm_data;
};

struct kvmmem_protos *kvmmem_protos_get(const char *module);
void kvmmem_protos_put(struct kvmmem_protos *protos);
int kvmmem_protos_find(const struct kvmmem_protos *protos, const char *tracepoint,
		       char *text, size_t size);

#endif /* _KVMMEM_PROTO_H */
