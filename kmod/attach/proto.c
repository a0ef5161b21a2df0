// SPDX-License-Identifier: GPL-2.0
/*
 * The BTF of KVM, read where the kernel shows it to everybody.
 *
 * When the tracepoint code tells of kvm.ko its file is there already: BTF's
 * module notifier was registered earlier (fs_initcall, kernel/bpf/btf.c) than
 * that of the tracepoints (device_initcall, kernel/tracepoint.c), and notifiers
 * of the same priority are called in the order of their registration.
 *
 * struct module has a pointer to its BTF, too, but only while it is loaded.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "attach/proto.h"
#include "compat/file.h"

#define BTF_DIR		"/sys/kernel/btf/"
#define MAX_SIZE	(64 << 20)

static void *proto_read_all(const char *name, size_t *size)
{
	char path[64];
	struct file *file;
	void *data = NULL;
	loff_t end, pos = 0;
	ssize_t n = 0;

	if (snprintf(path, sizeof(path), BTF_DIR "%s", name) >= sizeof(path))
		return ERR_PTR(-ENOENT);
	file = kvmmem_open_host(path);
	if (IS_ERR(file))
		return ERR_CAST(file);
	end = i_size_read(file_inode(file));
	if (end > 0 && end <= MAX_SIZE)
		data = __vmalloc(end, GFP_KERNEL | __GFP_NOWARN);
	while (data && pos < end) {
		n = kernel_read(file, data + pos, end - pos, &pos);
		if (n <= 0)
			break;
	}
	filp_close(file, NULL);
	if (!data || pos < end) {
		vfree(data);
		return ERR_PTR(-EINVAL);
	}
	*size = end;
	return data;
}

/**
 * kvmmem_protos_get - read the BTF that has KVM's tracepoints
 * @module: name of KVM's module, NULL if KVM is built in
 *
 * Some megabytes, so not for long. Context: process, may sleep.
 *
 * Return: what is to be given back; ERR_PTR(-ENOENT) if the kernel has none, another
 * errno if it has one that cannot be read.
 */
struct kvmmem_protos *kvmmem_protos_get(const char *module)
{
	struct kvmmem_protos *protos = kzalloc(sizeof(*protos), GFP_KERNEL);
	size_t size, kvm_size;
	void *data;
	int err;

	if (!protos)
		return ERR_PTR(-ENOMEM);
	/* The smaller one first: where modules have none, that is all. */
	if (module) {
		data = proto_read_all(module, &kvm_size);
		err = PTR_ERR_OR_ZERO(data);
		if (err)
			goto err_put;
		protos->kvm_data = data;
	}
	data = proto_read_all("vmlinux", &size);
	err = PTR_ERR_OR_ZERO(data);
	if (err)
		goto err_put;
	protos->kernel_data = data;
	err = -EINVAL;
	if (kvmmem_btf_open(&protos->kernel, protos->kernel_data, size, NULL))
		goto err_put;
	if (module && kvmmem_btf_open(&protos->kvm, protos->kvm_data, kvm_size,
				      &protos->kernel))
		goto err_put;
	return protos;

err_put:
	kvmmem_protos_put(protos);
	return ERR_PTR(err);
}

/**
 * kvmmem_protos_put - free what kvmmem_protos_get() gave
 * @protos: that, an errno or NULL
 */
void kvmmem_protos_put(struct kvmmem_protos *protos)
{
	if (IS_ERR_OR_NULL(protos))
		return;
	vfree(protos->kvm_data);
	vfree(protos->kernel_data);
	kfree(protos);
}

/**
 * kvmmem_protos_find - the prototype of one of KVM's tracepoints
 * @protos: from kvmmem_protos_get()
 * @tracepoint: its name
 * @text: where to, see kvmmem_btf_prototype()
 * @size: of @text
 *
 * Return: as kvmmem_btf_prototype(); only where nothing can be read because there is no
 * BTF it is -ENOENT for all.
 */
int kvmmem_protos_find(const struct kvmmem_protos *protos, const char *tracepoint,
		       char *text, size_t size)
{
	if (IS_ERR(protos))
		return PTR_ERR(protos);
	return kvmmem_btf_prototype(protos->kvm_data ? &protos->kvm : &protos->kernel,
				    tracepoint, text, size);
}
