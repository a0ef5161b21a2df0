// SPDX-License-Identifier: GPL-2.0
/*
 * VMs whose first vCPU is born while somebody asks for the translation of an address.
 *
 *	bornguest TIMES
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/kvm.h>

static int translate;
static volatile bool stop;
static unsigned long asked;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *ask(void *unused)
{
	char said[4096];

	(void)unused;
	while (!stop) {
		if (write(translate, "gpa 0", 5) != 5 ||
		    pread(translate, said, sizeof(said), 0) <= 0)
			die("translate");
		asked++;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), times = argc > 1 ? atoi(argv[1]) : 1, i, j;
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region slot = {
		.memory_size = 4096, .userspace_addr = (unsigned long)memory,
	};

	for (i = 0; i < times; i++) {
		char path[96];
		pthread_t thread;
		int vm = ioctl(kvm, KVM_CREATE_VM, 0), vcpu;

		if (vm < 0 || ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot))
			die("/dev/kvm");
		snprintf(path, sizeof(path), "/sys/kernel/debug/kvmmem/vms/%d-%d/translate",
			 getpid(), vm);
		for (j = 0; j < 1000 && (translate = open(path, O_RDWR | O_CLOEXEC)) < 0; j++)
			usleep(10000);
		if (translate < 0)
			die(path);
		stop = false;
		if (pthread_create(&thread, NULL, ask, NULL))
			die("pthread_create");
		usleep(20000);
		vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
		if (vcpu < 0)
			die("KVM_CREATE_VCPU");
		usleep(20000);
		stop = true;
		pthread_join(thread, NULL);
		close(translate);
		close(vcpu);
		close(vm);
	}
	printf("born=%d asked=%lu\n", i, asked);
	return 0;
}
