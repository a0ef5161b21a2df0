// SPDX-License-Identifier: GPL-2.0
/*
 * pagewitness PID BEGIN LENGTH... - what /proc/PID/pagemap and /proc/kpageflags
 * say of ranges of addresses (hexadecimal), a line of KEY=KiB a range.
 *
 * Some kernels (6.12) say of every anonymous page that it is KSM's; there the
 * sum of /proc/PID/smaps takes the place of that flag.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

/* Is a page called KSM's that nobody offered to it? */
static int ksm_flag_is_wrong(int kpageflags)
{
	int self = open_or_die("/proc/self/pagemap");
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t entry = 0, flags = 0;

	if (page == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	*page = 1;
	if (pread(self, &entry, 8, (uintptr_t)page / 4096 * 8) != 8 ||
	    pread(kpageflags, &flags, 8, (entry & PM_PFN) * 8) != 8) {
		perror("/proc/kpageflags");
		exit(1);
	}
	close(self);
	return flags & KPF_KSM ? 1 : 0;
}

/* KiB of KSM's in a range, of which mappings that have any are no smaller part. */
static unsigned long ksm_of_smaps(const char *pid, uint64_t begin, uint64_t end)
{
	unsigned long from = 0, to = 0, kb, sum = 0, low, high;
	char line[256], path[64];
	int known = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/smaps", pid);
	file = fopen(path, "r");
	if (!file) {
		perror(path);
		exit(1);
	}
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &low, &high) == 2) {
			from = low;
			to = high;
		} else if (sscanf(line, "KSM: %lu", &kb) == 1) {
			known = 1;
			if (!kb || to <= begin || from >= end)
				continue;
			if (from < begin || to > end) {
				fprintf(stderr, "%s: a mapping across the range\n", path);
				exit(1);
			}
			sum += kb;
		}
	}
	fclose(file);
	if (!known) {
		fprintf(stderr, "%s: nothing of KSM\n", path);
		exit(1);
	}
	return sum;
}

int main(int argc, char **argv)
{
	int pagemap, kpageflags, wrong, i;
	char path[64];

	if (argc < 4 || argc % 2) {
		fprintf(stderr, "usage: pagewitness PID BEGIN LENGTH...\n");
		return 2;
	}
	snprintf(path, sizeof(path), "/proc/%s/pagemap", argv[1]);
	pagemap = open_or_die(path);
	kpageflags = open_or_die("/proc/kpageflags");
	wrong = ksm_flag_is_wrong(kpageflags);
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
		if (wrong)
			ksm = ksm_of_smaps(argv[1], begin * 4096, end * 4096) / 4;
		printf("range begin=%s present=%lu swap=%lu ksm=%lu zero=%lu\n", argv[i],
		       (unsigned long)present * 4, (unsigned long)swap * 4,
		       (unsigned long)ksm * 4, (unsigned long)zero * 4);
	}
	return 0;
}
