// SPDX-License-Identifier: GPL-2.0
/*
 * memguest WHAT COMMAND - a VM whose memory is of a kind that kvmguest's is not.
 *
 *	device		a second slot over a device's memory, which nobody touches
 *	obsolete	a slot is deleted, then vCPU 1 runs and vCPU 0 does not
 *	idle		a slot is deleted, then nobody runs
 *	smm		the vCPU has been in SMM, which has tables of its own
 *	memfd		a second slot over a guest_memfd, of which half is touched
 *
 * Then sh -c COMMAND, with KVMGUEST_ID and KVMGUEST_PID as from kvmguest. Exit
 * status 77: the machine lacks what it takes.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/kvm.h>

#ifndef KVM_MEM_GUEST_MEMFD
#define KVM_MEM_GUEST_MEMFD		(1UL << 2)
#define KVM_SET_USER_MEMORY_REGION2	_IOW(KVMIO, 0x49, struct kvm_userspace_memory_region2)
#define KVM_CREATE_GUEST_MEMFD		_IOWR(KVMIO, 0xd4, struct kvm_create_guest_memfd)

struct kvm_userspace_memory_region2 {
	uint32_t slot;
	uint32_t flags;
	uint64_t guest_phys_addr;
	uint64_t memory_size;
	uint64_t userspace_addr;
	uint64_t guest_memfd_offset;
	uint32_t guest_memfd;
	uint32_t pad1;
	uint64_t pad2[14];
};

struct kvm_create_guest_memfd {
	uint64_t size;
	uint64_t flags;
	uint64_t reserved[6];
};
#endif
#define MEMFD_MMAP		(1UL << 0)	/* GUEST_MEMFD_FLAG_MMAP */
#define MEMFD_INIT_SHARED	(1UL << 1)	/* GUEST_MEMFD_FLAG_INIT_SHARED */

#define EXIT_LACKING	77
#define PAGE		4096UL
#define BASE		0x0UL		/* tables, code and what SMM wants */
#define BASE_PAGES	128UL
#define DATA		0x40000000UL
#define DATA_PAGES	512UL
#define EXTRA		0x80000000UL
#define EXTRA_PAGES	32UL
#define CODE		0x8000UL
#define SMBASE		0x30000UL	/* after reset; the handler is at + 0x8000 */
#define VIDEO		0xa0000UL	/* memory of a device on every PC */

/* next: movb $1, (%rdi); add $4096, %rdi; dec %rsi; jnz next; out %al, $0x10 */
static const uint8_t touch[] = {
	0xc6, 0x07, 0x01, 0x48, 0x81, 0xc7, 0x00, 0x10, 0x00, 0x00, 0x48, 0xff, 0xce,
	0x75, 0xf1, 0xe6, 0x10,
};

/* In real mode: out %al, $0x11; rsm */
static const uint8_t handler[] = { 0xe6, 0x11, 0x0f, 0xaa };

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
	memcpy(base + SMBASE + 0x8000, handler, sizeof(handler));
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
static void run_to(unsigned int n, unsigned int port)
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

static void touch_pages(unsigned int n, uint64_t gpa, unsigned long pages)
{
	/* Interrupts on, or some emulators never let go of a loop. */
	struct kvm_regs regs = { .rip = CODE, .rflags = 0x202, .rdi = gpa, .rsi = pages };

	if (ioctl(vcpus[n], KVM_SET_REGS, &regs))
		die("KVM_SET_REGS");
	run_to(n, 0x10);
}

static void enter_smm(void)
{
	struct kvm_regs regs = { .rip = CODE, .rflags = 0x202, .rdi = DATA, .rsi = DATA_PAGES };

	if (ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_X86_SMM) <= 0)
		exit(EXIT_LACKING);
	/* SMM sees the memory in an address space of its own. */
	set_slot(1 << 16, BASE, base, BASE_PAGES);
	if (ioctl(vcpus[0], KVM_SMI) || ioctl(vcpus[0], KVM_SET_REGS, &regs))
		die("KVM_SMI");
	run_to(0, 0x11);
	run_to(0, 0x10);
}

static void add_device(void)
{
	int fd = open("/dev/mem", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("/dev/mem");
	set_slot(2, EXTRA, map(EXTRA_PAGES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, VIDEO),
		 EXTRA_PAGES);
}

static void add_memfd(void)
{
	struct kvm_create_guest_memfd file = {
		.size = EXTRA_PAGES * PAGE, .flags = MEMFD_MMAP | MEMFD_INIT_SHARED,
	};
	struct kvm_userspace_memory_region2 slot = {
		.slot = 2, .flags = KVM_MEM_GUEST_MEMFD, .guest_phys_addr = EXTRA,
		.memory_size = EXTRA_PAGES * PAGE,
	};
	int fd = ioctl(vm, KVM_CREATE_GUEST_MEMFD, &file);

	if (fd < 0)
		exit(EXIT_LACKING);
	slot.guest_memfd = fd;
	slot.userspace_addr = (uintptr_t)map(EXTRA_PAGES, PROT_READ | PROT_WRITE, MAP_SHARED,
					     fd, 0);
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION2, &slot))
		die("KVM_SET_USER_MEMORY_REGION2");
	touch_pages(0, EXTRA, EXTRA_PAGES / 2);
}

static void delete_slot(void)
{
	set_slot(2, EXTRA, memory(EXTRA_PAGES), EXTRA_PAGES);
	touch_pages(0, DATA, DATA_PAGES);
	touch_pages(1, DATA, DATA_PAGES);
	set_slot(2, EXTRA, NULL, 0);
}

static void print_slot(unsigned int id, uint64_t gpa, const void *hva, unsigned long pages)
{
	printf("slot id=%d-%d slot=%u gpa=0x%lx hva=%lx bytes=%lx\n", getpid(), vm, id,
	       (unsigned long)gpa, (unsigned long)hva, pages * PAGE);
}

/* The vCPUs run in this thread, one after the other. */
static void run_guest(const char *what)
{
	if (!strcmp(what, "device"))
		add_device();
	if (!strcmp(what, "obsolete") || !strcmp(what, "idle"))
		delete_slot();
	if (!strcmp(what, "obsolete"))
		touch_pages(1, DATA, DATA_PAGES);
	else if (strcmp(what, "idle"))
		touch_pages(0, DATA, DATA_PAGES);
	if (!strcmp(what, "smm"))
		enter_smm();
	if (!strcmp(what, "memfd"))
		add_memfd();
}

int main(int argc, char **argv)
{
	char text[32];

	if (argc != 3)
		return 2;
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		die("/dev/kvm");
	ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000UL);
	base = memory(BASE_PAGES);
	data = memory(DATA_PAGES);
	fill_base();
	set_slot(0, BASE, base, BASE_PAGES);
	set_slot(1, DATA, data, DATA_PAGES);
	make_vcpu(0);
	make_vcpu(1);
	print_slot(0, BASE, base, BASE_PAGES);
	print_slot(1, DATA, data, DATA_PAGES);
	fflush(stdout);
	run_guest(argv[1]);

	snprintf(text, sizeof(text), "%d", getpid());
	setenv("KVMGUEST_PID", text, 1);
	snprintf(text, sizeof(text), "%d-%d", getpid(), vm);
	setenv("KVMGUEST_ID", text, 1);
	return system(argv[2]) ? 1 : 0;
}
