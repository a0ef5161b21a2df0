/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _STORM_H
#define _STORM_H

#include <stdbool.h>
#include <stddef.h>

#define PAGE		4096UL
#define HUGE		(2UL << 20)

/* Columns of the line that is printed in the end; kinds name the others. */
enum {
	DID,			/* what count= is about */
	FAILED,
	EXTRA,
	NR_TALLIES = 8
};

/**
 * struct kind - one kind of trouble
 * @name: how it is asked for
 * @run: makes the trouble until over()
 * @extras: names of the tallies from EXTRA on
 * @help: for the usage
 */
struct kind {
	const char *name;
	void (*run)(void);
	const char *extras[NR_TALLIES - EXTRA];
	const char *help;
};

extern const struct kind module_kinds[], read_kinds[], vm_kinds[], memory_kinds[],
			 share_kinds[], host_kinds[], fuzz_kinds[];

/* The value of KEY=N on the command line, or what it is otherwise. */
unsigned long argument(const char *key, unsigned long otherwise);
const char *text_argument(const char *key, const char *otherwise);

/* Is it time to end: enough done, time over, or told so? In children, too. */
bool over(void);
double now(void);

/* Tallies are of a kind and its children together. */
void tally(int which);
void tally_most(int which, unsigned long value);

unsigned int pick(unsigned int n);		/* 0 to n - 1 */
void rest_us(unsigned int most);		/* up to so many microseconds */

/* Write a text to a file: 0 or an errno, negative. */
int put(const char *path, const char *text);

/* A child that runs @work, with randomness of its own; it never returns from it. */
int child(void (*work)(void));

_Noreturn void die(const char *what);

#endif /* _STORM_H */
