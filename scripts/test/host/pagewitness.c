// SPDX-License-Identifier: GPL-2.0
/*
 * pagewitness PID BEGIN LENGTH... - what /proc/PID/pagemap and /proc/kpageflags
 * say of ranges of addresses (hexadecimal), a line of KEY=KiB a range.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BATCH		512
#define PM_PRESENT	(1ULL << 63)
#define PM_SWAP		(1ULL << 62)
#define PM_PFN		((1ULL << 55) - 1)
#define KPF_KSM		(1ULL << 21)
#define KPF_ZERO	(1ULL << 24)

static int open_or_die(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

int main(int argc, char **argv)
{
	int pagemap, kpageflags, i;
	char path[64];

	if (argc < 4 || argc % 2) {
		fprintf(stderr, "usage: pagewitness PID BEGIN LENGTH...\n");
		return 2;
	}
	snprintf(path, sizeof(path), "/proc/%s/pagemap", argv[1]);
	pagemap = open_or_die(path);
	kpageflags = open_or_die("/proc/kpageflags");
	for (i = 2; i < argc; i += 2) {
		uint64_t begin = strtoull(argv[i], NULL, 16) / 4096;
		uint64_t end = begin + strtoull(argv[i + 1], NULL, 16) / 4096;
		uint64_t present = 0, swap = 0, ksm = 0, zero = 0, page;
		uint64_t entries[BATCH];

		for (page = begin; page < end; page += BATCH) {
			unsigned int n = end - page < BATCH ? end - page : BATCH, k;

			if (pread(pagemap, entries, n * 8, page * 8) != (ssize_t)n * 8) {
				perror(path);
				return 1;
			}
			for (k = 0; k < n; k++) {
				uint64_t flags = 0, pfn = entries[k] & PM_PFN;

				swap += !!(entries[k] & PM_SWAP);
				if (!(entries[k] & PM_PRESENT))
					continue;
				if (pread(kpageflags, &flags, 8, pfn * 8) != 8)
					flags = 0;
				if (flags & KPF_ZERO)
					zero++;
				else
					present++;
				ksm += !!(flags & KPF_KSM);
			}
		}
		printf("range begin=%s present=%lu swap=%lu ksm=%lu zero=%lu\n", argv[i],
		       (unsigned long)present * 4, (unsigned long)swap * 4,
		       (unsigned long)ksm * 4, (unsigned long)zero * 4);
	}
	return 0;
}
