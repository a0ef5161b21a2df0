// SPDX-License-Identifier: GPL-2.0
/*
 * Preloaded into a process that records: ends it, as kill -9 does, at one of its
 * writes to files, or makes the disk full from one of them on.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

enum { BEFORE, TORN, FULL };

/* Set from Python: at which write, and what then. 0: never. */
int crash_at, crash_how, crash_seen;

static int due(void)
{
	crash_seen++;
	if (!crash_at || crash_seen < crash_at)
		return 0;
	if (crash_how == BEFORE && crash_seen == crash_at)
		kill(getpid(), SIGKILL);
	return crash_how != TORN || crash_seen == crash_at;
}

static ssize_t write_at(int fd, const void *data, size_t size, off64_t offset)
{
	static ssize_t (*real)(int, const void *, size_t, off64_t);

	if (!real)
		real = dlsym(RTLD_NEXT, "pwrite64");
	if (due()) {
		if (crash_how == FULL) {
			errno = ENOSPC;
			return -1;
		}
		real(fd, data, size / 2, offset);
		kill(getpid(), SIGKILL);
	}
	return real(fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
	return write_at(fd, data, size, offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
	return write_at(fd, data, size, offset);
}

int ftruncate64(int fd, off64_t size)
{
	static int (*real)(int, off64_t);

	if (!real)
		real = dlsym(RTLD_NEXT, "ftruncate64");
	if (due() && crash_how == TORN)
		kill(getpid(), SIGKILL);
	return real(fd, size);
}

int unlink(const char *path)
{
	static int (*real)(const char *);

	if (!real)
		real = dlsym(RTLD_NEXT, "unlink");
	if (due() && crash_how == TORN)
		kill(getpid(), SIGKILL);
	return real(path);
}

/* Processes die here, not machines; and disks are slow. */
int fsync(int fd)
{
	(void)fd;
	return 0;
}

int fdatasync(int fd)
{
	(void)fd;
	return 0;
}
