// SPDX-License-Identifier: GPL-2.0
#include <kunit/test.h>
#include <linux/errno.h>
#include <linux/string.h>

#include "attach/btf.h"

#define INFO(kind, vlen)	((u32)(kind) << 24 | (vlen))
#define UNSIGNED(bits)		(bits)
#define SIGNED(bits)		(BIT(24) | (bits))
#define BOOLEAN(bits)		(BIT(26) | (bits))

enum { INT = 1, PTR = 2, STRUCT = 4, TYPEDEF = 8, CONST = 10, FUNC_PROTO = 13 };

/* BTF in the making: a header, types that are appended, strings. */
struct blob {
	u8 data[1024];
	u32 types_len;
	u32 strings_len;
	char strings[256];
	u32 nr;
};

static u32 string(struct blob *blob, const char *text)
{
	u32 at = blob->strings_len;

	strscpy(blob->strings + at, text, sizeof(blob->strings) - at);
	blob->strings_len += strlen(text) + 1;
	return at;
}

static void word(struct blob *blob, u32 value)
{
	memcpy(blob->data + 24 + blob->types_len, &value, sizeof(value));
	blob->types_len += sizeof(value);
}

static u32 type(struct blob *blob, u32 name, u32 info, u32 size_or_type)
{
	word(blob, name);
	word(blob, info);
	word(blob, size_or_type);
	return ++blob->nr;
}

/* Puts header and strings in place. Returns the size. */
static size_t finish(struct blob *blob)
{
	u16 magic = 0xeb9f;
	u32 header[] = { 24, 0, blob->types_len, blob->types_len, blob->strings_len };

	memcpy(blob->data, &magic, sizeof(magic));
	blob->data[2] = 1;
	blob->data[3] = 0;
	memcpy(blob->data + 4, header, sizeof(header));
	memcpy(blob->data + 24 + blob->types_len, blob->strings, blob->strings_len);
	return 24 + blob->types_len + blob->strings_len;
}

/* The numbers of the base's types, in order. */
enum { U64 = 1, U32, S32, BOOL, VOID_PTR, ALIAS, NR_BASE = ALIAS };

static void make_base(struct blob *blob)
{
	string(blob, "");
	type(blob, string(blob, "long unsigned int"), INFO(INT, 0), 8);
	word(blob, UNSIGNED(64));
	type(blob, string(blob, "unsigned int"), INFO(INT, 0), 4);
	word(blob, UNSIGNED(32));
	type(blob, string(blob, "int"), INFO(INT, 0), 4);
	word(blob, SIGNED(32));
	type(blob, string(blob, "_Bool"), INFO(INT, 0), 1);
	word(blob, BOOLEAN(8));
	type(blob, 0, INFO(PTR, 0), 0);
	type(blob, string(blob, "u64"), INFO(TYPEDEF, 0), U64);
}

static void param(struct blob *blob, u32 of_type)
{
	word(blob, 0);
	word(blob, of_type);
}

/*
 * A module's part: struct kvm_vcpu and the tracepoints "fault", whose arguments
 * are (void *, struct kvm_vcpu *, u64, const bool, ...), "bare" with only the
 * first, and "odd", whose first is no pointer.
 */
static void make_module(struct blob *blob, const struct blob *base)
{
	u32 shift = base->strings_len, first = base->nr + 1;
	u32 vcpu, vcpu_ptr, constant, proto;

	vcpu = first - 1 + type(blob, shift + string(blob, "kvm_vcpu"), INFO(STRUCT, 1), 8);
	word(blob, 0);
	word(blob, U64);
	word(blob, 0);
	vcpu_ptr = first - 1 + type(blob, 0, INFO(PTR, 0), vcpu);
	constant = first - 1 + type(blob, 0, INFO(CONST, 0), BOOL);

	proto = first - 1 + type(blob, 0, INFO(FUNC_PROTO, 4), 0);
	param(blob, VOID_PTR);
	param(blob, vcpu_ptr);
	param(blob, ALIAS);
	param(blob, constant);
	proto = first - 1 + type(blob, 0, INFO(PTR, 0), proto);
	type(blob, shift + string(blob, "btf_trace_fault"), INFO(TYPEDEF, 0), proto);

	proto = first - 1 + type(blob, 0, INFO(FUNC_PROTO, 1), 0);
	param(blob, VOID_PTR);
	proto = first - 1 + type(blob, 0, INFO(PTR, 0), proto);
	type(blob, shift + string(blob, "btf_trace_bare"), INFO(TYPEDEF, 0), proto);

	proto = first - 1 + type(blob, 0, INFO(FUNC_PROTO, 2), 0);
	param(blob, S32);
	param(blob, S32);
	proto = first - 1 + type(blob, 0, INFO(PTR, 0), proto);
	type(blob, shift + string(blob, "btf_trace_odd"), INFO(TYPEDEF, 0), proto);

	/* A typedef that is no function, and one that refers to itself. */
	type(blob, shift + string(blob, "btf_trace_number"), INFO(TYPEDEF, 0), U64);
	constant = first + blob->nr;
	type(blob, 0, INFO(CONST, 0), constant);
	proto = first - 1 + type(blob, 0, INFO(FUNC_PROTO, 2), 0);
	param(blob, VOID_PTR);
	param(blob, constant);
	proto = first - 1 + type(blob, 0, INFO(PTR, 0), proto);
	type(blob, shift + string(blob, "btf_trace_loop"), INFO(TYPEDEF, 0), proto);
}

struct fixture {
	struct blob base, module;
	struct kvmmem_btf kernel, kvm;
	size_t base_size, module_size;
};

static struct fixture *fixture(struct kunit *test)
{
	struct fixture *fix = kunit_kzalloc(test, sizeof(*fix), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, fix);
	make_base(&fix->base);
	fix->base_size = finish(&fix->base);
	make_module(&fix->module, &fix->base);
	fix->module_size = finish(&fix->module);
	KUNIT_ASSERT_EQ(test, kvmmem_btf_open(&fix->kernel, fix->base.data,
					      fix->base_size, NULL), 0);
	KUNIT_ASSERT_EQ(test, kvmmem_btf_open(&fix->kvm, fix->module.data,
					      fix->module_size, &fix->kernel), 0);
	return fix;
}

static void prototypes(struct kunit *test)
{
	struct fixture *fix = fixture(test);
	char text[40];

	KUNIT_EXPECT_EQ(test, fix->kernel.nr, (u32)NR_BASE);
	KUNIT_EXPECT_EQ(test, kvmmem_btf_prototype(&fix->kvm, "fault", text, sizeof(text)), 0);
	KUNIT_EXPECT_STREQ(test, text, "(kvm_vcpu*,u64,bool)");
	KUNIT_EXPECT_EQ(test, kvmmem_btf_prototype(&fix->kvm, "bare", text, sizeof(text)), 0);
	KUNIT_EXPECT_STREQ(test, text, "()");
}

static void refused(struct kunit *test)
{
	struct fixture *fix = fixture(test);
	char text[40];

	KUNIT_EXPECT_EQ(test, kvmmem_btf_prototype(&fix->kvm, "faul", text, sizeof(text)),
			-ENOENT);
	KUNIT_EXPECT_EQ(test, kvmmem_btf_prototype(&fix->kvm, "faults", text, sizeof(text)),
			-ENOENT);
	KUNIT_EXPECT_EQ(test, kvmmem_btf_prototype(&fix->kvm, "odd", text, sizeof(text)),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, kvmmem_btf_prototype(&fix->kvm, "number", text, sizeof(text)),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, kvmmem_btf_prototype(&fix->kvm, "loop", text, sizeof(text)),
			-EINVAL);
	/* "(kvm_vcpu*,u64,bool)" and its NUL are 21. */
	KUNIT_EXPECT_EQ(test, kvmmem_btf_prototype(&fix->kvm, "fault", text, 20), -E2BIG);
	KUNIT_EXPECT_EQ(test, kvmmem_btf_prototype(&fix->kvm, "fault", text, 21), 0);
}

/* Cut off anywhere, it is refused, or it has lost what is looked for. */
static void truncated(struct kunit *test)
{
	struct fixture *fix = fixture(test);
	struct kvmmem_btf *btf = kunit_kzalloc(test, sizeof(*btf), GFP_KERNEL);
	size_t size;

	KUNIT_ASSERT_NOT_NULL(test, btf);
	for (size = 0; size < fix->module_size; size++) {
		/* Exactly as long, so that KASAN sees a byte too many. */
		void *copy = kmemdup(fix->module.data, size, GFP_KERNEL);

		KUNIT_EXPECT_NE(test, kvmmem_btf_open(btf, copy, size, &fix->kernel), 0);
		kfree(copy);
	}
}

/* Each bit flipped in turn: no access out of bounds, no endless walk. */
static void corrupt(struct kunit *test)
{
	static const char * const names[] = { "fault", "bare", "odd", "number", "loop" };
	struct fixture *fix = fixture(test);
	struct kvmmem_btf *btf = kunit_kzalloc(test, sizeof(*btf), GFP_KERNEL);
	u8 *copy = kunit_kzalloc(test, fix->module_size, GFP_KERNEL);
	unsigned int bit, i;
	char text[40];

	KUNIT_ASSERT_NOT_NULL(test, btf);
	KUNIT_ASSERT_NOT_NULL(test, copy);
	memcpy(copy, fix->module.data, fix->module_size);
	for (bit = 0; bit < fix->module_size * 8; bit++) {
		copy[bit / 8] ^= 1 << bit % 8;
		if (!kvmmem_btf_open(btf, copy, fix->module_size, &fix->kernel))
			for (i = 0; i < ARRAY_SIZE(names); i++)
				if (!kvmmem_btf_prototype(btf, names[i], text, sizeof(text)))
					KUNIT_EXPECT_LT(test, strnlen(text, sizeof(text)),
							sizeof(text));
		copy[bit / 8] ^= 1 << bit % 8;
	}
}

/* More types than there are marks, so that marks are thinned out. */
static void many(struct kunit *test)
{
	const u32 nr = 5 * KVMMEM_BTF_MARKS + 3;
	struct blob *head = kunit_kzalloc(test, sizeof(*head), GFP_KERNEL);
	struct kvmmem_btf *btf = kunit_kzalloc(test, sizeof(*btf), GFP_KERNEL);
	u8 *data = kunit_kzalloc(test, 1024 + nr * 12, GFP_KERNEL);
	u32 i, string_at, header[5], pad[3] = { 0, INFO(PTR, 0), 0 };
	char text[40];

	KUNIT_ASSERT_NOT_NULL(test, head);
	KUNIT_ASSERT_NOT_NULL(test, btf);
	KUNIT_ASSERT_NOT_NULL(test, data);
	/* nr pointers, an int, a prototype that takes it, and its typedef. */
	string(head, "");
	string_at = string(head, "btf_trace_far");
	head->nr = nr;
	type(head, 0, INFO(INT, 0), 2);
	word(head, UNSIGNED(16));
	type(head, 0, INFO(FUNC_PROTO, 2), 0);
	param(head, 1);
	param(head, nr + 1);
	type(head, 0, INFO(PTR, 0), nr + 2);
	type(head, string_at, INFO(TYPEDEF, 0), nr + 3);
	finish(head);

	memcpy(data, head->data, 24);
	memcpy(header, data + 4, sizeof(header));
	header[2] += nr * 12;
	header[3] += nr * 12;
	memcpy(data + 4, header, sizeof(header));
	for (i = 0; i < nr; i++)
		memcpy(data + 24 + i * 12, pad, sizeof(pad));
	memcpy(data + 24 + nr * 12, head->data + 24, head->types_len + head->strings_len);

	KUNIT_ASSERT_EQ(test, kvmmem_btf_open(btf, data, 24 + nr * 12 + head->types_len +
					      head->strings_len, NULL), 0);
	KUNIT_EXPECT_EQ(test, btf->nr, nr + 4);
	KUNIT_EXPECT_GT(test, btf->stride, 1U);
	KUNIT_EXPECT_EQ(test, kvmmem_btf_prototype(btf, "far", text, sizeof(text)), 0);
	KUNIT_EXPECT_STREQ(test, text, "(u16)");
}

static struct kunit_case btf_cases[] = {
	KUNIT_CASE(prototypes),
	KUNIT_CASE(refused),
	KUNIT_CASE(truncated),
	KUNIT_CASE(corrupt),
	KUNIT_CASE(many),
	{}
};

static struct kunit_suite btf_suite = {
	.name = "kvmmem-btf",
	.test_cases = btf_cases,
};

kunit_test_suite(btf_suite);
