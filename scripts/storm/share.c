// SPDX-License-Identifier: GPL-2.0
/*
 * A guest's memory in huge pages of a file that another process maps, too, in such a
 * way that both have one page table for it. The other takes its pages out of the file,
 * so that the kernel takes the table from the guest's process, without the lock of its
 * memory, and then frees it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storm.h"
#include "vm.h"

#define GIANT		(1UL << 30)	/* of a page table that can be shared */
#define TOUCHED		4		/* huge pages that are there */

static int file;
static uint8_t *place;			/* aligned, the same in both processes */

static bool map(void)
{
	return mmap(place, GIANT, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_NORESERVE | MAP_FIXED, file, 0) != MAP_FAILED;
}

static void touch(void)
{
	int i;

	for (i = 0; i < TOUCHED; i++)
		(*(volatile uint8_t *)(place + i * HUGE))++;
}

/* The VM's process. */
static void owner(void)
{
	struct vm vm;

	if (!map() || !vm_open(&vm)) {
		tally(FAILED);
		return;
	}
	vm.memory = place;
	vm.size = GIANT;
	if (!vm_set_slot(&vm, true, 0))
		tally(FAILED);
	while (!over()) {
		touch();
		rest_us(2000);
	}
	vm_close(&vm);
}

static void partner(void)
{
	while (!over()) {
		if (!map()) {
			tally(FAILED);
			return;
		}
		touch();
		rest_us(1000);
		if (fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, GIANT))
			tally(FAILED);
		munmap(place, GIANT);
		tally(DID);
	}
}

static void run_share(void)
{
	uint8_t *space = mmap(NULL, 2 * GIANT, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	file = memfd_create("storm", MFD_CLOEXEC | MFD_HUGETLB);
	if (space == MAP_FAILED || file < 0 || ftruncate(file, GIANT))
		die("huge pages");
	place = (uint8_t *)(((uintptr_t)space + GIANT - 1) & ~(GIANT - 1));
	child(owner);
	child(partner);
	while (wait(NULL) > 0)
		;
}

const struct kind share_kinds[] = {
	{ "share", run_share, {},
	  "two processes share a table of huge pages, and one has it taken away" },
	{}
};
