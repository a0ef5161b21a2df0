/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reading BTF, the kernel's description of its own types: pure functions over a
 * buffer that may hold anything, for proto.c and for KUnit.
 */
#ifndef _KVMMEM_BTF_H
#define _KVMMEM_BTF_H

#include <linux/types.h>

#define KVMMEM_BTF_MARKS	512

/**
 * struct kvmmem_btf - a view of BTF data
 * @types: the type section
 * @types_len: its length
 * @strings: the string section; its last byte is NUL
 * @strings_len: its length
 * @first_id: number of the first type: 1, or what follows the base's last
 * @first_str: offset of the first string, in the same way
 * @nr: number of types
 * @base: what this extends, NULL if nothing
 * @stride: types between two marks
 * @marks: where in @types every @stride-th type begins
 */
struct kvmmem_btf {
	const u8 *types;
	u32 types_len;
	const char *strings;
	u32 strings_len;
	u32 first_id;
	u32 first_str;
	u32 nr;
	const struct kvmmem_btf *base;
	u32 stride;
	u32 marks[KVMMEM_BTF_MARKS];
};

int kvmmem_btf_open(struct kvmmem_btf *btf, const void *data, size_t size,
		    const struct kvmmem_btf *base);
int kvmmem_btf_prototype(const struct kvmmem_btf *btf, const char *tracepoint,
			 char *text, size_t size);

#endif /* _KVMMEM_BTF_H */
