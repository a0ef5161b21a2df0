// SPDX-License-Identifier: GPL-2.0
/*
 * Load a module with the n-th allocation failing.
 *
 *	loadfail N FILE [PARAMETERS]
 *
 * Prints "error=<errno, 0 if it was loaded> left=<allocations that were still to
 * be made before the one to fail>". Unlike insmod it tries once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int file, nth, error = 0;
	char left[32] = "";

	if (argc < 3)
		return 2;
	file = open(argv[2], O_RDONLY);
	nth = open("/proc/self/fail-nth", O_RDWR);
	if (file < 0 || nth < 0) {
		perror(argv[2]);
		return 1;
	}
	if (write(nth, argv[1], strlen(argv[1])) < 0) {
		perror("fail-nth");
		return 1;
	}
	if (syscall(SYS_finit_module, file, argc > 3 ? argv[3] : "", 0))
		error = errno;
	if (pread(nth, left, sizeof(left) - 1, 0) < 0 || pwrite(nth, "0", 1, 0) < 0)
		perror("fail-nth");
	printf("error=%d left=%d\n", error, atoi(left));
	return 0;
}
