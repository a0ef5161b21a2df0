// SPDX-License-Identifier: GPL-2.0
/* A small guest. What it counts does not matter, that it never rests does. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "storm.h"
#include "vm.h"

#define DATA_SLOT	1
#define CODE_SIZE	(4 * PAGE)

/* 32-bit, without paging; esi and ecx are set at the start of each round. */
static const uint8_t code[] = {
	0xff, 0x06,					/* 1: incl (%esi) */
	0x81, 0xc6, 0x00, 0x10, 0x00, 0x00,		/* add $4096, %esi */
	0x49,						/* dec %ecx */
	0x75, 0xf5,					/* jnz 1b */
	0xe6, 0x10,					/* out %al, $0x10 */
};

bool vm_open(struct vm *vm)
{
	memset(vm, 0, sizeof(*vm));
	vm->vcpu = -1;
	vm->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	vm->fd = vm->kvm < 0 ? -1 : ioctl(vm->kvm, KVM_CREATE_VM, 0);
	if (vm->fd >= 0)
		return true;
	vm_close(vm);
	return false;
}

void vm_close(struct vm *vm)
{
	if (vm->run)
		munmap(vm->run, PAGE);
	if (vm->vcpu >= 0)
		close(vm->vcpu);
	if (vm->fd >= 0)
		close(vm->fd);
	if (vm->kvm >= 0)
		close(vm->kvm);
	if (vm->memory)
		munmap(vm->memory, vm->size);
	vm->memory = NULL;
}

static bool set_region(struct vm *vm, uint32_t slot, uint64_t gpa, void *memory, size_t size,
		       uint32_t flags)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot, .flags = flags, .guest_phys_addr = gpa,
		.memory_size = size, .userspace_addr = (uintptr_t)memory,
	};

	return !ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region);
}

bool vm_set_slot(struct vm *vm, bool there, uint32_t flags)
{
	return set_region(vm, DATA_SLOT, DATA_GPA, vm->memory, there ? vm->size : 0, flags);
}

bool vm_add_memory(struct vm *vm, size_t size)
{
	uintptr_t at;
	uint8_t *all;

	all = mmap(NULL, size + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		   -1, 0);
	if (all == MAP_FAILED)
		return false;
	at = ((uintptr_t)all + HUGE - 1) & ~(HUGE - 1);
	munmap(all, at - (uintptr_t)all);
	munmap((void *)(at + size), (uintptr_t)all + HUGE - at);
	vm->memory = (uint8_t *)at;
	vm->size = size;
	return vm_set_slot(vm, true, 0);
}

bool vm_add_vcpu(struct vm *vm)
{
	vm->vcpu = ioctl(vm->fd, KVM_CREATE_VCPU, 0);
	return vm->vcpu >= 0;
}

static bool start(struct vm *vm)
{
	struct kvm_segment text = {
		.limit = 0xffffffff, .selector = 8, .type = 11, .present = 1,
		.s = 1, .g = 1, .db = 1,
	};
	struct kvm_segment data = text;
	struct kvm_sregs sregs;
	uint8_t *page;

	page = mmap(NULL, CODE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED || !set_region(vm, 0, 0, page, CODE_SIZE, 0))
		return false;
	memcpy(page, code, sizeof(code));
	if (ioctl(vm->vcpu, KVM_GET_SREGS, &sregs))
		return false;
	data.type = 3;
	data.selector = 16;
	sregs.cs = text;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.cr0 |= 1;
	if (ioctl(vm->vcpu, KVM_SET_SREGS, &sregs))
		return false;
	vm->run = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu, 0);
	if (vm->run == MAP_FAILED)
		vm->run = NULL;
	return vm->run;
}

void vm_run(struct vm *vm)
{
	struct kvm_regs regs = {
		.rflags = 0x202, .rsi = DATA_GPA, .rcx = vm->size / PAGE,
	};
	bool again = true;

	if (!start(vm))
		return;
	while (!over()) {
		if (again && ioctl(vm->vcpu, KVM_SET_REGS, &regs))
			return;
		/* Memory that is not there for the moment is an error, or MMIO. */
		again = !ioctl(vm->vcpu, KVM_RUN, 0) && vm->run->exit_reason != KVM_EXIT_MMIO;
		if (!again)
			usleep(100);
	}
}
