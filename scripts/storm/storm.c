// SPDX-License-Identifier: GPL-2.0
/*
 * storm - trouble of one kind, for a while, on a host with kvmmem.
 *
 *	storm KIND [KEY=VALUE]...
 *
 * Ends when count=N of its acts are done, after seconds=S (60), or when it gets
 * SIGTERM, whichever is first, and prints what it did in one line. Several at
 * once make a storm.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "storm.h"

static const struct kind *const groups[] = {
	module_kinds, read_kinds, vm_kinds, memory_kinds, share_kinds, host_kinds, fuzz_kinds
};

static struct shared {
	bool stop;
	unsigned long tallies[NR_TALLIES];
} *shared;

static unsigned long count;
static double until;
static char **arguments;
static unsigned int seed;

void die(const char *what)
{
	fprintf(stderr, "storm: %s: %s\n", what, strerror(errno));
	exit(1);
}

const char *text_argument(const char *key, const char *otherwise)
{
	size_t length = strlen(key);
	char **arg;

	for (arg = arguments; *arg; arg++)
		if (!strncmp(*arg, key, length) && (*arg)[length] == '=')
			return *arg + length + 1;
	return otherwise;
}

unsigned long argument(const char *key, unsigned long otherwise)
{
	const char *text = text_argument(key, NULL);

	return text ? strtoul(text, NULL, 0) : otherwise;
}

double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

bool over(void)
{
	return __atomic_load_n(&shared->stop, __ATOMIC_RELAXED) || now() > until ||
	       (count && __atomic_load_n(&shared->tallies[DID], __ATOMIC_RELAXED) >= count);
}

void tally(int which)
{
	__atomic_add_fetch(&shared->tallies[which], 1, __ATOMIC_RELAXED);
}

void tally_most(int which, unsigned long value)
{
	if (value > shared->tallies[which])
		shared->tallies[which] = value;
}

unsigned int pick(unsigned int n)
{
	return rand_r(&seed) % n;
}

void rest_us(unsigned int most)
{
	if (most)
		usleep(pick(most));
}

int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

int child(void (*work)(void))
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid)
		return pid;
	/* Whoever kills the parent means the children, too. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	seed ^= getpid() * 2654435761U;
	work();
	_exit(0);
}

static void stop(int sig)
{
	(void)sig;
	shared->stop = true;
}

static const struct kind *find(const char *name)
{
	const struct kind *kind;
	size_t i;

	for (i = 0; i < sizeof(groups) / sizeof(*groups); i++)
		for (kind = groups[i]; kind->name; kind++)
			if (!strcmp(kind->name, name))
				return kind;
	return NULL;
}

static int usage(void)
{
	const struct kind *kind;
	size_t i;

	fprintf(stderr, "usage: storm KIND [count=N] [seconds=S] [seed=N] [KEY=VALUE]...\n");
	for (i = 0; i < sizeof(groups) / sizeof(*groups); i++)
		for (kind = groups[i]; kind->name; kind++)
			fprintf(stderr, "  %-9s%s\n", kind->name, kind->help);
	return 2;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = stop };
	const struct kind *kind = argc > 1 ? find(argv[1]) : NULL;
	double start = now();
	int i;

	if (!kind)
		return usage();
	arguments = argv + 2;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("mmap");
	count = argument("count", 0);
	until = start + strtod(text_argument("seconds", "60"), NULL);
	seed = argument("seed", (unsigned int)(start * 1000) ^ getpid() * 7919U);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);

	kind->run();
	printf("storm kind=%s did=%lu failed=%lu", kind->name, shared->tallies[DID],
	       shared->tallies[FAILED]);
	for (i = EXTRA; i < NR_TALLIES && kind->extras[i - EXTRA]; i++)
		printf(" %s=%lu", kind->extras[i - EXTRA], shared->tallies[i]);
	printf(" seconds=%.1f\n", now() - start);
	return 0;
}
