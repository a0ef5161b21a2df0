// SPDX-License-Identifier: GPL-2.0
/*
 * Reading BTF: see btf.h, and Documentation/bpf/btf.rst of the kernel for the
 * format. Types have no fixed size and no index, so numbers are found by walking
 * from the nearest mark. Nothing in the data is believed before it is checked
 * against the bounds.
 */
#include <linux/ctype.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/string.h>

#include "attach/btf.h"

#define MAGIC		0xeb9f
#define VERSION		1
#define MAX_CHAIN	16	/* of typedefs and pointers */
#define MAX_NAME	48

struct header {
	u16 magic;
	u8 version;
	u8 flags;
	u32 hdr_len;
	u32 type_off;		/* both from the end of the header */
	u32 type_len;
	u32 str_off;
	u32 str_len;
};

struct type {
	u32 name;
	u32 info;
	u32 size_or_type;
};

/* Of newer kernels; the bits that older ones do not use are 0 there. */
#define INFO_KIND(info)	(((info) >> 24) & 0x7f)
#define INFO_VLEN(info)	((info) & 0xffffff)

enum kind {
	KIND_VOID, KIND_INT, KIND_PTR, KIND_ARRAY, KIND_STRUCT, KIND_UNION,
	KIND_ENUM, KIND_FWD, KIND_TYPEDEF, KIND_VOLATILE, KIND_CONST,
	KIND_RESTRICT, KIND_FUNC, KIND_FUNC_PROTO, KIND_VAR, KIND_DATASEC,
	KIND_FLOAT, KIND_DECL_TAG, KIND_TYPE_TAG, KIND_ENUM64,
	NR_KINDS
};

/* What follows a type: so many bytes, and so many for each of its vlen. */
static const struct {
	u8 fixed;
	u8 each;
} tail[NR_KINDS] = {
	[KIND_INT]		= { 4, 0 },
	[KIND_ARRAY]		= { 12, 0 },
	[KIND_STRUCT]		= { 0, 12 },
	[KIND_UNION]		= { 0, 12 },
	[KIND_ENUM]		= { 0, 8 },
	[KIND_FUNC_PROTO]	= { 0, 8 },
	[KIND_VAR]		= { 4, 0 },
	[KIND_DATASEC]		= { 0, 12 },
	[KIND_DECL_TAG]		= { 4, 0 },
	[KIND_ENUM64]		= { 0, 12 },
};

#define INT_SIGNED	BIT(0)
#define INT_BOOL	BIT(2)

struct param {
	u32 name;
	u32 type;
};

/*
 * The type at an offset and the offset behind it, or an error: data that ends
 * early or has a kind that is not known.
 */
static int btf_type_at(const struct kvmmem_btf *btf, u32 offset, struct type *type, u32 *next)
{
	u32 left = btf->types_len - offset;
	u64 size = sizeof(*type);
	u32 kind;

	if (offset > btf->types_len || left < size)
		return -EINVAL;
	memcpy(type, btf->types + offset, sizeof(*type));
	kind = INFO_KIND(type->info);
	if (kind == KIND_VOID || kind >= NR_KINDS)
		return -EINVAL;
	size += tail[kind].fixed + (u64)tail[kind].each * INFO_VLEN(type->info);
	if (size > left)
		return -EINVAL;
	*next = offset + size;
	return 0;
}

static void btf_mark(struct kvmmem_btf *btf, u32 offset)
{
	u32 i;

	if (btf->nr % btf->stride)
		return;
	if (btf->nr / btf->stride == KVMMEM_BTF_MARKS) {
		for (i = 0; i < KVMMEM_BTF_MARKS / 2; i++)
			btf->marks[i] = btf->marks[2 * i];
		btf->stride *= 2;
	}
	btf->marks[btf->nr / btf->stride] = offset;
}

/**
 * kvmmem_btf_open - check BTF data and make a view of it
 * @btf: the view
 * @data: the data, aligned or not; must stay as long as the view
 * @size: its size
 * @base: for the BTF of a module: that of the kernel, already open
 *
 * Return: 0, or -EINVAL when the data is no BTF that can be read.
 */
int kvmmem_btf_open(struct kvmmem_btf *btf, const void *data, size_t size,
		    const struct kvmmem_btf *base)
{
	u32 offset = 0, next;
	struct header header;
	struct type type;
	u64 left;

	memset(btf, 0, sizeof(*btf));
	if (size < sizeof(header))
		return -EINVAL;
	memcpy(&header, data, sizeof(header));
	if (header.magic != MAGIC || header.version != VERSION ||
	    header.hdr_len < sizeof(header) || header.hdr_len > size)
		return -EINVAL;
	left = size - header.hdr_len;
	if (header.type_off > left || header.type_len > left - header.type_off ||
	    header.str_off > left || header.str_len > left - header.str_off)
		return -EINVAL;

	btf->types = (const u8 *)data + header.hdr_len + header.type_off;
	btf->types_len = header.type_len;
	btf->strings = (const char *)data + header.hdr_len + header.str_off;
	btf->strings_len = header.str_len;
	/* A module may do without strings of its own. */
	if (btf->strings_len ? btf->strings[btf->strings_len - 1] : !base)
		return -EINVAL;
	btf->base = base;
	btf->first_id = base ? base->first_id + base->nr : 1;
	btf->first_str = base ? base->first_str + base->strings_len : 0;

	for (btf->stride = 1; offset < btf->types_len; offset = next, btf->nr++) {
		if (btf_type_at(btf, offset, &type, &next))
			return -EINVAL;
		btf_mark(btf, offset);
	}
	return 0;
}

/* The type of a number, and the view and the offset where it is. */
static int btf_type_of(const struct kvmmem_btf *btf, u32 id, struct type *type,
		       const struct kvmmem_btf **in, u32 *offset)
{
	u32 index, i, next = 0;

	if (btf->base && id < btf->first_id)
		btf = btf->base;
	index = id - btf->first_id;
	if (id < btf->first_id || index >= btf->nr)
		return -EINVAL;
	*offset = btf->marks[index / btf->stride];
	for (i = index % btf->stride; i; i--) {
		if (btf_type_at(btf, *offset, type, &next))
			return -EINVAL;
		*offset = next;
	}
	*in = btf;
	return btf_type_at(btf, *offset, type, &next);
}

/* A name, "" for none or for one that is out of bounds. */
static const char *btf_name_of(const struct kvmmem_btf *btf, u32 name)
{
	if (btf->base && name < btf->first_str)
		btf = btf->base;
	if (name < btf->first_str || name - btf->first_str >= btf->strings_len)
		return "";
	return btf->strings + (name - btf->first_str);
}

static bool btf_is_identifier(const char *name)
{
	size_t n;

	for (n = 0; name[n]; n++)
		if (n >= MAX_NAME || !(isalnum(name[n]) || name[n] == '_'))
			return false;
	return n;
}

/* Appends to a text; remembers that it did not fit. */
struct text {
	char *buf;
	size_t size;
	size_t len;
};

static void btf_append(struct text *text, const char *word)
{
	size_t n = strlen(word);

	if (text->len + n < text->size)
		memcpy(text->buf + text->len, word, n + 1);
	text->len += n;
}

static int btf_append_base(const struct kvmmem_btf *btf, const struct type *type,
			   u32 offset, struct text *text)
{
	const char *name = btf_name_of(btf, type->name);
	u32 encoding;
	char word[8];

	switch (INFO_KIND(type->info)) {
	case KIND_INT:
		memcpy(&encoding, btf->types + offset + sizeof(*type), sizeof(encoding));
		encoding >>= 24;
		if (type->size_or_type > 16)
			return -EINVAL;
		snprintf(word, sizeof(word), "%c%u", encoding & INT_SIGNED ? 's' : 'u',
			 type->size_or_type * 8);
		btf_append(text, encoding & INT_BOOL ? "bool" : word);
		return 0;
	case KIND_STRUCT:
	case KIND_UNION:
	case KIND_FWD:
	case KIND_ENUM:
	case KIND_ENUM64:
		if (*name && !btf_is_identifier(name))
			return -EINVAL;
		btf_append(text, *name ? name : "unnamed");
		return 0;
	case KIND_FUNC_PROTO:
		btf_append(text, "function");
		return 0;
	case KIND_ARRAY:
		btf_append(text, "array");
		return 0;
	case KIND_FLOAT:
		btf_append(text, "float");
		return 0;
	default:
		return -EINVAL;
	}
}

/* "u64", "kvm_vcpu*": what matters to who is handed such an argument. */
static int btf_append_type(const struct kvmmem_btf *btf, u32 id, struct text *text)
{
	const struct kvmmem_btf *in;
	int stars = 0, links, err;
	struct type type;
	u32 offset;

	for (links = 0; id && links < MAX_CHAIN; links++) {
		err = btf_type_of(btf, id, &type, &in, &offset);
		if (err)
			return err;
		switch (INFO_KIND(type.info)) {
		case KIND_PTR:
			stars++;
			fallthrough;
		case KIND_TYPEDEF:
		case KIND_VOLATILE:
		case KIND_CONST:
		case KIND_RESTRICT:
		case KIND_TYPE_TAG:
			id = type.size_or_type;
			continue;
		}
		err = btf_append_base(in, &type, offset, text);
		if (err)
			return err;
		break;
	}
	if (links == MAX_CHAIN)
		return -EINVAL;
	if (!id)
		btf_append(text, "void");
	while (stars--)
		btf_append(text, "*");
	return 0;
}

static int btf_append_params(const struct kvmmem_btf *btf, const struct type *proto,
			     u32 offset, struct text *text)
{
	const u8 *params = btf->types + offset + sizeof(*proto);
	struct text first = { };
	struct param param;
	char data[8] = "";
	u32 i;
	int err;

	first.buf = data;
	first.size = sizeof(data);
	for (i = 0; i < INFO_VLEN(proto->info); i++) {
		memcpy(&param, params + i * sizeof(param), sizeof(param));
		if (i > 1)
			btf_append(text, ",");
		if (i && !param.type)
			btf_append(text, "...");
		else if (btf_append_type(btf, param.type, i ? text : &first))
			return -EINVAL;
		/* Long enough: no need to walk the rest of nonsense. */
		if (text->len >= text->size)
			return -E2BIG;
	}
	err = strcmp(data, "void*");
	return err ? -EINVAL : 0;
}

/* The last type of btf->types that is called btf_trace_<tracepoint>. */
static int btf_find_typedef(const struct kvmmem_btf *btf, const char *tracepoint,
			    struct type *found)
{
	static const char prefix[] = "btf_trace_";
	u32 offset, next;
	struct type type;
	int err = -ENOENT;

	for (offset = 0; offset < btf->types_len; offset = next) {
		const char *name;

		if (btf_type_at(btf, offset, &type, &next))
			return -EINVAL;
		if (INFO_KIND(type.info) != KIND_TYPEDEF)
			continue;
		name = btf_name_of(btf, type.name);
		if (strncmp(name, prefix, sizeof(prefix) - 1) ||
		    strcmp(name + sizeof(prefix) - 1, tracepoint))
			continue;
		*found = type;
		err = 0;
	}
	return err;
}

/**
 * kvmmem_btf_prototype - the prototype of a tracepoint
 * @btf: BTF of the module that has it
 * @tracepoint: its name
 * @text: where to: "(kvm_vcpu*,u64,u64)", the arguments of a probe after its
 *	void *data
 * @size: of @text
 *
 * The kernel names a probe's type btf_trace_<tracepoint>. Integers are told
 * apart by size and sign, pointers by what they point to.
 *
 * Return: 0; -ENOENT when there is no such type; -EINVAL or -E2BIG when it is
 * there but makes no sense, or does not fit.
 */
int kvmmem_btf_prototype(const struct kvmmem_btf *btf, const char *tracepoint,
			 char *text, size_t size)
{
	struct text out = { .buf = text, .size = size };
	const struct kvmmem_btf *in;
	struct type type;
	u32 offset;
	int err;

	err = btf_find_typedef(btf, tracepoint, &type);
	if (err)
		return err;
	err = btf_type_of(btf, type.size_or_type, &type, &in, &offset);
	if (err || INFO_KIND(type.info) != KIND_PTR)
		return -EINVAL;
	err = btf_type_of(btf, type.size_or_type, &type, &in, &offset);
	if (err || INFO_KIND(type.info) != KIND_FUNC_PROTO)
		return -EINVAL;

	btf_append(&out, "(");
	err = btf_append_params(in, &type, offset, &out);
	btf_append(&out, ")");
	if (!err && out.len >= size)
		err = -E2BIG;
	return err;
}
