// SPDX-License-Identifier: GPL-2.0
/*
 * takeguest ACT COMMAND - a VM whose memory is taken away in one way
 *
 * Slot 1 shows PAGES written pages; the mapping goes on behind its end. COMMAND is run
 * by sh -c with "before" and "after" added, and the act done in between. KVMGUEST_ID
 * and KVMGUEST_PID are set as by kvmguest. Acts are in the table at the end of this
 * file; some of them run COMMAND with "act" added.
 *
 * Exit status 77: this kernel cannot do it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT		21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif
#define MPOL_BIND		2
#define MPOL_MF_MOVE		2
#define EXIT_LACKING		77

#define PAGE			4096UL
#define HUGE			(512 * PAGE)
#define PAGES			1024UL
#define BEHIND			512UL		/* mapped, and in no slot */
#define DATA_GPA		0x40000000UL

static int kvm, vm, vcpu, memfd = -1;
static struct kvm_run *run;
static char *data;
static const char *command;

static int must(long result, const char *what)
{
	if (result < 0) {
		fprintf(stderr, "takeguest: %s: %s\n", what, strerror(errno));
		exit(1);
	}
	return result;
}

static void phase(const char *name)
{
	char line[512];

	snprintf(line, sizeof(line), "%s %s", command, name);
	if (system(line))
		exit(1);
}

static void *map(unsigned long size, int fd)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	must(memory == MAP_FAILED ? -1 : 0, "mmap");
	return memory;
}

static void add_slot(unsigned int slot, uint64_t gpa, void *hva, unsigned long pages)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot, .guest_phys_addr = gpa, .memory_size = pages * PAGE,
		.userspace_addr = (uintptr_t)hva,
	};

	must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "memory slot");
	printf("slot slot=%u hva=%lx bytes=%lx\n", slot, (unsigned long)hva, pages * PAGE);
}

/* In real mode: movb $1, 0; hlt */
static void make_vm(void)
{
	static const unsigned char code[] = { 0xc6, 0x06, 0x00, 0x00, 0x01, 0xf4 };
	char *first;

	kvm = must(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
	vm = must(ioctl(kvm, KVM_CREATE_VM, 0), "VM");
	ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000UL);
	first = map(PAGE, -1);
	memcpy(first, code, sizeof(code));
	add_slot(0, 0, first, 1);
	add_slot(1, DATA_GPA, data, PAGES);
	vcpu = must(ioctl(vm, KVM_CREATE_VCPU, 0), "vCPU");
	run = mmap(NULL, must(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "size"),
		   PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	must(run == MAP_FAILED ? -1 : 0, "mmap of a vCPU");
}

/* The guest writes to pages, each in a KVM_RUN of its own. */
static void touch(unsigned long first, unsigned long pages)
{
	struct kvm_regs regs = { .rflags = 2 };
	struct kvm_sregs sregs;
	unsigned long i;

	must(ioctl(vcpu, KVM_GET_SREGS, &sregs), "registers");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	for (i = first; i < first + pages; i++) {
		sregs.ds.base = DATA_GPA + i * PAGE;
		must(ioctl(vcpu, KVM_SET_SREGS, &sregs), "registers");
		must(ioctl(vcpu, KVM_SET_REGS, &regs), "registers");
		must(ioctl(vcpu, KVM_RUN, 0), "run");
		must(run->exit_reason == KVM_EXIT_HLT ? 0 : -1, "the guest did not halt");
	}
}

static void make_memory(int huge)
{
	unsigned long size = (PAGES + BEHIND) * PAGE;

	data = map(size + HUGE, memfd);
	data = (char *)(((uintptr_t)data + HUGE - 1) & ~(HUGE - 1));
	madvise(data, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	memset(data, 1, size);
}

static void by_shell(void)
{
	phase("act");
}

static void advise(int advice, unsigned long first, unsigned long pages)
{
	int result = madvise(data + first * PAGE, pages * PAGE, advice);

	if (result && errno == EINVAL)
		exit(EXIT_LACKING);
	must(result, "madvise");
}

/* In pieces; the last one reaches across the slot's end. */
static void discard(int advice)
{
	unsigned long i;

	for (i = 0; i < PAGES - 16; i += 16)
		advise(advice, i, 16);
	advise(advice, PAGES - 16, 32);
	advise(advice, PAGES + 64, 64);
}

static void dontneed(void)
{
	discard(MADV_DONTNEED);
}

static void lazyfree(void)
{
	discard(MADV_FREE);
}

static void punch(void)
{
	unsigned long i;

	for (i = 0; i < PAGES; i += 16)
		must(madvise(data + i * PAGE, 8 * PAGE, MADV_REMOVE), "MADV_REMOVE");
	must(fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, HUGE), "punch");
}

static void unmap(void)
{
	char *other = map(64 * PAGE, -1);
	unsigned long i;

	for (i = 0; i < 256; i += 4)
		must(munmap(data + i * PAGE, 4 * PAGE), "munmap");
	for (i = 256; i < 512; i += 16)
		must(mmap(data + i * PAGE, 16 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ? -1 : 0,
		     "mmap");
	must(mremap(data + 512 * PAGE, 64 * PAGE, 64 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		    other) == MAP_FAILED ? -1 : 0, "mremap");
}

static void protect(void)
{
	unsigned long i;

	for (i = 0; i < 100; i++) {
		must(mprotect(data, PAGES * PAGE, PROT_READ), "mprotect");
		must(mprotect(data, PAGES * PAGE, PROT_READ | PROT_WRITE), "mprotect");
	}
}

static void write_protect(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP };
	struct uffdio_register reg = {
		.range = { (uintptr_t)data, PAGES * PAGE }, .mode = UFFDIO_REGISTER_MODE_WP,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	unsigned long i;

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg))
		exit(EXIT_LACKING);
	for (i = 0; i < PAGES; i += 16) {
		struct uffdio_writeprotect wp = {
			.range = { (uintptr_t)data + i * PAGE, 16 * PAGE },
			.mode = UFFDIO_WRITEPROTECT_MODE_WP,
		};

		must(ioctl(fd, UFFDIO_WRITEPROTECT, &wp), "UFFDIO_WRITEPROTECT");
	}
	close(fd);
}

/* A child that goes when its parent does. */
static void leave_child(void)
{
	int ends[2];
	char byte;

	must(pipe(ends), "pipe");
	if (must(fork(), "fork"))
		return;
	close(ends[1]);
	_exit(read(ends[0], &byte, 1));
}

static void many_forks(void)
{
	int i;

	for (i = 0; i < 20; i++) {
		if (!must(fork(), "fork"))
			_exit(0);
		wait(NULL);
	}
}

static void copy_on_write(void)
{
	touch(0, PAGES);
}

static void touch_all(void)
{
	touch(0, PAGES);
}

static void pageout(void)
{
	advise(MADV_PAGEOUT, 0, PAGES);
}

static void collapse(void)
{
	advise(MADV_HUGEPAGE, 0, PAGES);
	advise(MADV_COLLAPSE, 0, PAGES);
}

static void by_ksm(void)
{
	advise(MADV_MERGEABLE, 0, PAGES);
	phase("act");
}

static void by_khugepaged(void)
{
	advise(MADV_HUGEPAGE, 0, PAGES);
	phase("act");
}

/* NUMA balancing looks at threads that run. */
static void run_on(void)
{
	time_t end = time(NULL) + 4;

	phase("act");
	while (time(NULL) < end)
		touch(0, PAGES);
}

static void bind_memory(void)
{
	unsigned long node = 1UL << 1;

	must(syscall(SYS_mbind, data, PAGES * PAGE, MPOL_BIND, &node, 64UL, MPOL_MF_MOVE),
	     "mbind");
}

static void migrate(void)
{
	unsigned long from = 1UL << 0, to = 1UL << 1;

	must(syscall(SYS_migrate_pages, 0, 64UL, &from, &to), "migrate_pages");
}

/* What is dropped comes back at once, what was never taken is touched, too. */
static void refault(void)
{
	advise(MADV_DONTNEED, 0, PAGES / 2);
	touch(0, PAGES);
}

static void refault_scattered(void)
{
	unsigned long i;

	for (i = 0; i < PAGES; i += 8)
		advise(MADV_DONTNEED, i, 1);
	touch(0, PAGES);
}

static void refault_late(void)
{
	advise(MADV_DONTNEED, 0, PAGES);
	sleep(2);
	touch(0, PAGES);
}

/* What a call costs, by a clock that counts instructions. */
static void cost(void)
{
	struct timespec from, to;
	int i;

	for (i = 0; i < 1000; i++)
		advise(MADV_DONTNEED, 100, 1);
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (i = 0; i < 20000; i++)
		advise(MADV_DONTNEED, 100, 1);
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("cost ns=%ld\n", (to.tv_sec - from.tv_sec) * 1000000000L +
	       to.tv_nsec - from.tv_nsec);
	fflush(stdout);
}

/* One after the other; the shell's parts are what others do. */
static void everything(void)
{
	protect();
	many_forks();
	touch(0, PAGES / 2);
	phase("act");
	touch(0, PAGES);
	advise(MADV_MERGEABLE, 0, PAGES);
	phase("merge");
	touch(0, PAGES / 2);
	advise(MADV_DONTNEED, 0, 64);
	touch(0, PAGES / 2);
	unmap();
}

static const struct {
	const char *name;
	void (*act)(void);
	void (*before)(void);
	int huge;
	int shared;
} acts[] = {
	{ .name = "shell", .act = by_shell },
	{ .name = "shell-huge", .act = by_shell, .huge = 1 },
	{ .name = "ksm", .act = by_ksm },
	{ .name = "khugepaged", .act = by_khugepaged },
	{ .name = "run", .act = run_on, .before = touch_all },
	{ .name = "cost", .act = cost },
	{ .name = "everything", .act = everything, .before = leave_child },
	{ .name = "dontneed", .act = dontneed },
	{ .name = "free", .act = lazyfree },
	{ .name = "punch", .act = punch, .shared = 1 },
	{ .name = "unmap", .act = unmap },
	{ .name = "mprotect", .act = protect },
	{ .name = "uffd", .act = write_protect },
	{ .name = "fork", .act = many_forks },
	{ .name = "cow", .act = copy_on_write, .before = leave_child },
	{ .name = "pageout", .act = pageout },
	{ .name = "collapse", .act = collapse },
	{ .name = "mbind", .act = bind_memory },
	{ .name = "migrate", .act = migrate },
	{ .name = "refault", .act = refault },
	{ .name = "refault-scattered", .act = refault_scattered },
	{ .name = "refault-late", .act = refault_late },
};

int main(int argc, char **argv)
{
	char text[32];
	unsigned int i;
	cpu_set_t first;

	for (i = 0; argc == 3 && i < sizeof(acts) / sizeof(acts[0]); i++)
		if (!strcmp(argv[1], acts[i].name))
			break;
	if (argc != 3 || i == sizeof(acts) / sizeof(acts[0])) {
		fprintf(stderr, "usage: see takeguest.c\n");
		return 2;
	}
	command = argv[2];
	/* The memory is of this processor's node. */
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	must(sched_setaffinity(0, sizeof(first), &first), "affinity");
	if (acts[i].shared) {
		memfd = must(memfd_create("takeguest", 0), "memfd");
		must(ftruncate(memfd, (PAGES + BEHIND) * PAGE + HUGE), "ftruncate");
	}
	make_memory(acts[i].huge);
	make_vm();
	snprintf(text, sizeof(text), "%d", getpid());
	setenv("KVMGUEST_PID", text, 1);
	snprintf(text, sizeof(text), "%d-%d", getpid(), vm);
	setenv("KVMGUEST_ID", text, 1);
	printf("guest id=%s\n", text);
	fflush(stdout);
	if (acts[i].before)
		acts[i].before();
	phase("before");
	acts[i].act();
	phase("after");
	return 0;
}
