// SPDX-License-Identifier: GPL-2.0
/*
 * Moves a page of another process's to another NUMA node.
 *
 *	movepage PID ADDRESS NODE
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MPOL_MF_MOVE_ALL	(1 << 2)

int main(int argc, char **argv)
{
	int node, status = -1;
	void *page;

	if (argc != 4)
		return 2;
	page = (void *)strtoul(argv[2], NULL, 0);
	node = atoi(argv[3]);
	if (syscall(SYS_move_pages, atoi(argv[1]), 1UL, &page, &node, &status,
		    MPOL_MF_MOVE_ALL)) {
		perror("move_pages");
		return 1;
	}
	printf("status=%d\n", status);
	return status != node;
}
