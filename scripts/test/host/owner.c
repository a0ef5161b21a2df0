// SPDX-License-Identifier: GPL-2.0
/*
 * A VM that is not its main thread's, until somebody opens FIFO for writing.
 *
 *	owner thread FIFO	another thread made it, and runs it
 *	owner handed FIFO	a process of before has its file, too
 *	owner bare FIFO		root made it, without any capability
 *	owner left FIFO N	a user's process made so many, and root's has their files
 *
 * Prints "owner id=<id> pid=<process>" when it has run.
 */
#define _GNU_SOURCE
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
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

static void handed(const char *fifo)
{
	int made[2], has[2], child;

	if (pipe(made) || pipe(has))
		die("pipe");
	child = fork();
	if (!child) {
		run();
		if (write(made[1], &vm, sizeof(vm)) != sizeof(vm) ||
		    read(has[0], &vm, sizeof(vm)) != sizeof(vm))
			die("pipe");
		say();
		pause();
	}
	/* There may be no sockets to send a file by. */
	if (read(made[0], &vm, sizeof(vm)) != sizeof(vm) ||
	    syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, child, 0), vm, 0) < 0)
		die("pidfd_getfd");
	if (write(has[1], &vm, sizeof(vm)) != sizeof(vm))
		die("pipe");
	hold(fifo);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void left(const char *fifo, int vms)
{
	int child = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0), i;

	if (!child) {
		if (setgid(1000) || setuid(1000))
			die("setuid");
		kvm = open("/dev/kvm", O_RDWR);
		for (i = 0; i < vms; i++)
			if (ioctl(kvm, KVM_CREATE_VM, 0) < 0)
				die("KVM_CREATE_VM");
		_exit(0);
	}
	if (waitpid(child, &i, 0) < 0 || i)
		die("child");
	say();
	hold(fifo);
}

int main(int argc, char **argv)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = {};
	pthread_t thread;

	if (argc != 3 && (argc != 4 || strcmp(argv[1], "left")))
		return 2;
	if (!strcmp(argv[1], "handed")) {
		handed(argv[2]);
		return 0;
	}
	if (!strcmp(argv[1], "left")) {
		left(argv[2], atoi(argv[3] ?: "8"));
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
