// SPDX-License-Identifier: GPL-2.0
/*
 * memguest WHAT COMMAND [BEFORE] - a VM whose memory is of a kind that kvmguest's is not.
 *
 *	device		a second slot over a device's memory, which nobody touches
 *	obsolete	a slot is deleted, then vCPU 1 runs and vCPU 0 does not
 *	idle		a slot is deleted, then nobody runs
 *	fresh		nobody has run yet
 *	smm		the vCPU has been in SMM, which has tables of its own
 *	memfd		a second slot over a guest_memfd, of which half is touched
 *	second		a second slot of huge pages, which are dropped; then the process makes
 *			another VM
 *	dropped		a second slot of huge pages, which are dropped after sh -c BEFORE
 *	prefault	a second slot of huge pages, which KVM is asked to map; nobody has run yet
 *
 * Then sh -c COMMAND, with KVMGUEST_ID and KVMGUEST_PID as from kvmguest. Exit
 * status 77: the machine lacks what it takes.
 */
#include <errno.h>

#include "smallvm.h"

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
#ifndef KVM_PRE_FAULT_MEMORY
#define KVM_PRE_FAULT_MEMORY	_IOWR(KVMIO, 0xd5, struct kvm_pre_fault_memory)

struct kvm_pre_fault_memory {
	uint64_t gpa;
	uint64_t size;
	uint64_t flags;
	uint64_t padding[5];
};
#endif

#define MEMFD_MMAP		(1UL << 0)	/* GUEST_MEMFD_FLAG_MMAP */
#define MEMFD_INIT_SHARED	(1UL << 1)	/* GUEST_MEMFD_FLAG_INIT_SHARED */

#define EXTRA		0x80000000UL
#define EXTRA_PAGES	32UL
#define HUGE_PAGES	(4 * 512UL)
#define SMBASE		0x30000UL	/* after reset; the handler is at + 0x8000 */
#define VIDEO		0xa0000UL	/* memory of a device on every PC */

/* In real mode: out %al, $0x11; rsm */
static const uint8_t handler[] = { 0xe6, 0x11, 0x0f, 0xaa };

static void enter_smm(void)
{
	struct kvm_regs regs = { .rip = CODE, .rflags = 0x202, .rdi = DATA, .rsi = DATA_PAGES };
	struct kvm_sregs sregs;

	if (ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_X86_SMM) <= 0)
		exit(EXIT_LACKING);
	if (ioctl(vcpus[0], KVM_GET_SREGS, &sregs))
		die("KVM_GET_SREGS");
	sregs.cr4 |= 0x80;	/* PGE, which is off in SMM */
	if (ioctl(vcpus[0], KVM_SET_SREGS, &sregs))
		die("KVM_SET_SREGS");
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

static uint8_t *add_huge(void)
{
	uint8_t *there = map(2 * HUGE_PAGES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);

	there += -(uintptr_t)there % (512 * PAGE);
	madvise(there, HUGE_PAGES * PAGE, MADV_HUGEPAGE);
	memset(there, 1, HUGE_PAGES * PAGE);
	set_slot(2, EXTRA, there, HUGE_PAGES);
	return there;
}

static void drop_huge(const char *before)
{
	uint8_t *there = add_huge();

	touch_pages(0, EXTRA, HUGE_PAGES);
	if (before && system(before))
		exit(1);
	if (madvise(there, HUGE_PAGES * PAGE, MADV_DONTNEED))
		die("MADV_DONTNEED");
}

static void make_second(void)
{
	drop_huge(NULL);
	if (ioctl(kvm, KVM_CREATE_VM, 0) < 0)
		die("KVM_CREATE_VM");
}

static void fault_beforehand(void)
{
	struct kvm_pre_fault_memory range = { .gpa = EXTRA, .size = HUGE_PAGES * PAGE };

	add_huge();
	while (range.size)
		if (ioctl(vcpus[0], KVM_PRE_FAULT_MEMORY, &range) && errno != EINTR &&
		    errno != EAGAIN)
			die("KVM_PRE_FAULT_MEMORY");
}

static void delete_slot(void)
{
	set_slot(2, EXTRA, memory(EXTRA_PAGES), EXTRA_PAGES);
	touch_pages(0, DATA, DATA_PAGES);
	touch_pages(1, DATA, DATA_PAGES);
	set_slot(2, EXTRA, NULL, 0);
}

/* The vCPUs run in this thread, one after the other. */
static void run_guest(const char *what, const char *before)
{
	if (!strcmp(what, "device"))
		add_device();
	if (!strcmp(what, "obsolete") || !strcmp(what, "idle"))
		delete_slot();
	if (!strcmp(what, "obsolete"))
		touch_pages(1, DATA, DATA_PAGES);
	else if (!strcmp(what, "prefault"))
		fault_beforehand();
	else if (!strcmp(what, "second"))
		make_second();
	else if (!strcmp(what, "dropped"))
		drop_huge(before);
	else if (strcmp(what, "idle") && strcmp(what, "fresh"))
		touch_pages(0, DATA, DATA_PAGES);
	if (!strcmp(what, "smm"))
		enter_smm();
	if (!strcmp(what, "memfd"))
		add_memfd();
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	make_vm(2, 0);
	memcpy(base + SMBASE + 0x8000, handler, sizeof(handler));
	run_guest(argv[1], argv[3]);
	return system(argv[2]) ? 1 : 0;
}
