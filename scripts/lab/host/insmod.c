// SPDX-License-Identifier: GPL-2.0
/*
 * Load a module, as insmod does: insmod FILE [PARAMETER=VALUE]...
 *
 * The shell's own insmod tries a second way of loading whatever the error was,
 * which costs a second time and makes the kernel say everything twice.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char parameters[4096] = "";
	size_t length = 0;
	int i, file;

	if (argc < 2) {
		fprintf(stderr, "usage: insmod FILE [PARAMETER=VALUE]...\n");
		return 2;
	}
	for (i = 2; i < argc && length < sizeof(parameters); i++)
		length += snprintf(parameters + length, sizeof(parameters) - length, "%s ",
				   argv[i]);
	file = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (length >= sizeof(parameters))
		errno = E2BIG;
	else if (file >= 0 && !syscall(SYS_finit_module, file, parameters, 0))
		return 0;
	fprintf(stderr, "insmod: can't insert '%s': %s\n", argv[1], strerror(errno));
	return 1;
}
