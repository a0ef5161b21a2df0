// SPDX-License-Identifier: GPL-2.0
/*
 * slowguest WHAT MS N COMMAND - a guest whose faults the host is slow to serve.
 *
 *	fault	the process fetches each of N pages (userfaultfd) after MS ms
 *	async	the same, with an interrupt controller: KVM need not wait
 *	efault	N pages that may not be touched; after each KVM_RUN that failed the
 *		process sleeps MS ms and allows one more
 *	both	the same, and then takes away the page that KVM tells stolen time in, which
 *		it fetches after MS ms once KVM, in the next KVM_RUN, asks for it
 *	never	the process fetches no page for MS ms
 *	retry	a page that may not be touched: KVM_RUN again and again for MS ms
 *	reset	the same once, then the vCPU is reset, and waits for MS ms to be started
 *	drop	a thread takes the page away again and again for MS ms, while the guest
 *		waits there for a change, with nothing in its registers that moves
 *	rep	the same, while one instruction after the other fills all pages
 *	readonly  for MS ms the guest writes the same to a slot that it may only read, and
 *		the process serves each write as one to a device
 *
 * Then sh -c COMMAND, with KVMGUEST_ID and KVMGUEST_PID as from kvmguest; of never,
 * retry, reset, drop, rep and readonly two seconds before they are over. Exit status 77: the machine
 * lacks what it takes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <linux/userfaultfd.h>

#include "smallvm.h"

/* next: cmpb $0, (%rdi); je next; out %al, $0x10 */
static const uint8_t await[] = { 0x80, 0x3f, 0x00, 0x74, 0xfb, 0xe6, 0x10 };

/* next: mov %rdx, %rcx; mov %rbx, %rdi; rep stosb; jmp next */
static const uint8_t fill[] = {
	0x48, 0x89, 0xd1, 0x48, 0x89, 0xdf, 0xf3, 0xaa, 0xeb, 0xf6,
};

/* next: mov %al, (%rbx); jmp next */
static const uint8_t command[] = { 0x88, 0x03, 0xeb, 0xfc };

#define MSR_STEAL_TIME	0x4b564d03
#define STOLEN		0x10000UL

static unsigned long ms, pages;
static const char *what;
static volatile int over;
static int uffd;

static int is(const char *name)
{
	return !strcmp(what, name);
}

static void wait_ms(unsigned long some)
{
	usleep(some * 1000);
}

/* A page that somebody else has brought meanwhile is as good. */
static void *fetch(void *unused)
{
	struct uffd_msg msg;

	(void)unused;
	for (;;) {
		struct uffdio_zeropage zero = { .range.len = PAGE };

		if (read(uffd, &msg, sizeof(msg)) != sizeof(msg))
			return NULL;
		if (msg.event != UFFD_EVENT_PAGEFAULT)
			continue;
		wait_ms(ms);
		zero.range.start = msg.arg.pagefault.address & -PAGE;
		if (ioctl(uffd, UFFDIO_ZEROPAGE, &zero) && errno != EEXIST)
			die("UFFDIO_ZEROPAGE");
	}
}

static void fetch_by_hand(uint8_t *first, unsigned long nr)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { (uintptr_t)first, nr * PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	pthread_t thread;

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uffd < 0)
		exit(EXIT_LACKING);
	if (ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &range))
		die("UFFDIO_REGISTER");
	if (pthread_create(&thread, NULL, fetch, NULL))
		die("pthread_create");
}

/* KVM writes there on its way into the guest, when it has loaded the vCPU anew. */
static void tell_stolen_time(void)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msr = {
		.head.nmsrs = 1,
		.entry = { .index = MSR_STEAL_TIME, .data = STOLEN | 1 },
	};

	if (ioctl(vcpus[0], KVM_SET_MSRS, &msr) != 1)
		exit(EXIT_LACKING);
	fetch_by_hand(base + STOLEN, 1);
}

static void drop_stolen(void)
{
	if (madvise(base + STOLEN, PAGE, MADV_DONTNEED))
		die("madvise");
}

static void make_readonly(void)
{
	struct kvm_userspace_memory_region slot = {
		.slot = 1, .guest_phys_addr = DATA, .memory_size = DATA_PAGES * PAGE,
		.userspace_addr = (uintptr_t)data, .flags = KVM_MEM_READONLY,
	};

	set_slot(1, DATA, data, 0);
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot))
		die("KVM_MEM_READONLY");
}

/* The guest's thread, when KVM cannot get at a page. */
static void refused(void)
{
	struct kvm_mp_state reset = { KVM_MP_STATE_UNINITIALIZED };
	static unsigned long allowed;

	if (is("reset")) {
		if (ioctl(vcpus[0], KVM_SET_MP_STATE, &reset))
			die("KVM_SET_MP_STATE");
		return;
	}
	if (is("retry")) {
		if (!over)
			return;
		allowed = DATA_PAGES;
	} else {
		wait_ms(ms);
		allowed++;
		if (is("both"))
			drop_stolen();
	}
	if (mprotect(data, allowed * PAGE, PROT_READ | PROT_WRITE))
		die("mprotect");
}

static void *run(void *unused)
{
	struct kvm_regs regs = {
		.rip = CODE, .rflags = 0x202, .rdi = DATA, .rsi = pages,
		.rbx = DATA, .rdx = DATA_PAGES * PAGE,
	};

	(void)unused;
	if (ioctl(vcpus[0], KVM_SET_REGS, &regs))
		die("KVM_SET_REGS");
	for (;;) {
		if (!ioctl(vcpus[0], KVM_RUN, 0)) {
			if (runs[0]->exit_reason == KVM_EXIT_IO || over)
				return NULL;
			if (is("readonly") && runs[0]->exit_reason == KVM_EXIT_MMIO)
				continue;
			fprintf(stderr, "exit %u\n", runs[0]->exit_reason);
			exit(1);
		}
		if (errno == EFAULT)
			refused();
		else if (errno != EINTR && errno != EAGAIN)
			die("KVM_RUN");
	}
}

static void drop_for(unsigned long some)
{
	struct timespec now, end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += some / 1000;
	do {
		if (madvise(data, DATA_PAGES * PAGE, MADV_DONTNEED))
			die("madvise");
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec);
}

static void *drop(void *unused)
{
	(void)unused;
	while (!over)
		drop_for(1000);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t guest, dropper;
	int lasting, failed;

	if (argc != 5)
		return 2;
	what = argv[1];
	ms = strtoul(argv[2], NULL, 0);
	pages = strtoul(argv[3], NULL, 0);
	lasting = is("never") || is("retry") || is("reset") || is("drop") || is("rep") || is("readonly");
	make_vm(1, is("async") || is("reset"));
	if (is("fault") || is("async") || is("never"))
		fetch_by_hand(data, DATA_PAGES);
	if (is("both"))
		tell_stolen_time();
	if (is("efault") || is("both") || is("retry") || is("reset"))
		mprotect(data, DATA_PAGES * PAGE, PROT_NONE);
	if (is("readonly")) {
		make_readonly();
		memcpy(base + CODE, command, sizeof(command));
	}
	if (is("drop"))
		memcpy(base + CODE, await, sizeof(await));
	if (is("rep"))
		memcpy(base + CODE, fill, sizeof(fill));
	if (pthread_create(&guest, NULL, run, NULL))
		die("pthread_create");
	if (is("drop") || is("rep"))
		pthread_create(&dropper, NULL, drop, NULL);
	if (!lasting)
		pthread_join(guest, NULL);
	else
		wait_ms(ms > 2000 ? ms - 2000 : 0);
	failed = system(argv[4]);
	over = 1;
	if (is("drop") || is("rep"))
		pthread_join(dropper, NULL);
	if (is("drop"))
		*(volatile uint8_t *)data = 1;
	if (lasting && !is("rep") && !is("reset"))
		pthread_join(guest, NULL);
	return failed ? 1 : 0;
}
