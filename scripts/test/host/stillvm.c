// SPDX-License-Identifier: GPL-2.0
/*
 * stillvm COMMAND - a VM that never runs, with memory that is not there.
 *
 * Its vCPU has 64-bit paging on, and its first table at TOP. That one's entries lead to a
 * table that nobody has touched, and to where no memory is. Slots, by their addresses:
 *
 *	0		the tables
 *	0x40000000	a page of the kernel's, as devices' are mapped
 *	0x50000000	16 pages, a private mapping of a file in memory; the file's pages
 *			are swapped out, and the first one was copied before
 *
 * Then sh -c COMMAND, with KVMGUEST_ID.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/kvm.h>

#define PAGE	4096UL
#define TABLES	(16 * PAGE)
#define TOP	0x1000UL
#define AWAY	0x2000UL
#define NOWHERE	0xf0000000UL
#define FILLED	(16 * PAGE)

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif

static int kvm, vm;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void set_slot(unsigned int slot, uint64_t gpa, void *hva, unsigned long size)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot, .guest_phys_addr = gpa, .memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region))
		die("KVM_SET_USER_MEMORY_REGION");
}

/* The kernel maps a page of its data into each process so. */
static void *device(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long start = 0;
	char line[256];

	while (maps && !start && fgets(line, sizeof(line), maps))
		if (strstr(line, "[vvar]"))
			start = strtoul(line, NULL, 16);
	if (!start)
		die("[vvar]");
	fclose(maps);
	return (void *)start;
}

static void *swapped(void)
{
	int file = memfd_create("stillvm", MFD_CLOEXEC);
	uint8_t *shared, *own;

	if (file < 0 || ftruncate(file, FILLED))
		die("memfd_create");
	shared = mmap(NULL, FILLED, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	own = mmap(NULL, FILLED, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	if (shared == MAP_FAILED || own == MAP_FAILED)
		die("mmap");
	memset(shared, 1, FILLED);
	own[0] = 2;
	if (madvise(shared, FILLED, MADV_PAGEOUT))
		die("MADV_PAGEOUT");
	return own;
}

static void make_vcpu(void)
{
	int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entry[256];
	} cpuid = { .head.nent = 256 };
	struct kvm_sregs sregs;

	if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid) || ioctl(vcpu, KVM_SET_CPUID2, &cpuid))
		die("KVM_SET_CPUID2");
	if (ioctl(vcpu, KVM_GET_SREGS, &sregs))
		die("KVM_CREATE_VCPU");
	sregs.cr0 |= 0x80000001;	/* PG, PE */
	sregs.cr3 = TOP;
	sregs.cr4 |= 0x20;		/* PAE */
	sregs.efer |= 0x500;		/* LME, LMA */
	sregs.cs.l = 1;
	sregs.cs.db = 0;
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs))
		die("KVM_SET_SREGS");
}

int main(int argc, char **argv)
{
	uint8_t *tables;
	char id[32];

	if (argc != 2)
		return 2;
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	tables = mmap(NULL, TABLES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm < 0 || tables == MAP_FAILED)
		die("/dev/kvm");
	madvise(tables, TABLES, MADV_NOHUGEPAGE);
	((uint64_t *)(tables + TOP))[0] = AWAY | 7;
	((uint64_t *)(tables + TOP))[1] = NOWHERE | 7;
	set_slot(0, 0, tables, TABLES);
	set_slot(1, 0x40000000, device(), PAGE);
	set_slot(2, 0x50000000, swapped(), FILLED);
	make_vcpu();
	snprintf(id, sizeof(id), "%d-%d", getpid(), vm);
	setenv("KVMGUEST_ID", id, 1);
	return system(argv[1]) ? 1 : 0;
}
