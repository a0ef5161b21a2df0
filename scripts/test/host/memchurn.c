// SPDX-License-Identifier: GPL-2.0
/*
 * memchurn ROUNDS SEED - a process that never leaves its VM's memory alone.
 *
 * Slots come, go and move, what is mapped behind them is unmapped, remapped,
 * made huge, split, offered to KSM, swapped out and dropped; every now and then
 * the VM goes and a new one comes, or a child with a VM of its own dies of
 * SIGKILL. In the end it leaves one VM with a slot of 256 written pages, prints
 * "quiet" and waits for its standard input to end.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/kvm.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define PAGE		4096UL
#define HUGE		(2UL << 20)
#define SLOTS		6
#define SLOT_SIZE	(2 * HUGE)

struct slot {
	uint8_t *hva;		/* NULL: nothing is mapped */
	uint64_t gpa;
	int registered;
};

static int kvm, vm, vcpu;
static struct slot slots[SLOTS];
static unsigned int state;

static unsigned int pick(unsigned int n)
{
	state = state * 1103515245 + 12345;
	return (state >> 16) % n;
}

static void open_vm(void)
{
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0) {
		perror("KVM_CREATE_VM");
		exit(1);
	}
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	memset(slots, 0, sizeof(slots));
}

static void set_slot(unsigned int i, int on)
{
	struct kvm_userspace_memory_region region = {
		.slot = i,
		.guest_phys_addr = slots[i].gpa,
		.memory_size = on ? SLOT_SIZE : 0,
		.userspace_addr = (uintptr_t)slots[i].hva,
		.flags = on && pick(4) == 0 ? KVM_MEM_LOG_DIRTY_PAGES : 0,
	};

	if (!ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region))
		slots[i].registered = on;
}

static void map(unsigned int i)
{
	int shared = pick(3) == 0;
	uint8_t *at = (uint8_t *)(0x100000000000UL + i * 16 * HUGE);

	slots[i].hva = mmap(at, SLOT_SIZE, PROT_READ | PROT_WRITE,
			    MAP_FIXED | MAP_ANONYMOUS | MAP_NORESERVE |
			    (shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);
	slots[i].gpa = i * 16 * HUGE;
	madvise(slots[i].hva, SLOT_SIZE, pick(2) ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

static void touch(unsigned int i, unsigned long pages)
{
	unsigned long page;

	for (page = 0; page < pages; page++)
		slots[i].hva[(page * 7 % (SLOT_SIZE / PAGE)) * PAGE] = page & 3;
}

static void one_round(void)
{
	static const int advices[] = {
		MADV_DONTNEED, MADV_PAGEOUT, MADV_MERGEABLE, MADV_UNMERGEABLE,
		MADV_COLLAPSE, MADV_HUGEPAGE, MADV_NOHUGEPAGE,
	};
	unsigned int i = pick(SLOTS);

	if (!slots[i].hva) {
		map(i);
		return;
	}
	switch (pick(8)) {
	case 0:
		set_slot(i, !slots[i].registered);
		break;
	case 1:
		if (slots[i].registered) {
			slots[i].gpa += pick(2) ? PAGE : HUGE;
			set_slot(i, 1);
		} else {
			set_slot(i, 1);
		}
		break;
	case 2:
		munmap(slots[i].hva + pick(2) * HUGE, HUGE);
		map(i);
		break;
	case 3:
		mprotect(slots[i].hva + pick(512) * PAGE, PAGE, PROT_READ);
		mprotect(slots[i].hva, SLOT_SIZE, PROT_READ | PROT_WRITE);
		break;
	case 4:
		touch(i, pick(256));
		break;
	default:
		madvise(slots[i].hva + pick(2) * HUGE, HUGE,
			advices[pick(sizeof(advices) / sizeof(advices[0]))]);
	}
}

static void close_vm(void)
{
	unsigned int i;

	close(vcpu);
	close(vm);
	for (i = 0; i < SLOTS; i++)
		if (slots[i].hva)
			munmap(slots[i].hva, SLOT_SIZE);
}

static void victim(void)
{
	pid_t pid = fork();
	unsigned int i;

	if (!pid) {
		open_vm();
		for (i = 0; i < SLOTS; i++) {
			map(i);
			set_slot(i, 1);
			touch(i, 64);
		}
		raise(SIGKILL);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
	unsigned int rounds, round;
	char byte;

	if (argc != 3) {
		fprintf(stderr, "usage: memchurn ROUNDS SEED\n");
		return 2;
	}
	rounds = atoi(argv[1]);
	state = atoi(argv[2]);
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0) {
		perror("/dev/kvm");
		return 1;
	}
	open_vm();
	for (round = 1; round <= rounds; round++) {
		one_round();
		if (round % 50 == 0) {
			close_vm();
			open_vm();
		}
		if (round % 100 == 0)
			victim();
	}
	close_vm();
	open_vm();
	slots[0].hva = mmap(NULL, SLOT_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	madvise(slots[0].hva, SLOT_SIZE, MADV_NOHUGEPAGE);
	set_slot(0, 1);
	memset(slots[0].hva, 1, 256 * PAGE);
	printf("quiet rounds=%u id=%d-%d\n", rounds, getpid(), vm);
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}
