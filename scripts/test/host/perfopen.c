// SPDX-License-Identifier: GPL-2.0
/*
 * Who may open trace events by perf, of his own thread and to count only?
 *
 *	perfopen UID EVENT...	EVENT as in tracefs: kvm/kvm_page_fault
 *
 * Prints "event=<EVENT> error=<errno, 0 if it was opened>" of each, as that user.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/perf_event.h>

int main(int argc, char **argv)
{
	unsigned long ids[16] = {};
	int i;

	for (i = 2; i < argc && i < 16; i++) {
		char path[128];
		FILE *file;

		snprintf(path, sizeof(path), "/sys/kernel/tracing/events/%s/id", argv[i]);
		file = fopen(path, "r");
		if (!file || fscanf(file, "%lu", &ids[i]) != 1) {
			perror(path);
			return 1;
		}
		fclose(file);
	}
	if (argc < 3 || setgid(atoi(argv[1])) || setuid(atoi(argv[1]))) {
		perror("perfopen");
		return 1;
	}
	for (i = 2; i < argc && i < 16; i++) {
		struct perf_event_attr attr = {
			.type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .config = ids[i],
			.exclude_kernel = 1,
		};
		int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0UL);

		printf("event=%s error=%d\n", argv[i], fd < 0 ? errno : 0);
		if (fd >= 0)
			close(fd);
	}
	return 0;
}
