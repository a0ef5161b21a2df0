// SPDX-License-Identifier: GPL-2.0
/* VMs that are born and die, and whose processes do. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/kvm.h>

#include "storm.h"
#include "vm.h"

#define MOST_VCPUS	1024

/*
 * A vCPU of a VM without memory is entered and leaves at once, with a fault that
 * KVM cannot serve.
 */
static void enter(int vcpu)
{
	if (vcpu >= 0)
		ioctl(vcpu, KVM_RUN, 0);
}

/* They live and rest for about as long as a grace period. */
static void live_and_die(void)
{
	unsigned int live = argument("live_ms", 50) * 1000, rest = argument("rest_ms", 90) * 1000;
	unsigned long vcpus = argument("vcpus", 1), run = argument("run", 0), i;
	struct rlimit files = { 2 * MOST_VCPUS, 2 * MOST_VCPUS };
	static int others[MOST_VCPUS];
	struct vm vm;

	setrlimit(RLIMIT_NOFILE, &files);
	if (vcpus > MOST_VCPUS)
		vcpus = MOST_VCPUS;
	while (!over()) {
		if (!vm_open(&vm)) {
			tally(FAILED);
			usleep(1000);
			continue;
		}
		vm_add_vcpu(&vm);
		for (i = 1; i < vcpus; i++)
			others[i] = ioctl(vm.fd, KVM_CREATE_VCPU, i);
		if (run)
			enter(vm.vcpu);
		for (i = 1; run && i < vcpus; i++)
			enter(others[i]);
		rest_us(live);
		for (i = 1; i < vcpus; i++)
			close(others[i]);
		vm_close(&vm);
		tally(DID);
		rest_us(rest);
	}
}

static void run_vms(void)
{
	unsigned long kids = argument("kids", 3);

	while (kids--)
		child(live_and_die);
	while (wait(NULL) > 0)
		;
}

/* A VM whose process forks. Who dies first, and by what, is left to chance. */
static void fork_and_die(void)
{
	unsigned int order = pick(3);
	struct vm vm;
	pid_t pid;

	if (!vm_open(&vm) || !vm_add_memory(&vm, 2 * HUGE) || !vm_add_vcpu(&vm)) {
		tally(FAILED);
		usleep(1000);
		return;
	}
	memset(vm.memory, 1, vm.size);
	pid = fork();
	if (!pid) {
		vm.memory[PAGE] = 2;
		usleep(order ? 20000 : 3000);
		_exit(0);
	}
	usleep(order ? 3000 : 20000);
	if (order == 2)
		kill(pid, SIGKILL);
	tally(DID);
	kill(getpid(), SIGKILL);
}

static void run_fork(void)
{
	while (!over())
		waitpid(child(fork_and_die), NULL, 0);
	/* Children of children. */
	usleep(50000);
}

const struct kind vm_kinds[] = {
	{ "vms", run_vms, {},
	  "VMs are born and die [kids=3] [vcpus=1] [live_ms=50] [rest_ms=90] [run=1]" },
	{ "fork", run_fork, {},
	  "a VM's process forks, and parent or child dies first" },
	{}
};
