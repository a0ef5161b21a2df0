// SPDX-License-Identifier: GPL-2.0
#include <linux/ctype.h>
#include <linux/string.h>

#include "table.h"

#define TYPE_WIDTH	8	/* "backing " */

static const char blanks[] = "                                        ";

/* A string of n blanks, as many as there are. */
static const char *pad(int n)
{
	return blanks + sizeof(blanks) - 1 - clamp_t(int, n, 0, sizeof(blanks) - 1);
}

/**
 * kvmmem_digits - decimal digits of a number
 * @value: the number
 */
unsigned int kvmmem_digits(u64 value)
{
	u64 limit = 10;
	unsigned int n = 1;

	while (value >= limit) {
		n++;
		if (limit > U64_MAX / 10)
			break;
		limit *= 10;
	}
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

/* For header lines; rows are put together in place. */
static void put_text(struct seq_file *seq, int width, const char *text)
{
	int len = strlen(text);

	if (width >= 0)
		seq_puts(seq, pad(width - len));
	seq_write(seq, text, len);
	if (width < 0)
		seq_puts(seq, pad(-width - len));
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
	put_text(seq, -(TYPE_WIDTH - 2), table->type);
	for (i = 0; i < table->nr; i++) {
		seq_putc(seq, ' ');
		/* No blanks behind the last column. */
		put_text(seq, i + 1 < table->nr ? table->columns[i].width :
			 max(table->columns[i].width, 0), table->columns[i].name);
	}
	seq_putc(seq, '\n');
}

/* So much may be written behind what was asked for. */
#define SLACK	8

/* n blanks, a word at a time. */
static void fill(char *at, unsigned int n)
{
	static const char blank_word[SLACK] = "        ";
	unsigned int i;

	for (i = 0; i < n; i += SLACK)
		memcpy(at + i, blank_word, SLACK);
}

/* Is there room for so many characters? If not, seq_file will ask again. */
static bool room(struct kvmmem_row *row, unsigned int n)
{
	if (likely(row->end && row->end - row->at >= n + SLACK))
		return true;
	row->end = NULL;
	return false;
}

/**
 * kvmmem_row_begin - begin a row
 * @seq: where to
 * @table: its layout
 *
 * Then exactly one kvmmem_row_*() for each column, and kvmmem_row_end(), and
 * nothing else is printed in between. Return: the row.
 */
struct kvmmem_row kvmmem_row_begin(struct seq_file *seq, const struct kvmmem_table *table)
{
	struct kvmmem_row row = { .seq = seq, .table = table };
	unsigned int len = strlen(table->type);
	size_t size = seq_get_buf(seq, &row.at);

	row.end = size ? row.at + size : NULL;
	if (room(&row, max_t(unsigned int, len, TYPE_WIDTH))) {
		fill(row.at, TYPE_WIDTH);
		memcpy(row.at, table->type, len);
		row.at += max_t(unsigned int, len, TYPE_WIDTH);
	}
	return row;
}

static int next_width(struct kvmmem_row *row)
{
	const struct kvmmem_table *table = row->table;
	int width;

	if (WARN_ON_ONCE(row->next >= table->nr))
		return 0;
	width = table->columns[row->next++].width;
	/* No blanks behind the last column. */
	return row->next < table->nr ? width : max(width, 0);
}

/* A blank and a cell of blanks; returns where its len characters go, or NULL. */
static char *cell(struct kvmmem_row *row, unsigned int len)
{
	int width = next_width(row);
	unsigned int size = max_t(unsigned int, len, abs(width));

	if (!room(row, size + 1))
		return NULL;
	fill(row->at, size + 1);
	row->at += size + 1;
	return row->at - (width < 0 ? size : len);
}

/**
 * kvmmem_row_text - print a word
 * @row: the row
 * @text: a word without blanks, see kvmmem_escape()
 */
void kvmmem_row_text(struct kvmmem_row *row, const char *text)
{
	unsigned int len = strlen(text);
	char *at = cell(row, len);

	if (at)
		memcpy(at, text, len);
}

/**
 * kvmmem_row_u64 - print a number
 * @row: the row
 * @value: the number, or KVMMEM_UNKNOWN
 */
void kvmmem_row_u64(struct kvmmem_row *row, u64 value)
{
	unsigned int len;
	char *at;

	if (value == KVMMEM_UNKNOWN) {
		at = cell(row, 1);
		if (at)
			*at = '-';
		return;
	}
	len = value < 10 ? 1 : kvmmem_digits(value);
	at = cell(row, len);
	if (!at)
		return;
	for (; value >= 10; value /= 10)
		at[--len] = '0' + value % 10;
	*at = '0' + value;
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

/**
 * kvmmem_row_end - end a row
 * @row: the row
 */
void kvmmem_row_end(struct kvmmem_row *row)
{
	char *begin;

	WARN_ON_ONCE(row->next != row->table->nr);
	if (room(row, 1))
		*row->at++ = '\n';
	seq_get_buf(row->seq, &begin);
	seq_commit(row->seq, row->end ? row->at - begin : -1);
}
