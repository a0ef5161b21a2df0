// SPDX-License-Identifier: GPL-2.0
/*
 * A VM that gets the name of one that KVM is still taking apart.
 *
 *	namesake TIMES COMMAND
 *
 * KVM lets go of a VM's descriptor and its directory in debugfs first. The command runs
 * beside the last one.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/kvm.h>

static void *end(void *vm)
{
	close((int)(long)vm);
	return NULL;
}

int main(int argc, char **argv)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), times = argc > 2 ? atoi(argv[1]) : 0, i;
	int vm = ioctl(kvm, KVM_CREATE_VM, 0), same = 0;
	char id[32], path[64];

	snprintf(id, sizeof(id), "%d-%d", getpid(), vm);
	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%s", id);
	setenv("KVMGUEST_ID", id, 1);
	for (i = 0; i < times; i++) {
		pthread_t thread;
		int old = vm;

		usleep(5000);
		if (pthread_create(&thread, NULL, end, (void *)(long)vm))
			return 1;
		while (!access(path, F_OK))
			;
		vm = ioctl(kvm, KVM_CREATE_VM, 0);
		if (vm < 0)
			return 1;
		same += vm == old;
		pthread_join(thread, NULL);
	}
	/* On 5.10 kvmmem hears of a VM by its first vCPU or slot. */
	if (ioctl(vm, KVM_CREATE_VCPU, 0) < 0)
		return 1;
	printf("born=%d same=%d\n", i, same);
	fflush(stdout);
	return system(argv[2]) ? 1 : 0;
}
