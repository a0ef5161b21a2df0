// SPDX-License-Identifier: GPL-2.0
#include <kunit/test.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#include "kvmmem.h"
#include "show/table.h"

KVMMEM_TABLE(sample, "vm",
	     { "id", -11 }, { "vcpus", 5 }, { "mem_kb", 11 }, { "mode", -6 });

static void begin(struct kunit *test, struct seq_file *seq, size_t size)
{
	memset(seq, 0, sizeof(*seq));
	seq->buf = kunit_kzalloc(test, size, GFP_KERNEL);
	seq->size = size;
	KUNIT_ASSERT_NOT_NULL(test, seq->buf);
}

static const char *text_of(struct seq_file *seq)
{
	seq->buf[seq->count] = '\0';
	return seq->buf;
}

static void sample_row(struct seq_file *seq, const char *id, u64 vcpus, u64 mem_kb,
		       const char *mode)
{
	struct kvmmem_row row = kvmmem_row_begin(seq, &sample);

	kvmmem_row_text(&row, id);
	kvmmem_row_u64(&row, vcpus);
	kvmmem_row_u64(&row, mem_kb);
	kvmmem_row_text(&row, mode);
	kvmmem_row_end(&row);
}

static void header_and_rows_align(struct kunit *test)
{
	struct seq_file seq;

	begin(test, &seq, 4096);
	kvmmem_table_header(&seq, &sample);
	sample_row(&seq, "4121-11", 4, 4194304, "ept");
	sample_row(&seq, "1-2", KVMMEM_UNKNOWN, 0, "-");
	KUNIT_EXPECT_STREQ(test, text_of(&seq),
			   "# vm     id          vcpus      mem_kb mode\n"
			   "vm       4121-11         4     4194304 ept\n"
			   "vm       1-2             -           0 -\n");
}

static void long_values_widen(struct kunit *test)
{
	struct seq_file seq;

	begin(test, &seq, 4096);
	sample_row(&seq, "4194304-123456789", U64_MAX - 1, 1, "shadow");
	KUNIT_EXPECT_STREQ(test, text_of(&seq),
			   "vm       4194304-123456789 18446744073709551614           1 shadow\n");
}

static void widths_to_the_brim(struct kunit *test)
{
	struct seq_file seq;

	begin(test, &seq, 4096);
	sample_row(&seq, "12345678901", 99999, 99999999999, "shadow");
	sample_row(&seq, "123456789012", 100000, 100000000000, "shadows");
	KUNIT_EXPECT_STREQ(test, text_of(&seq),
			   "vm       12345678901 99999 99999999999 shadow\n"
			   "vm       123456789012 100000 100000000000 shadows\n");
}

static void every_power_of_ten(struct kunit *test)
{
	char expected[80];
	struct seq_file seq;
	u64 value = 1;
	int i;

	for (i = 0; i < 20; i++, value *= 10) {
		begin(test, &seq, 512);
		sample_row(&seq, "a", value, value - 1, "b");
		snprintf(expected, sizeof(expected), "vm       %-11s %5llu %11llu b\n",
			 "a", value, value - 1);
		KUNIT_EXPECT_STREQ(test, text_of(&seq), expected);
	}
}

/* Wherever the buffer ends, it is all or nothing. */
static void every_size_of_buffer(struct kunit *test)
{
	static const char row[] = "vm       4121-11         4     4194304 ept\n";
	struct seq_file seq;
	size_t size, fits = 0;

	for (size = 1; size < 400; size++) {
		begin(test, &seq, size + 1);
		seq.size = size;
		sample_row(&seq, "4121-11", 4, 4194304, "ept");
		if (seq_has_overflowed(&seq))
			continue;
		fits++;
		KUNIT_EXPECT_STREQ(test, text_of(&seq), row);
	}
	KUNIT_EXPECT_GT(test, fits, 100);
	KUNIT_EXPECT_LT(test, fits, 400 - sizeof(row));
}

static const char padded[KVMMEM_ID_LEN] = "4121-11                 ";

KVMMEM_TABLE(numbers, "vm",
	     { "id", -6 }, { "vcpus", 5 }, { "mem_kb", 11 }, { "far", 40 }, { "farther", 60 },
	     { "last", -3 });

/* A row in one go is the same as cell by cell, wherever the buffer ends. */
static void whole_row_is_the_same(struct kunit *test)
{
	static const u64 values[][5] = {
		{ 0, 9, 10, 99, 100 },
		{ 99999, 99999999999, 1, KVMMEM_UNKNOWN, 12 },
		{ 100000, 100000000000, U64_MAX - 1, 7, 1234 },
		{ KVMMEM_UNKNOWN, 4194304, 101, 1000, KVMMEM_UNKNOWN },
	};
	struct seq_file cells, whole;
	size_t size, i, k, len;

	for (size = 64; size < 512; size += 7) {
		for (i = 0; i < ARRAY_SIZE(values); i++) {
			struct kvmmem_row row;

			len = i % 2 ? 7 : 3;
			begin(test, &cells, size + 1);
			begin(test, &whole, size + 1);
			cells.size = size;
			whole.size = size;
			row = kvmmem_row_begin(&cells, &numbers);
			kvmmem_row_text(&row, len == 7 ? "4121-11" : "412");
			for (k = 0; k < 5; k++)
				kvmmem_row_u64(&row, values[i][k]);
			kvmmem_row_end(&row);
			kvmmem_table_row(&whole, &numbers, len == 7 ? padded :
					 "412                     ", len, values[i]);
			KUNIT_EXPECT_EQ(test, seq_has_overflowed(&whole),
					seq_has_overflowed(&cells));
			if (!seq_has_overflowed(&cells))
				KUNIT_EXPECT_STREQ(test, text_of(&whole), text_of(&cells));
		}
	}
}

static void full_buffer_overflows(struct kunit *test)
{
	struct seq_file seq;

	/* seq_file then asks again with a larger buffer. */
	begin(test, &seq, 20);
	sample_row(&seq, "4121-11", 4, 4194304, "ept");
	KUNIT_EXPECT_TRUE(test, seq_has_overflowed(&seq));
}

static void signed_numbers(struct kunit *test)
{
	struct kvmmem_row row;
	struct seq_file seq;

	begin(test, &seq, 4096);
	row = kvmmem_row_begin(&seq, &sample);
	kvmmem_row_s64(&row, -3);
	kvmmem_row_s64(&row, 0);
	kvmmem_row_s64(&row, S64_MIN);
	kvmmem_row_s64(&row, 7);
	kvmmem_row_end(&row);
	KUNIT_EXPECT_STREQ(test, text_of(&seq),
			   "vm       -3              0 -9223372036854775808 7\n");
}

static void digits(struct kunit *test)
{
	u64 value = 1;
	unsigned int n;

	KUNIT_EXPECT_EQ(test, kvmmem_digits(0), 1);
	for (n = 1; n <= 19; n++) {
		KUNIT_EXPECT_EQ(test, kvmmem_digits(value), n);
		KUNIT_EXPECT_EQ(test, kvmmem_digits(value * 10 - 1), n);
		value *= 10;
	}
	KUNIT_EXPECT_EQ(test, kvmmem_digits(value), 20);
	KUNIT_EXPECT_EQ(test, kvmmem_digits(U64_MAX), 20);
}

static void escapes(struct kunit *test)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "qemu-system-x86", "qemu-system-x86" },
		{ "CPU 0/KVM", "CPU\\0400/KVM" },
		{ "a\tb\nc", "a\\011b\\012c" },
		{ "back\\slash", "back\\134slash" },
		{ "\x1b[31m", "\\033[31m" },
		{ "\xc3\xa9", "\\303\\251" },
		{ "\x7f", "\\177" },
		{ "", "-" },
	};
	char buf[64];
	int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t n = kvmmem_escape(buf, sizeof(buf), cases[i].in);

		KUNIT_EXPECT_STREQ(test, buf, cases[i].out);
		KUNIT_EXPECT_EQ(test, n, strlen(cases[i].out));
	}
}

static void escape_cuts_between_characters(struct kunit *test)
{
	char buf[8];

	memset(buf, 'x', sizeof(buf));
	KUNIT_EXPECT_EQ(test, kvmmem_escape(buf, 7, "ab c"), 6);
	KUNIT_EXPECT_STREQ(test, buf, "ab\\040");
	KUNIT_EXPECT_EQ(test, buf[7], 'x');
	KUNIT_EXPECT_EQ(test, kvmmem_escape(buf, 6, "ab c"), 2);
	KUNIT_EXPECT_STREQ(test, buf, "ab");
}

static void every_byte_stays_one_word(struct kunit *test)
{
	char in[2] = {}, out[8];
	int c;

	for (c = 1; c < 256; c++) {
		size_t i, n;

		in[0] = c;
		n = kvmmem_escape(out, sizeof(out), in);
		KUNIT_ASSERT_GT(test, n, 0);
		for (i = 0; i < n; i++) {
			KUNIT_ASSERT_GT(test, out[i], ' ');
			KUNIT_ASSERT_LT(test, out[i], 0x7f);
		}
	}
}

static struct kunit_case table_cases[] = {
	KUNIT_CASE(header_and_rows_align),
	KUNIT_CASE(long_values_widen),
	KUNIT_CASE(widths_to_the_brim),
	KUNIT_CASE(every_power_of_ten),
	KUNIT_CASE(every_size_of_buffer),
	KUNIT_CASE(whole_row_is_the_same),
	KUNIT_CASE(full_buffer_overflows),
	KUNIT_CASE(signed_numbers),
	KUNIT_CASE(digits),
	KUNIT_CASE(escapes),
	KUNIT_CASE(escape_cuts_between_characters),
	KUNIT_CASE(every_byte_stays_one_word),
	{}
};

static struct kunit_suite table_suite = {
	.name = "kvmmem-table",
	.test_cases = table_cases,
};

kunit_test_suite(table_suite);
