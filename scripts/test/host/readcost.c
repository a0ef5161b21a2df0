// SPDX-License-Identifier: GPL-2.0
/*
 * readcost FILE TIMES - nanoseconds that reading a file to its end takes, the
 * least of several times; where the clock counts instructions, those.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static long long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

int main(int argc, char **argv)
{
	static char buf[1 << 16];
	long long least = -1, took;
	int i, fd;
	ssize_t n;

	if (argc != 3) {
		fprintf(stderr, "usage: readcost FILE TIMES\n");
		return 2;
	}
	for (i = 0; i < atoi(argv[2]); i++) {
		took = now();
		fd = open(argv[1], O_RDONLY);
		if (fd < 0) {
			perror(argv[1]);
			return 1;
		}
		while ((n = read(fd, buf, sizeof(buf))) > 0)
			;
		close(fd);
		took = now() - took;
		if (n < 0) {
			perror(argv[1]);
			return 1;
		}
		if (least < 0 || took < least)
			least = took;
	}
	printf("cost=%lld\n", least);
	return 0;
}
