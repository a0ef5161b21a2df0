/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The least VM that runs something: 64-bit code in one slot, memory to touch in
 * another. Each program that includes it makes one.
 */
#ifndef SMALLVM_H
#define SMALLVM_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/kvm.h>

#define EXIT_LACKING	77
#define PAGE		4096UL
#define BASE		0x0UL		/* tables, code and what SMM wants */
#define BASE_PAGES	128UL
#define DATA		0x40000000UL
#define DATA_PAGES	512UL
#define CODE		0x8000UL

/* next: movb $1, (%rdi); add $4096, %rdi; dec %rsi; jnz next; out %al, $0x10 */
static const uint8_t touch[] = {
	0xc6, 0x07, 0x01, 0x48, 0x81, 0xc7, 0x00, 0x10, 0x00, 0x00, 0x48, 0xff, 0xce,
	0x75, 0xf1, 0xe6, 0x10,
};

static int kvm, vm, vcpus[2];
static struct kvm_run *runs[2];
static uint8_t *base, *data;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *map(unsigned long pages, int prot, int flags, int fd, off_t at)
{
	void *there = mmap(NULL, pages * PAGE, prot, flags, fd, at);

	if (there == MAP_FAILED)
		die("mmap");
	return there;
}

static uint8_t *memory(unsigned long pages)
{
	uint8_t *there = map(pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	madvise(there, pages * PAGE, MADV_NOHUGEPAGE);
	return there;
}

static void set_slot(unsigned int id, uint64_t gpa, void *hva, unsigned long pages)
{
	struct kvm_userspace_memory_region slot = {
		.slot = id, .guest_phys_addr = gpa, .memory_size = pages * PAGE,
		.userspace_addr = (uintptr_t)hva,
	};

	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot))
		die("KVM_SET_USER_MEMORY_REGION");
}

/* Identity-mapped by 2M: a table of each level, and four of the third. */
static void fill_base(void)
{
	uint64_t *table = (uint64_t *)base;
	unsigned int i;

	table[0] = BASE + PAGE + 7;
	for (i = 0; i < 4; i++)
		table[512 + i] = BASE + (2 + i) * PAGE + 7;
	for (i = 0; i < 2048; i++)
		table[1024 + i] = ((uint64_t)i << 21) + 0x87;
	memcpy(base + CODE, touch, sizeof(touch));
}

static void make_vcpu(unsigned int n)
{
	struct kvm_segment seg = {
		.limit = 0xffffffff, .present = 1, .s = 1, .g = 1, .type = 3, .selector = 16,
	};
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[100];
	} cpuid = { .head.nent = 100 };
	struct kvm_sregs sregs;

	vcpus[n] = ioctl(vm, KVM_CREATE_VCPU, n);
	if (vcpus[n] < 0)
		die("KVM_CREATE_VCPU");
	if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid) ||
	    ioctl(vcpus[n], KVM_SET_CPUID2, &cpuid))
		die("KVM_SET_CPUID2");
	runs[n] = mmap(NULL, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE,
		       MAP_SHARED, vcpus[n], 0);
	if (runs[n] == MAP_FAILED || ioctl(vcpus[n], KVM_GET_SREGS, &sregs))
		die("KVM_GET_SREGS");
	sregs.cr0 = 0x80000033;
	sregs.cr3 = BASE;
	sregs.cr4 = 0x20;
	sregs.efer = 0x500;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = seg;
	seg.type = 11;
	seg.l = 1;
	seg.selector = 8;
	sregs.cs = seg;
	if (ioctl(vcpus[n], KVM_SET_SREGS, &sregs))
		die("KVM_SET_SREGS");
}

/* Run until the guest writes to this port. */
static inline void run_to(unsigned int n, unsigned int port)
{
	do {
		if (ioctl(vcpus[n], KVM_RUN, 0))
			die("KVM_RUN");
		if (runs[n]->exit_reason != KVM_EXIT_IO) {
			fprintf(stderr, "vCPU %u: exit %u\n", n, runs[n]->exit_reason);
			exit(1);
		}
	} while (runs[n]->io.port != port);
}

static inline void touch_pages(unsigned int n, uint64_t gpa, unsigned long pages)
{
	/* Interrupts on, or some emulators never let go of a loop. */
	struct kvm_regs regs = { .rip = CODE, .rflags = 0x202, .rdi = gpa, .rsi = pages };

	if (ioctl(vcpus[n], KVM_SET_REGS, &regs))
		die("KVM_SET_REGS");
	run_to(n, 0x10);
}

static void print_slot(unsigned int id, uint64_t gpa, const void *hva, unsigned long pages)
{
	printf("slot id=%d-%d slot=%u gpa=0x%lx hva=%lx bytes=%lx\n", getpid(), vm, id,
	       (unsigned long)gpa, (unsigned long)hva, pages * PAGE);
}

/* A VM of @nr vCPUs on two slots, both written down for whoever looks at it. */
static void make_vm(unsigned int nr, int irqchip)
{
	char text[32];
	unsigned int n;

	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		die("/dev/kvm");
	ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000UL);
	if (irqchip && ioctl(vm, KVM_CREATE_IRQCHIP, 0))
		die("KVM_CREATE_IRQCHIP");
	base = memory(BASE_PAGES);
	data = memory(DATA_PAGES);
	fill_base();
	set_slot(0, BASE, base, BASE_PAGES);
	set_slot(1, DATA, data, DATA_PAGES);
	for (n = 0; n < nr; n++)
		make_vcpu(n);
	print_slot(0, BASE, base, BASE_PAGES);
	print_slot(1, DATA, data, DATA_PAGES);
	fflush(stdout);
	snprintf(text, sizeof(text), "%d", getpid());
	setenv("KVMGUEST_PID", text, 1);
	snprintf(text, sizeof(text), "%d-%d", getpid(), vm);
	setenv("KVMGUEST_ID", text, 1);
}

#endif /* SMALLVM_H */
