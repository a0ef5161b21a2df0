// SPDX-License-Identifier: GPL-2.0
/* Input that nobody meant: to every file that takes any, and at every offset. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include "storm.h"

#define LONGEST		9000

static const char *const roots[] = {
	"/sys/module/kvmmem/parameters", "/sys/kernel/debug/kvmmem", "/proc/kvmmem",
};

/* What numbers, switches and modes look like, and what almost does. */
static const char *const words[] = {
	"", "\n", " ", "0", "1", "0\n", "1\n", "Y", "N", "y\n", "n\n", "on", "off", "oN", "o",
	"-1", "+1", "--1", "00", "01", "0x", "0x0", "0x1", "0xg", "1 ", " 1", "1 1", "1\n1", "1.5",
	"1e3", "65535", "65536", "65537", "3600000", "3600001", "2147483647", "2147483648",
	"4294967295", "4294967296", "9223372036854775807", "18446744073709551615",
	"18446744073709551616", "99999999999999999999999999", "0400", "0444", "0777", "0800",
	"-0", "0b1", "1K", "NaN", "%s%n", "../../", "0x7fffffffffffffff", "0xffff888000000000",
};

#define NR_WORDS	(sizeof(words) / sizeof(*words))

static char text[LONGEST + 1];

static size_t make_text(void)
{
	size_t length, i;

	switch (pick(6)) {
	case 0:				/* anything, zeros included */
		length = pick(pick(4) ? 16 : LONGEST);
		for (i = 0; i < length; i++)
			text[i] = pick(256);
		return length;
	case 1:				/* too long by a little, or by much */
		length = pick(2) ? 4090 + pick(12) : pick(LONGEST);
		memset(text, "0 1\nA"[pick(5)], length);
		return length;
	case 2:				/* a number of any size */
		return snprintf(text, sizeof(text), pick(2) ? "%llu" : "0x%llx",
				((unsigned long long)pick(1U << 31) << 33 | pick(1U << 31)) >> pick(64));
	case 3:				/* two words */
		return snprintf(text, sizeof(text), "%s%s", words[pick(NR_WORDS)],
				words[pick(NR_WORDS)]);
	default:
		length = snprintf(text, sizeof(text), "%s", words[pick(NR_WORDS)]);
		if (length && pick(4) == 0)
			text[pick(length)] ^= 1 << pick(8);
		return length;
	}
}

enum { WRITE_ACCEPTED = EXTRA, WRITE_REFUSED };

/* What files of a name were given: all VMs' are one. */
static struct target {
	char name[32];
	unsigned long inputs, accepted;
} targets[64];

static struct target *find_target(const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	struct target *target;

	for (target = targets; target < targets + sizeof(targets) / sizeof(*targets); target++) {
		if (!*target->name)
			snprintf(target->name, sizeof(target->name), "%s", name);
		if (!strcmp(target->name, name))
			return target;
	}
	die("too many files");
}

/* A switch looks at one letter only, and to be switched takes long. */
static size_t make_text_for(bool number)
{
	size_t length;

	do
		length = make_text();
	while (!number && length && memchr("01yYnNoOtTfF", text[0], 12) && pick(256));
	return length;
}

/* Of questions half begin as they should. */
static size_t make_question(void)
{
	static const char *const spaces[] = { "gva 0 ", "gva 1 ", "gpa ", "hva ", "gva " };
	const char *space = spaces[pick(5)];
	size_t length = make_text(), most = LONGEST - strlen(space);

	if (pick(2))
		return length;
	length = length < most ? length : most;
	memmove(text + strlen(space), text, length);
	memcpy(text, space, strlen(space));
	return strlen(space) + length;
}

static void write_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), i, n = 1 + pick(20);
	bool number = strstr(path, "_ms") || strstr(path, "share");
	bool question = strstr(path, "translate");
	struct target *target;

	if (fd < 0) {
		tally(WRITE_REFUSED);
		return;
	}
	target = find_target(path);
	for (i = 0; i < n && !over(); i++, target->inputs++) {
		off_t at = pick(8) ? 0 : pick(5000);
		size_t length = question ? make_question() : make_text_for(number);

		/* A seq_file takes no pwrite(). */
		if (lseek(fd, at, SEEK_SET) < 0 || write(fd, text, length) < 0) {
			tally(FAILED);
			continue;
		}
		tally(WRITE_ACCEPTED);
		target->accepted++;
	}
	close(fd);
}

/* Any offset that a file can have, and some that none has. */
static off_t make_offset(void)
{
	switch (pick(5)) {
	case 0:
		return (off_t)(1ULL << pick(63)) + pick(3) - 1;
	case 1:
		return INT64_MAX - pick(3);
	case 2:
		return -1 - (off_t)pick(5000);
	default:
		return pick(20000);
	}
}

enum { PEEK_REFUSED = EXTRA };

static void peek_file(const char *path)
{
	static char buffer[1 << 17];
	int fd = open(path, (pick(8) ? O_RDONLY : O_RDWR) | O_CLOEXEC), i, n = 1 + pick(20);
	int nowhere;

	if (fd < 0) {
		tally(PEEK_REFUSED);
		return;
	}
	for (i = 0; i < n && !over(); i++) {
		struct iovec parts[3] = {
			{ buffer, pick(100) }, { buffer + 200, pick(9000) }, { NULL, pick(2) * 100 },
		};
		off_t at = make_offset();
		ssize_t got;

		switch (pick(6)) {
		case 0:
			got = lseek(fd, at, pick(6));
			break;
		case 1:
			got = readv(fd, parts, 1 + pick(3));
			break;
		case 2:
			nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
			got = sendfile(nowhere, fd, pick(2) ? &at : NULL, pick(sizeof(buffer)));
			close(nowhere);
			break;
		case 3:			/* into memory that is not there, in part */
			got = read(fd, (void *)(pick(2) ? 1UL << 46 : 8), pick(5000));
			break;
		default:
			got = pread(fd, buffer, pick(pick(2) ? 3 : sizeof(buffer)), at);
			break;
		}
		tally(DID);
		if (got < 0)
			tally(FAILED);
	}
	close(fd);
}

static void (*on_file)(const char *path);
static unsigned int left_out;		/* of four files */

static int visit(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (over())
		return 1;
	if (type == FTW_F && pick(4) >= left_out)
		on_file(path);
	return 0;
}

static void walk(void (*work)(const char *path))
{
	unsigned int i;

	on_file = work;
	for (i = 0; i < sizeof(roots) / sizeof(*roots); i++)
		if (nftw(roots[i], visit, 8, FTW_PHYS) < 0)
			usleep(1000);
}

/* What is done is what each file was given, at the least. */
static void run_scribble(void)
{
	struct target *target;

	while (!over()) {
		unsigned long least = -1UL;

		walk(write_file);
		for (target = targets; *target->name; target++)
			least = target->inputs < least ? target->inputs : least;
		tally_most(DID, *targets->name ? least : 0);
	}
	for (target = targets; *target->name; target++)
		printf("file name=%s inputs=%lu accepted=%lu\n", target->name, target->inputs,
		       target->accepted);
}

static void run_peek(void)
{
	left_out = 1;
	while (!over())
		walk(peek_file);
}

const struct kind fuzz_kinds[] = {
	{ "scribble", run_scribble, { "accepted", "refused" },
	  "write count= random and almost right inputs to each file that can be written" },
	{ "peek", run_peek, { "refused" },
	  "read every file at random offsets, in random sizes and ways" },
	{}
};
