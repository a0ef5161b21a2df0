// SPDX-License-Identifier: GPL-2.0
/*
 * stuckread FILE FIFO - a reader who is stuck in the middle of a reading
 *
 * What is read goes to a page that comes when somebody opens FIFO for writing. Prints
 * "stuck" when the kernel waits for the page, and "read BYTES" in the end.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE	4096UL

static int uffd;
static const char *fifo;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *bring(void *arg)
{
	struct uffdio_zeropage zero = { .range.len = PAGE };
	struct uffd_msg msg;

	(void)arg;
	if (read(uffd, &msg, sizeof(msg)) != sizeof(msg))
		die("userfaultfd");
	printf("stuck\n");
	fflush(stdout);
	if (open(fifo, O_RDONLY) < 0)
		die(fifo);
	zero.range.start = msg.arg.pagefault.address & -PAGE;
	if (ioctl(uffd, UFFDIO_ZEROPAGE, &zero))
		die("UFFDIO_ZEROPAGE");
	return NULL;
}

int main(int argc, char **argv)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { (uintptr_t)page, PAGE }, .mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	pthread_t thread;
	int fd;

	if (argc < 3)
		return 2;
	fifo = argv[2];
	fd = open(argv[1], O_RDONLY);
	if (fd < 0)
		die(argv[1]);
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &range))
		die("userfaultfd");
	if (pthread_create(&thread, NULL, bring, NULL))
		die("pthread_create");
	printf("read %zd\n", read(fd, page, PAGE));
	return 0;
}
