// SPDX-License-Identifier: GPL-2.0
#include <linux/ctype.h>
#include <linux/string.h>

#include "kvmmem.h"
#include "show/table.h"

static const char blanks[] = "                                        ";

/* A string of n blanks, as many as there are. */
static const char *table_pad(int n)
{
	return blanks + sizeof(blanks) - 1 - clamp_t(int, n, 0, sizeof(blanks) - 1);
}

#define DIGITS_MAX	20	/* of U64_MAX */

/* The smallest numbers of 2, 3, ... digits. */
static const u64 powers[DIGITS_MAX - 1] = {
	10ULL, 100ULL, 1000ULL, 10000ULL, 100000ULL, 1000000ULL, 10000000ULL,
	100000000ULL, 1000000000ULL, 10000000000ULL, 100000000000ULL,
	1000000000000ULL, 10000000000000ULL, 100000000000000ULL,
	1000000000000000ULL, 10000000000000000ULL, 100000000000000000ULL,
	1000000000000000000ULL, 10000000000000000000ULL,
};

/**
 * kvmmem_digits - decimal digits of a number
 * @value: the number
 *
 * Return: how many, at least 1.
 */
unsigned int kvmmem_digits(u64 value)
{
	unsigned int n = 1;

	while (n < DIGITS_MAX && value >= powers[n - 1])
		n++;
	return n;
}

/**
 * kvmmem_escape - make a word of a string from user space
 * @dst: where to
 * @size: of @dst, at least 5
 * @src: any bytes
 *
 * Blanks, control characters, backslashes and bytes beyond ASCII become \ooo,
 * as in /proc/mounts; an empty string becomes "-". What does not fit is cut
 * off between characters.
 *
 * Return: length of what is in @dst.
 */
size_t kvmmem_escape(char *dst, size_t size, const char *src)
{
	char *out = dst, *end = dst + size - 1;

	for (; *src; src++) {
		unsigned char c = *src;

		if (c > ' ' && c < 0x7f && c != '\\') {
			if (out + 1 > end)
				break;
			*out++ = c;
		} else {
			if (out + 4 > end)
				break;
			*out++ = '\\';
			*out++ = '0' + (c >> 6);
			*out++ = '0' + ((c >> 3) & 7);
			*out++ = '0' + (c & 7);
		}
	}
	if (out == dst)
		*out++ = '-';
	*out = '\0';
	return out - dst;
}

/* Rows are put together in place. */
static void table_header_text(struct seq_file *seq, int width, const char *text)
{
	int len = strlen(text);

	if (width >= 0)
		seq_puts(seq, table_pad(width - len));
	seq_write(seq, text, len);
	if (width < 0)
		seq_puts(seq, table_pad(-width - len));
}

/**
 * kvmmem_table_header - print a table's header line
 * @seq: where to
 * @table: the table
 */
void kvmmem_table_header(struct seq_file *seq, const struct kvmmem_table *table)
{
	unsigned int i;

	seq_puts(seq, "# ");
	table_header_text(seq, -(KVMMEM_TYPE_WIDTH - 2), table->type);
	for (i = 0; i < table->nr; i++) {
		seq_putc(seq, ' ');
		/* No blanks behind the last column. */
		table_header_text(seq, i + 1 < table->nr ? table->columns[i].width :
			 max(table->columns[i].width, 0), table->columns[i].name);
	}
	seq_putc(seq, '\n');
}

/* Blanks come in pieces of so many, which may reach beyond what was asked for. */
#define PIECE	32

/* So many are there from the beginning: enough for most rows. */
#define AHEAD	120

/* Blanks up to there. If there is no room, seq_file will ask for the row again. */
static noinline bool table_more_blanks(struct kvmmem_row *row, const char *until)
{
	if (!row->end || row->end - until < PIECE) {
		row->end = NULL;
		row->blank = NULL;
		return false;
	}
	for (; row->blank < until; row->blank += PIECE)
		memcpy(row->blank, blanks, PIECE);
	return true;
}

static bool table_blanks_until(struct kvmmem_row *row, const char *until)
{
	return likely(until <= row->blank) || table_more_blanks(row, until);
}

static __always_inline struct kvmmem_row table_begin(struct seq_file *seq,
						     const struct kvmmem_table *table)
{
	struct kvmmem_row row = {
		.seq = seq,
		.column = table->columns,
		.last = table->columns + table->nr - 1,
	};

	if (seq->size - seq->count >= KVMMEM_TYPE_WIDTH + AHEAD) {
		row.at = seq->buf + seq->count;
		row.end = seq->buf + seq->size;
		memcpy(row.at, table->first, KVMMEM_TYPE_WIDTH);
		row.at += KVMMEM_TYPE_WIDTH;
		memset(row.at, ' ', AHEAD);
		row.blank = row.at + AHEAD;
	}
	return row;
}

/**
 * kvmmem_row_begin - begin a row
 * @seq: where to
 * @table: its layout
 *
 * Then exactly one cell for each column by kvmmem_row_*(), and kvmmem_row_end(),
 * and nothing else is printed in between.
 *
 * Return: the row.
 */
struct kvmmem_row kvmmem_row_begin(struct seq_file *seq, const struct kvmmem_table *table)
{
	return table_begin(seq, table);
}

static int table_next_width(struct kvmmem_row *row)
{
	int width;

	if (WARN_ON_ONCE(row->column > row->last))
		return 0;
	width = row->column->width;
	/* No blanks behind the last column. */
	return row->column++ == row->last ? max(width, 0) : width;
}

/* A blank and a cell of blanks; returns where its len characters go, or NULL. */
static char *table_cell(struct kvmmem_row *row, int width, unsigned int len)
{
	char *end = row->at + 1 + max_t(unsigned int, len, abs(width));

	if (!table_blanks_until(row, end))
		return NULL;
	len = width < 0 ? end - row->at - 1 : len;
	row->at = end;
	return end - len;
}

static noinline void table_put_text(struct kvmmem_row *row, const char *text)
{
	unsigned int len = strlen(text);
	char *at = table_cell(row, table_next_width(row), len);

	if (at)
		memcpy(at, text, len);
}

/**
 * kvmmem_row_text - print a word
 * @row: the row
 * @text: a word without blanks, see kvmmem_escape()
 */
void kvmmem_row_text(struct kvmmem_row *row, const char *text)
{
	char *at = row->at + 1, *end = at - row->column->width;
	const char *from = text;

	/* Most fit, aligned to the left, where blanks are already. */
	if (row->column < row->last && end > at && end <= row->blank) {
		while (*from && at < end)
			*at++ = *from++;
		if (!*from) {
			row->at = end;
			row->column++;
			return;
		}
	}
	table_put_text(row, text);
}

/* The digits of a number, in front of end: two for each long division. */
static __always_inline void table_put_digits(char *end, u64 value)
{
	unsigned int pair;

	for (; value >= 100; value /= 100) {
		pair = value % 100;
		*--end = '0' + pair % 10;
		*--end = '0' + pair / 10;
	}
	pair = value;
	*--end = '0' + pair % 10;
	if (pair >= 10)
		*--end = '0' + pair / 10;
}

/* What is wider than its column, not aligned to the right, or beyond the blanks. */
static noinline void table_put_number(struct kvmmem_row *row, u64 value)
{
	unsigned int len = value == KVMMEM_UNKNOWN ? 1 : kvmmem_digits(value);
	char *at = table_cell(row, table_next_width(row), len);

	if (!at)
		return;
	if (value == KVMMEM_UNKNOWN)
		*at = '-';
	else
		table_put_digits(at + len, value);
}

static __always_inline void table_put_numbers(struct kvmmem_row *row, const u64 *values,
					      unsigned int n)
{
	const struct kvmmem_column *column = row->column;
	const u64 *end = values + n;
	char *at = row->at;

	for (; values < end; values++, column++) {
		int width = column->width;
		char *next = at + 1 + width;
		u64 value = *values;

		/* Nearly always it fits, where blanks are already. */
		if (likely(width > 0 && next <= row->blank)) {
			/* KVMMEM_UNKNOWN + 1 is 0. */
			if (value + 1 <= 10) {
				next[-1] = "-0123456789"[value + 1];
				at = next;
				continue;
			}
			if (width < DIGITS_MAX && value < powers[width - 1]) {
				table_put_digits(next, value);
				at = next;
				continue;
			}
		}
		row->at = at;
		row->column = column;
		table_put_number(row, value);
		at = row->at;
	}
	row->at = at;
	row->column = column;
}

/**
 * kvmmem_row_u64s - print numbers in so many columns
 * @row: the row
 * @values: the numbers, or KVMMEM_UNKNOWN
 * @n: how many
 */
void kvmmem_row_u64s(struct kvmmem_row *row, const u64 *values, unsigned int n)
{
	if (!WARN_ON_ONCE(n > row->last + 1 - row->column))
		table_put_numbers(row, values, n);
}

/**
 * kvmmem_row_u64 - print a number
 * @row: the row
 * @value: the number, or KVMMEM_UNKNOWN
 */
void kvmmem_row_u64(struct kvmmem_row *row, u64 value)
{
	kvmmem_row_u64s(row, &value, 1);
}

/**
 * kvmmem_row_s64 - print a number that may be negative
 * @row: the row
 * @value: the number
 */
void kvmmem_row_s64(struct kvmmem_row *row, s64 value)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", value);
	kvmmem_row_text(row, text);
}

static __always_inline void table_end(struct kvmmem_row *row)
{
	struct seq_file *seq = row->seq;

	if (table_blanks_until(row, row->at + 1))
		*row->at++ = '\n';
	/* A full buffer is how seq_file knows that there was no room. */
	seq->count = row->end ? row->at - seq->buf : seq->size;
}

/**
 * kvmmem_row_end - end a row
 * @row: the row
 */
void kvmmem_row_end(struct kvmmem_row *row)
{
	WARN_ON_ONCE(row->column != row->last + 1);
	table_end(row);
}

/**
 * kvmmem_table_row - print a row of a word and numbers, which most rows are
 * @seq: where to
 * @table: its layout; the first column is aligned to the left
 * @word: the word and blanks, KVMMEM_ID_LEN characters
 * @len: how many of them are the word
 * @values: numbers for the other columns, or KVMMEM_UNKNOWN
 *
 * The same as one call for each cell, in a fraction of the time.
 */
void kvmmem_table_row(struct seq_file *seq, const struct kvmmem_table *table,
		      const char *word, unsigned int len, const u64 *values)
{
	struct kvmmem_row row = table_begin(seq, table);

	static_assert(AHEAD > KVMMEM_ID_LEN);
	if (unlikely(!row.end)) {
		seq->count = seq->size;
		return;
	}
	memcpy(row.at + 1, word, KVMMEM_ID_LEN);
	row.at += 1 + max_t(int, len, -row.column->width);
	row.column++;
	table_put_numbers(&row, values, table->nr - 1);
	table_end(&row);
}
