/* SPDX-License-Identifier: GPL-2.0 */
/* The making of xlateguest's guest; it is one program of one file. */
#ifndef XLATEMAKE_H
#define XLATEMAKE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/kvm.h>

#include "xlateguest.h"

/*
 * The same in 32-bit and in 64-bit code, below 4G:
 * next: movb $1, (%edi); add %edx, %edi; dec %esi; jnz next; done: out %al, $0x10; jmp done
 * halt: hlt; jmp halt
 */
static const uint8_t code[] = {
	0xc6, 0x07, 0x01, 0x01, 0xd7, 0xff, 0xce, 0x75, 0xf7, 0xe6, 0x10, 0xeb, 0xfc,
	0xf4, 0xeb, 0xfd,
};

static uint64_t seed = 88172645463325252ULL;

void die(const char *what)
{
	fflush(stdout);
	perror(what);
	exit(1);
}

void lacking(const char *what)
{
	fprintf(stderr, "xlateguest: %s\n", what);
	exit(EXIT_LACKING);
}

uint64_t random_below(uint64_t limit)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return limit ? (seed >> 11) % limit : 0;
}

static uint8_t *map_memory(uint64_t bytes, uint64_t page)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	uint8_t *at;

	if (page == GB) {
		at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (30 << 26), -1, 0);
		if (at == MAP_FAILED)
			lacking("the host has no free pages of 1G");
		return at;
	}
	at = mmap(NULL, bytes + 2 * MB, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (at == MAP_FAILED)
		die("mmap");
	at = (uint8_t *)(((uintptr_t)at + 2 * MB - 1) & ~(2 * MB - 1));
	madvise(at, bytes, page == PAGE ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
	return at;
}

static void set_slot(struct guest *guest, unsigned int id, uint64_t gpa, void *hva,
		     uint64_t bytes, unsigned int flags)
{
	struct kvm_userspace_memory_region slot = {
		.slot = id, .guest_phys_addr = gpa, .memory_size = bytes,
		.userspace_addr = (uintptr_t)hva, .flags = flags,
	};

	if (ioctl(guest->vm, KVM_SET_USER_MEMORY_REGION, &slot))
		die("KVM_SET_USER_MEMORY_REGION");
}

static unsigned int levels(enum mode mode)
{
	return (const unsigned int[]){ 0, 2, 3, 4, 5 }[mode];
}

static unsigned int shift(enum mode mode, unsigned int level)
{
	return 12 + (mode == MODE_32 ? 10 : 9) * (level - 1);
}

static uint64_t new_table(struct guest *guest)
{
	uint64_t at = guest->next_table;

	guest->next_table += PAGE;
	if (guest->next_table > CTL + CTL_BYTES)
		die("no room for tables");
	return at;
}

static uint64_t get_entry(struct guest *guest, uint64_t at)
{
	return guest->mode == MODE_32 ? *(uint32_t *)(guest->ctl + at) :
					*(uint64_t *)(guest->ctl + at);
}

static void set_entry(struct guest *guest, uint64_t at, uint64_t entry)
{
	if (guest->mode == MODE_32)
		*(uint32_t *)(guest->ctl + at) = entry;
	else
		*(uint64_t *)(guest->ctl + at) = entry;
}

static uint64_t cr3_of(const struct guest *guest)
{
	return guest->mode == MODE_NONE ? 0 : 0x2000;
}

/* Map a page of the guest's, of a size that the mode has. */
static void map_page(struct guest *guest, uint64_t gva, uint64_t gpa, uint64_t size)
{
	unsigned int level = levels(guest->mode);
	uint64_t table = cr3_of(guest), at, entry;

	for (;; level--) {
		unsigned int bits = shift(guest->mode, level);
		unsigned int index = gva >> bits & (guest->mode == MODE_32 ? 1023 : 511);

		at = table + index * (guest->mode == MODE_32 ? 4 : 8);
		if (1ULL << bits <= size)
			break;
		entry = get_entry(guest, at);
		if (!(entry & 1)) {
			entry = new_table(guest) |
				(guest->mode == MODE_PAE && level == 3 ? 1 : 7);
			set_entry(guest, at, entry);
		}
		table = entry & 0xffffffffff000ULL;
	}
	entry = gpa | 7 | (level > 1 ? 0x80 : 0);
	if (guest->mode > MODE_32 && gva != CODE && !random_below(4))
		entry |= 1ULL << 63;
	set_entry(guest, at, entry);
}

/* Two addresses of memory: one that the code can reach, and one far away. */
static uint64_t high_of(const struct guest *guest)
{
	return guest->mode == MODE_5 ? HIGH5 : HIGH;
}

/* One that maps a gigabyte by pages of 4K has tables enough. */
static bool has_high(const struct guest *guest)
{
	return guest->mode > MODE_PAE && (guest->guest_page > PAGE || guest->bytes < GB);
}

static void make_tables(struct guest *guest)
{
	uint64_t i, j, other;

	guest->next_table = 0x3000;
	guest->pages = guest->bytes / guest->guest_page;
	guest->touched = calloc(guest->bytes / PAGE, sizeof(*guest->touched));
	guest->leads = calloc(guest->pages, sizeof(*guest->leads));
	if (!guest->leads || !guest->touched)
		die("calloc");
	for (i = 0; i < guest->pages; i++)
		guest->leads[i] = DATA + i * guest->guest_page;
	for (i = guest->pages - 1; i > 0 && guest->mode != MODE_NONE; i--) {
		j = random_below(i + 1);
		other = guest->leads[i];
		guest->leads[i] = guest->leads[j];
		guest->leads[j] = other;
	}
	if (guest->mode == MODE_NONE)
		return;
	map_page(guest, CODE, CODE, PAGE);
	for (i = 0; i < guest->pages; i++) {
		if (guest->pages > 8 && i % 8 == 7) {
			guest->leads[i] = UNMAPPED;
			continue;
		}
		map_page(guest, LOW + i * guest->guest_page, guest->leads[i], guest->guest_page);
		if (has_high(guest))
			map_page(guest, high_of(guest) + i * guest->guest_page, guest->leads[i],
				 guest->guest_page);
	}
}

static void set_registers(struct guest *guest)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[120];
	} cpuid = { .head.nent = 120 };
	struct kvm_segment seg = {
		.limit = 0xffffffff, .present = 1, .s = 1, .g = 1, .type = 3, .selector = 16, .db = 1,
	};
	struct kvm_sregs sregs;
	bool la57 = false;
	unsigned int i;

	if (ioctl(guest->kvm, KVM_GET_SUPPORTED_CPUID, &cpuid))
		die("KVM_GET_SUPPORTED_CPUID");
	for (i = 0; i < cpuid.head.nent; i++)
		if (cpuid.entries[i].function == 7 && !cpuid.entries[i].index)
			la57 = cpuid.entries[i].ecx & (1U << 16);
	if (guest->mode == MODE_5 && !la57)
		lacking("the processor has no 5 levels for guests");
	if (ioctl(guest->vcpu, KVM_SET_CPUID2, &cpuid) ||
	    ioctl(guest->vcpu, KVM_GET_SREGS, &sregs))
		die("KVM_SET_CPUID2");
	sregs.cr0 = 0x33 | (guest->mode == MODE_NONE ? 0 : 1UL << 31);
	sregs.cr3 = cr3_of(guest);
	sregs.cr4 = guest->mode == MODE_32 ? 0x10 : guest->mode == MODE_NONE ? 0 : 0x20;
	sregs.efer = guest->mode > MODE_32 ? 1 << 11 : 0;
	if (guest->mode > MODE_PAE)
		sregs.efer |= 0x500;
	if (guest->mode == MODE_5)
		sregs.cr4 |= 1 << 12;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = seg;
	seg.type = 11;
	seg.l = guest->mode > MODE_PAE;
	seg.db = !seg.l;
	seg.selector = 8;
	sregs.cs = seg;
	if (ioctl(guest->vcpu, KVM_SET_SREGS, &sregs))
		die("KVM_SET_SREGS");
}

void run_guest(struct guest *guest)
{
	do {
		if (ioctl(guest->vcpu, KVM_RUN, 0))
			die("KVM_RUN");
		if (guest->run->exit_reason != KVM_EXIT_IO) {
			fprintf(stderr, "exit %u\n", guest->run->exit_reason);
			exit(1);
		}
	} while (guest->run->io.port != 0x10);
}

void touch_guest(struct guest *guest, uint64_t gva, uint64_t pages, uint64_t stride)
{
	struct kvm_regs regs = {
		.rip = CODE, .rflags = 0x202, .rdi = gva, .rsi = pages, .rdx = stride,
	};

	if (ioctl(guest->vcpu, KVM_SET_REGS, &regs))
		die("KVM_SET_REGS");
	run_guest(guest);
}

void make_guest(struct guest *guest)
{
	char text[32];

	guest->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	guest->vm = guest->kvm < 0 ? -1 : ioctl(guest->kvm, KVM_CREATE_VM, 0);
	if (guest->vm < 0)
		die("/dev/kvm");
	ioctl(guest->vm, KVM_SET_TSS_ADDR, 0xfffbd000UL);
	guest->ctl = map_memory(CTL_BYTES, PAGE);
	guest->rom = map_memory(ROM_BYTES, PAGE);
	guest->data = map_memory(guest->bytes, guest->host_page);
	memcpy(guest->ctl + CODE, code, sizeof(code));
	make_tables(guest);
	set_slot(guest, 0, CTL, guest->ctl, CTL_BYTES, 0);
	set_slot(guest, 1, ROM, guest->rom, ROM_BYTES, KVM_MEM_READONLY);
	set_slot(guest, 2, DATA, guest->data, guest->bytes,
		 guest->log_dirty ? KVM_MEM_LOG_DIRTY_PAGES : 0);
	if (guest->halts && ioctl(guest->vm, KVM_CREATE_IRQCHIP))
		die("KVM_CREATE_IRQCHIP");
	guest->vcpu = ioctl(guest->vm, KVM_CREATE_VCPU, 0);
	if (guest->vcpu < 0)
		die("KVM_CREATE_VCPU");
	guest->run = mmap(NULL, ioctl(guest->kvm, KVM_GET_VCPU_MMAP_SIZE, 0),
			  PROT_READ | PROT_WRITE, MAP_SHARED, guest->vcpu, 0);
	if (guest->run == MAP_FAILED)
		die("mmap of the vCPU");
	set_registers(guest);
	snprintf(text, sizeof(text), "%d-%d", getpid(), guest->vm);
	setenv("KVMGUEST_ID", text, 1);
	printf("guest id=%s\n", text);
	fflush(stdout);
}

#endif
