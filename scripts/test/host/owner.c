// SPDX-License-Identifier: GPL-2.0
/*
 * A VM that is not its main thread's, until somebody opens FIFO for writing.
 *
 *	owner thread FIFO	another thread made it, and runs it
 *	owner handed FIFO	a process of before has its file, too
 *	owner bare FIFO		root made it, without any capability
 *
 * Prints "owner id=<id> pid=<process>" when it has run.
 */
#define _GNU_SOURCE
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "smallvm.h"

static void run(void)
{
	make_vm(1, 0);
	touch_pages(0, DATA, 16);
}

static void say(void)
{
	printf("owner id=%ld-%d pid=%d\n", syscall(SYS_gettid), vm, getpid());
	fflush(stdout);
}

static void *run_thread(void *unused)
{
	(void)unused;
	run();
	say();
	return NULL;
}

static void hold(const char *fifo)
{
	char end;

	read(open(fifo, O_RDONLY), &end, 1);
}

/* Send a file, or receive one with @file -1. */
static int pass(int socket, int file)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	if (file < 0) {
		if (recvmsg(socket, &message, 0) != 1)
			die("recvmsg");
		header = CMSG_FIRSTHDR(&message);
		if (!header)
			die("no file");
		memcpy(&file, CMSG_DATA(header), sizeof(file));
		return file;
	}
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(file));
	memcpy(CMSG_DATA(header), &file, sizeof(file));
	if (sendmsg(socket, &message, 0) != 1)
		die("sendmsg");
	return 0;
}

static void handed(const char *fifo)
{
	int sockets[2], child;
	char has = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets))
		die("socketpair");
	child = fork();
	if (!child) {
		run();
		pass(sockets[1], vm);
		if (read(sockets[1], &has, 1) != 1)
			die("read");
		say();
		pause();
	}
	pass(sockets[0], -1);
	if (write(sockets[0], &has, 1) != 1)
		die("write");
	hold(fifo);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = {};
	pthread_t thread;

	if (argc != 3)
		return 2;
	if (!strcmp(argv[1], "handed")) {
		handed(argv[2]);
		return 0;
	}
	if (!strcmp(argv[1], "bare") && syscall(SYS_capset, &header, none))
		die("capset");
	if (strcmp(argv[1], "thread"))
		run_thread(NULL);
	else if (pthread_create(&thread, NULL, run_thread, NULL) || pthread_join(thread, NULL))
		die("pthread_create");
	hold(argv[2]);
	return 0;
}
