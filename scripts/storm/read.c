// SPDX-License-Identifier: GPL-2.0
/* Readers of every file of kvmmem, in every way that a file can be read. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storm.h"

#define PROC		"/proc/kvmmem"
#define DEBUGFS		"/sys/kernel/debug/kvmmem"

enum { READ_ABSENT = EXTRA, KILL_WORST = EXTRA, KILL_READS, KILL_ABSENT };

static int reads = DID, absent = READ_ABSENT;	/* where they are counted */
static char buffer[1 << 16];
static int held = -1;

static void read_to_end(int fd, size_t size)
{
	while (read(fd, buffer, size) > 0 && !over())
		;
}

static void drop_held(void)
{
	if (held < 0)
		return;
	if (read(held, buffer, 700) < 0)
		tally(FAILED);
	close(held);
	held = -1;
}

static void read_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), i;

	if (fd < 0) {
		tally(absent);
		return;
	}
	switch (pick(7)) {
	case 0:
		read_to_end(fd, sizeof(buffer));
		break;
	case 1:
		for (i = 0; i < 3000 && read(fd, buffer, 1) == 1; i++)
			;
		break;
	case 2:
		for (i = 0; i < 12; i++)
			if (pread(fd, buffer, 1 + pick(4096), pick(6000)) < 0)
				tally(FAILED);
		break;
	case 3:
		lseek(fd, 1 + pick(3000), SEEK_SET);
		read_to_end(fd, 1 + pick(300));
		break;
	case 4:
		read_to_end(fd, 4095);
		lseek(fd, 0, SEEK_SET);
		read_to_end(fd, 517);
		break;
	case 5:			/* kept open, across whatever happens meanwhile */
		drop_held();
		if (read(fd, buffer, 100) < 0)
			tally(FAILED);
		held = fd;
		tally(reads);
		return;
	default:
		break;
	}
	close(fd);
	tally(reads);
	if (pick(4) == 0)
		drop_held();
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (over())
		return 1;
	if (type == FTW_F)
		read_file(path);
	return 0;
}

static void read_all(void)
{
	while (!over()) {
		read_file(PROC);
		if (nftw(DEBUGFS, visit, 8, FTW_PHYS) < 0)
			usleep(1000);
	}
	drop_held();
}

static void run_read(void)
{
	unsigned long readers = argument("readers", 1);

	while (--readers)
		child(read_all);
	read_all();
	while (wait(NULL) > 0)
		;
}

/* Readers that are killed somewhere in the middle of a walk. */
static void run_kill(void)
{
	unsigned long after = argument("after_ms", 60) * 1000;

	reads = KILL_READS;
	absent = KILL_ABSENT;
	while (!over()) {
		int pid = child(read_all);
		double start;

		rest_us(after);
		kill(pid, SIGKILL);
		start = now();
		waitpid(pid, NULL, 0);
		tally_most(KILL_WORST, (now() - start) * 1000);
		tally(DID);
	}
}

const struct kind read_kinds[] = {
	{ "read", run_read, { "absent" },
	  "open and read all files of kvmmem [readers=1]" },
	{ "kill", run_kill, { "worst_ms", "reads", "absent" },
	  "the same, by readers that are killed [after_ms=60]" },
	{}
};
