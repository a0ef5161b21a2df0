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

/**
 * kvmmem_row_begin - begin a row
 * @seq: where to
 * @table: its layout
 *
 * Then exactly one kvmmem_row_*() for each column, and kvmmem_row_end().
 */
struct kvmmem_row kvmmem_row_begin(struct seq_file *seq, const struct kvmmem_table *table)
{
	struct kvmmem_row row = { .seq = seq, .table = table };

	put_text(seq, -TYPE_WIDTH, table->type);
	return row;
}

static int next_width(struct kvmmem_row *row)
{
	const struct kvmmem_table *table = row->table;
	int width;

	if (WARN_ON_ONCE(row->next >= table->nr))
		return 0;
	width = table->columns[row->next++].width;
	return row->next < table->nr ? width : max(width, 0);
}

/**
 * kvmmem_row_text - print a word
 * @row: the row
 * @text: a word without blanks, see kvmmem_escape()
 */
void kvmmem_row_text(struct kvmmem_row *row, const char *text)
{
	int width = next_width(row);

	seq_putc(row->seq, ' ');
	put_text(row->seq, width, text);
}

/**
 * kvmmem_row_u64 - print a number
 * @row: the row
 * @value: the number, or KVMMEM_UNKNOWN
 */
void kvmmem_row_u64(struct kvmmem_row *row, u64 value)
{
	int width;

	if (value == KVMMEM_UNKNOWN) {
		kvmmem_row_text(row, "-");
		return;
	}
	width = next_width(row);
	seq_putc(row->seq, ' ');
	if (width < 0) {
		seq_put_decimal_ull(row->seq, NULL, value);
		seq_puts(row->seq, pad(-width - (int)kvmmem_digits(value)));
	} else {
		seq_put_decimal_ull(row->seq, pad(width - (int)kvmmem_digits(value)), value);
	}
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
	WARN_ON_ONCE(row->next != row->table->nr);
	seq_putc(row->seq, '\n');
}
