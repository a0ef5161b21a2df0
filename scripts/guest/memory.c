// SPDX-License-Identifier: GPL-2.0
/* The host's memory behind the guest's slots. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif

static const uint32_t stub = 0xe3ff;	/* jmp *%rbx, two NULs */

static bool is_hugetlb(const struct options *opt)
{
	return opt->backing == BACK_HUGETLB || opt->backing == BACK_HUGETLB_1G ||
	       opt->backing == BACK_MEMFD_HUGETLB;
}

/* Reserve address space, so that the mapping proper can be aligned: to 2M, or 1G. */
static uint8_t *reserve(struct slot *slot, uint64_t size)
{
	uint64_t unit = size % GIGA ? HUGE : GIGA;

	slot->map_len = size + unit;
	slot->map = mmap(NULL, slot->map_len, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (slot->map == MAP_FAILED)
		die_errno("mmap");
	return (uint8_t *)ROUND_UP((uintptr_t)slot->map, unit);
}

static void map_data(const struct options *opt, struct slot *slot,
		     unsigned int index)
{
	int flags = MAP_FIXED, advice, ret;
	off_t offset = 0;
	uint8_t *want = reserve(slot, slot->size);

	slot->fd = -1;
	switch (opt->backing) {
	case BACK_ANON:
		flags |= MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
		break;
	case BACK_SHMEM:
		flags |= MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE;
		break;
	case BACK_HUGETLB_1G:
		flags |= 30 << MAP_HUGE_SHIFT;
		/* fall through */
	case BACK_HUGETLB:
		flags |= MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB;
		break;
	case BACK_MEMFD:
	case BACK_MEMFD_HUGETLB:
		flags |= MAP_SHARED;
		slot->fd = memfd_create("kvmguest",
					is_hugetlb(opt) ? MFD_HUGETLB : 0);
		break;
	case BACK_FILE:
		flags |= MAP_SHARED;
		offset = index * slot->size;
		slot->fd = open(opt->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		break;
	}
	if (flags & MAP_ANONYMOUS)
		;
	else if (slot->fd < 0)
		die_errno(opt->path ? opt->path : "memfd_create");
	else if (ftruncate(slot->fd, offset + slot->size))
		die_errno("ftruncate");

	slot->hva = mmap(want, slot->size, PROT_READ | PROT_WRITE, flags,
			 slot->fd, offset);
	if (slot->hva == MAP_FAILED && is_hugetlb(opt))
		die(EXIT_LACKING, "no free hugetlb pages: see /proc/sys/vm/nr_hugepages");
	if (slot->hva == MAP_FAILED)
		die_errno("mmap");
	if (is_hugetlb(opt))
		return;
	advice = opt->huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE;
	ret = madvise(slot->hva, slot->size, advice);
	if (ret && opt->huge)
		die(EXIT_LACKING, "the kernel has no transparent huge pages");
}

/* Small pages, in memory. */
static void map_own(struct slot *slot, uint64_t gpa, uint64_t size)
{
	slot->gpa = gpa;
	slot->size = size;
	slot->fd = -1;
	slot->hva = mmap(reserve(slot, size), size, PROT_READ | PROT_WRITE,
			 MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (slot->hva == MAP_FAILED)
		die_errno("mmap");
	madvise(slot->hva, size, MADV_NOHUGEPAGE);
	memset(slot->hva, 0, size);
}

void map_slots(struct vm *vm)
{
	const struct options *opt = vm->opt;
	uint64_t unit = opt->huge ? HUGE : PAGE;
	uint64_t gpa = opt->flat ? DATA_GPA_FLAT : DATA_GPA_LONG;
	unsigned long pages = opt->pages / opt->slots;
	uint64_t need = ROUND_UP(pages * opt->stride * PAGE, unit);
	uint64_t size = opt->slot_mb ? opt->slot_mb << 20 : need;
	unsigned int i;

	if (size < need)
		die(EXIT_USAGE, "--slot-mb %lu is too small for %lu pages",
		    opt->slot_mb, pages * opt->stride);
	if (!size)
		size = unit;
	if (is_hugetlb(opt))
		size = ROUND_UP(size, opt->backing == BACK_HUGETLB_1G ? GIGA : HUGE);
	vm->data = calloc(opt->slots, sizeof(*vm->data));
	if (!vm->data)
		die_errno("calloc");
	for (i = 0; i < opt->slots; i++) {
		struct slot *slot = &vm->data[i];

		slot->id = i + 1;
		slot->flags = opt->readonly ? KVM_MEM_READONLY : 0;
		slot->gpa = gpa + (opt->misalign ? PAGE : 0);
		slot->size = size;
		slot->pages = pages;
		map_data(opt, slot, i);
		gpa = ROUND_UP(slot->gpa + size, HUGE);
	}
	if (opt->alias) {
		vm->alias = vm->data[0];
		vm->alias.id = opt->slots + 1;
		vm->alias.gpa = gpa + vm->alias.gpa % HUGE;
	}
	if (opt->display) {
		gpa = ROUND_UP(gpa + opt->alias * vm->data[0].size, HUGE) + HUGE;
		map_own(&vm->display, gpa, HUGE / 2);
		vm->display.id = opt->slots + 1 + opt->alias;
		vm->display.flags = KVM_MEM_LOG_DIRTY_PAGES;
		gpa += HUGE;
	}
	if (opt->flat && gpa > MMIO_GPA)
		die(EXIT_USAGE, "--mode flat: the slots do not fit below 4G");

	/* The VMM's own part: code and page tables, small pages, in memory. */
	map_own(&vm->ctl, CTL_GPA, vm->ctl_pages * PAGE);
}

static void set_region(struct vm *vm, const struct slot *slot, uint64_t size)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot->id,
		.flags = slot->flags,
		.guest_phys_addr = slot->gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)slot->hva,
	};

	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region))
		die_errno("KVM_SET_USER_MEMORY_REGION");
}

void register_slots(struct vm *vm)
{
	unsigned int i;

	if (vm->ctl.gpa + vm->ctl.size >
	    (vm->opt->flat ? DATA_GPA_FLAT : MMIO_GPA))
		die(EXIT_USAGE, "the guest's page tables do not fit below 4G");
	if (vm->opt->readonly &&
	    ioctl(vm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_READONLY_MEM) <= 0)
		die(EXIT_LACKING, "KVM has no read-only slots here");
	set_region(vm, &vm->ctl, vm->ctl.size);
	for (i = 0; i < vm->opt->slots; i++)
		set_region(vm, &vm->data[i], vm->data[i].size);
	if (vm->opt->alias)
		set_region(vm, &vm->alias, vm->alias.size);
	if (vm->opt->display)
		set_region(vm, &vm->display, vm->display.size);
}

static void print_slot(const struct vm *vm, const struct slot *slot)
{
	printf("slot id=%s slot=%u gpa=0x%lx hva=%lx bytes=%lx\n", vm->id, slot->id,
	       (unsigned long)slot->gpa, (unsigned long)slot->hva,
	       (unsigned long)slot->size);
}

void print_slots(const struct vm *vm)
{
	unsigned int i;

	print_slot(vm, &vm->ctl);
	for (i = 0; i < vm->opt->slots; i++)
		print_slot(vm, &vm->data[i]);
	if (vm->opt->alias)
		print_slot(vm, &vm->alias);
	if (vm->opt->display)
		print_slot(vm, &vm->display);
}

void set_dirty_log(struct vm *vm, bool on)
{
	unsigned int i;

	for (i = 0; i < vm->opt->slots; i++) {
		vm->data[i].flags = on ? KVM_MEM_LOG_DIRTY_PAGES : 0;
		set_region(vm, &vm->data[i], vm->data[i].size);
	}
}

/* KVM changes its slots once more; nobody touches this one. */
void toggle_display(struct vm *vm)
{
	vm->display.flags ^= KVM_MEM_LOG_DIRTY_PAGES;
	set_region(vm, &vm->display, vm->display.size);
}

/* A device has gone from where --mmio reads, and memory is there. */
void plug_memory(struct vm *vm)
{
	map_own(&vm->plugged, MMIO_GPA, vm->opt->mmio_pages * PAGE);
	vm->plugged.id = vm->opt->slots + 1 + vm->opt->alias + vm->opt->display;
	set_region(vm, &vm->plugged, vm->plugged.size);
}

/* As virtio does for its doorbells: of any length, so that KVM need not look. */
void set_eventfds(struct vm *vm)
{
	struct kvm_ioeventfd event = { .addr = MMIO_GPA };
	unsigned long i;

	if (ioctl(vm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_IOEVENTFD_ANY_LENGTH) <= 0)
		die(EXIT_LACKING, "KVM has no eventfds for writes of any length");
	event.fd = eventfd(0, EFD_CLOEXEC);
	if (event.fd < 0)
		die_errno("eventfd");
	for (i = 0; i < vm->opt->mmio_pages; i++, event.addr += PAGE)
		if (ioctl(vm->fd, KVM_IOEVENTFD, &event))
			die_errno("KVM_IOEVENTFD");
}

static void unmap_slot(struct slot *slot)
{
	munmap(slot->map, slot->map_len);
	if (slot->fd >= 0)
		close(slot->fd);
}

void unmap_slots(struct vm *vm)
{
	unsigned int i;

	for (i = 0; i < vm->opt->slots; i++)
		unmap_slot(&vm->data[i]);
	unmap_slot(&vm->ctl);
	free(vm->data);
}

static void advise(struct vm *vm, int advice, const char *what)
{
	unsigned int i;

	for (i = 0; i < vm->opt->slots; i++)
		if (madvise(vm->data[i].hva, vm->data[i].size, advice))
			die_errno(what);
}

void drop_memory(struct vm *vm)
{
	advise(vm, MADV_DONTNEED, "MADV_DONTNEED");
}

/* Before 5.18 the kernel refuses this for hugetlb pages. */
void check_drop(struct vm *vm)
{
	if (is_hugetlb(vm->opt) && (vm->opt->drop || vm->opt->drop_thread) &&
	    madvise(vm->data[0].hva, vm->data[0].size, MADV_DONTNEED))
		die(EXIT_LACKING, "the kernel cannot drop hugetlb pages");
}

void advise_memory(struct vm *vm)
{
	advise(vm, vm->opt->advice, "--advise");
	/* What the guest has touched is kept once, and only looked at anew. */
	if (vm->opt->advice == MADV_PAGEOUT)
		advise(vm, vm->opt->advice, "--advise");
}

void punch_memory(struct vm *vm)
{
	uint64_t step = vm->opt->punch * PAGE, at;
	unsigned int i;

	for (i = 0; i < vm->opt->slots; i++)
		for (at = 0; at < vm->data[i].size; at += step)
			if (madvise(vm->data[i].hva + at, PAGE, MADV_DONTNEED))
				die_errno("--punch");
}

/* Is a page executed before the guest itself has written the stub to it? */
bool needs_prefault(const struct options *opt)
{
	unsigned int i;

	for (i = 0; i < opt->nr_access; i++) {
		if (opt->access[i] == ACC_WRITE && !opt->readonly)
			break;
		if (opt->access[i] == ACC_EXEC)
			return true;
	}
	return opt->prefault;
}

void prefault_memory(struct vm *vm)
{
	unsigned long stride = vm->opt->stride, page;
	unsigned int i;

	for (i = 0; i < vm->opt->slots; i++)
		for (page = 0; page < vm->data[i].pages; page++)
			memcpy(vm->data[i].hva + page * stride * PAGE, &stub,
			       sizeof(stub));
}

uint64_t page_gpa(const struct vm *vm, unsigned long index)
{
	unsigned long per_slot = vm->opt->pages / vm->opt->slots;
	const struct slot *slot = &vm->data[index / per_slot];

	return slot->gpa + index % per_slot * vm->opt->stride * PAGE;
}

/*
 * The expectations took for granted that the host has huge pages to give.
 * Say so if it had not, rather than let a number be wrong.
 */
void check_huge(struct vm *vm)
{
	unsigned long kb, have = 0, want = 0, span;
	char line[256];
	unsigned int i;
	FILE *f;

	if (!vm->opt->huge || is_hugetlb(vm->opt) || !vm->opt->pages)
		return;
	if (!needs_prefault(vm->opt) &&
	    (vm->opt->access[0] != ACC_WRITE || vm->opt->readonly))
		return;
	for (i = 0; i < vm->opt->slots; i++) {
		span = vm->data[i].pages * vm->opt->stride;
		if (vm->opt->stride < HUGE_PAGES)
			want += ROUND_UP(span, HUGE_PAGES) * 4;
		else
			want += vm->data[i].pages * HUGE_PAGES * 4;
	}
	want *= vm->opt->vms;
	f = fopen("/proc/self/smaps", "r");
	if (!f)
		die_errno("/proc/self/smaps");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "AnonHugePages: %lu", &kb) == 1 ||
		    sscanf(line, "ShmemPmdMapped: %lu", &kb) == 1 ||
		    sscanf(line, "FilePmdMapped: %lu", &kb) == 1)
			have += kb;
	fclose(f);
	if (have < want)
		die(1, "the host gave huge pages for %lu of %lu kB (see transparent_hugepage/enabled, shmem_enabled)",
		    have, want);
}
