// SPDX-License-Identifier: GPL-2.0
/*
 * Do something with its n-th allocation failing.
 *
 *	failnth N load FILE [PARAMETERS]	load a module; unlike insmod, try once
 *	failnth N read FILE			open a file and read it to its end
 *
 * Prints "error=<errno, 0 if it was done> left=<allocations that were still to be
 * made before the one to fail>".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int read_all(const char *path)
{
	static char buf[4096];
	int file = open(path, O_RDONLY), error = file < 0 ? errno : 0;
	ssize_t n = file < 0 ? 0 : 1;

	while (n > 0)
		n = read(file, buf, sizeof(buf));
	if (n < 0)
		error = errno;
	if (file >= 0)
		close(file);
	return error;
}

int main(int argc, char **argv)
{
	int file = -1, nth, error = 0, load;
	char left[32] = "";

	if (argc < 4)
		return 2;
	load = !strcmp(argv[2], "load");
	if (load)
		file = open(argv[3], O_RDONLY);
	nth = open("/proc/self/fail-nth", O_RDWR);
	if ((load && file < 0) || nth < 0) {
		perror(argv[3]);
		return 1;
	}
	if (write(nth, argv[1], strlen(argv[1])) < 0) {
		perror("fail-nth");
		return 1;
	}
	if (!load)
		error = read_all(argv[3]);
	else if (syscall(SYS_finit_module, file, argc > 4 ? argv[4] : "", 0))
		error = errno;
	if (pread(nth, left, sizeof(left) - 1, 0) < 0 || pwrite(nth, "0", 1, 0) < 0)
		perror("fail-nth");
	printf("error=%d left=%d\n", error, atoi(left));
	return 0;
}
