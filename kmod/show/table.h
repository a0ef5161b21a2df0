/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tables of aligned columns: the one description of a table makes both its
 * header line and its rows.
 */
#ifndef _KVMMEM_TABLE_H
#define _KVMMEM_TABLE_H

#include <linux/build_bug.h>
#include <linux/kernel.h>
#include <linux/seq_file.h>

#include "decode/value.h"

/**
 * struct kvmmem_column - one column
 * @name: its name in the header line
 * @width: characters; negative: text, aligned to the left. Longer values
 *	widen their row.
 */
struct kvmmem_column {
	const char *name;
	int width;
};

#define KVMMEM_TYPE_WIDTH	8	/* "backing " */

/**
 * struct kvmmem_table - the layout of one type of rows
 * @type: first word of each row
 * @first: the same, with blanks to at least KVMMEM_TYPE_WIDTH characters
 * @nr: number of columns
 * @columns: the columns
 */
struct kvmmem_table {
	const char *type;
	const char *first;
	unsigned int nr;
	const struct kvmmem_column *columns;
};

#define KVMMEM_TABLE(_name, _type, ...)						\
	static_assert(sizeof(_type) - 1 <= KVMMEM_TYPE_WIDTH);			\
	static const struct kvmmem_column _name##_columns[] = { __VA_ARGS__ };	\
	static const struct kvmmem_table _name = {				\
		.type = _type,							\
		.first = _type "        ",					\
		.nr = ARRAY_SIZE(_name##_columns),				\
		.columns = _name##_columns,					\
	}

/**
 * struct kvmmem_row - a row being printed
 * @seq: where to
 * @column: the next one
 * @last: the last one
 * @at: where the next character goes, in @seq's buffer
 * @blank: up to here there are blanks from @at on
 * @end: end of that buffer; NULL, as is @blank, once there was no room
 */
struct kvmmem_row {
	struct seq_file *seq;
	const struct kvmmem_column *column;
	const struct kvmmem_column *last;
	char *at;
	char *blank;
	char *end;
};

void kvmmem_table_header(struct seq_file *seq, const struct kvmmem_table *table);
void kvmmem_table_row(struct seq_file *seq, const struct kvmmem_table *table,
		      const char *word, unsigned int len, const u64 *values);
struct kvmmem_row kvmmem_row_begin(struct seq_file *seq, const struct kvmmem_table *table);
void kvmmem_row_text(struct kvmmem_row *row, const char *text);
void kvmmem_row_u64s(struct kvmmem_row *row, const u64 *values, unsigned int n);
void kvmmem_row_u64(struct kvmmem_row *row, u64 value);
void kvmmem_row_s64(struct kvmmem_row *row, s64 value);
void kvmmem_row_end(struct kvmmem_row *row);

/**
 * kvmmem_row_numbers - print several numbers, which is cheaper than one by one
 * @_row: the row
 * @...: the numbers, or KVMMEM_UNKNOWN
 */
#define kvmmem_row_numbers(_row, ...)						\
do {										\
	const u64 _values[] = { __VA_ARGS__ };					\
										\
	kvmmem_row_u64s(_row, _values, ARRAY_SIZE(_values));			\
} while (0)

size_t kvmmem_escape(char *dst, size_t size, const char *src);
unsigned int kvmmem_digits(u64 value);

#endif /* _KVMMEM_TABLE_H */
