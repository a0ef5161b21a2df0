// SPDX-License-Identifier: GPL-2.0
/*
 * A guest of several address spaces: in each round it goes from one to the next and
 * writes to the same memory in each.
 *
 *	spaces SPACES PAGES ROUNDS COMMAND
 *
 * COMMAND is run after the first round and after the last, with KVMGUEST_ID and
 * KVMGUEST_MOMENT, first or last. Prints how long rounds took.
 */
#include <time.h>

#include "../test/host/smallvm.h"

#define TABLES		0x100000UL	/* the guest's, four for each space */
#define LIST		0x9000UL	/* of the spaces' CR3 */
#define MEMORY		0x40000000UL	/* guest-virtual and guest-physical */
/*
 * Nobody touches it: KVM allows a VM as many shadow tables as are 2% of its memory,
 * and a guest with too little of it would show how KVM recycles them.
 */
#define MORE		0x80000000UL
#define MORE_PAGES	65536UL

/* r8: the list, r9: spaces, r10: memory, r11: pages */
extern const uint8_t rounds_start[], rounds_end[];
asm(".section .rodata\n"
    "rounds_start:\n"
    "1:	mov %r8, %rbx\n"
    "	mov %r9, %rcx\n"
    "2:	mov (%rbx), %rax\n"
    "	mov %rax, %cr3\n"
    "	add $8, %rbx\n"
    "	mov %r10, %rdi\n"
    "	mov %r11, %rdx\n"
    "3:	movb $1, (%rdi)\n"
    "	add $4096, %rdi\n"
    "	dec %rdx\n"
    "	jnz 3b\n"
    "	dec %rcx\n"
    "	jnz 2b\n"
    "	out %al, $0x10\n"
    "	jmp 1b\n"
    "rounds_end:\n"
    ".previous\n");

static uint8_t *tables;

static uint64_t *table(uint64_t gpa)
{
	return (uint64_t *)(tables + (gpa - TABLES));
}

/* Its own tables for the memory, and the page of the code and of the list. */
static void make_space(unsigned int space, unsigned long pages)
{
	uint64_t at = TABLES + space * 5 * PAGE;
	unsigned long i;

	table(at)[0] = (at + PAGE) | 7;
	table(at + PAGE)[0] = (at + 2 * PAGE) | 7;
	table(at + PAGE)[1] = (at + 3 * PAGE) | 7;
	table(at + 2 * PAGE)[0] = 0x87;			/* the lowest 2M */
	table(at + 3 * PAGE)[0] = (at + 4 * PAGE) | 7;
	for (i = 0; i < pages; i++)
		table(at + 4 * PAGE)[i] = (MEMORY + i * PAGE) | 7;
	((uint64_t *)(base + LIST))[space] = at;
}

static unsigned long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static void moment(const char *name, const char *command)
{
	setenv("KVMGUEST_MOMENT", name, 1);
	if (system(command))
		exit(1);
}

int main(int argc, char **argv)
{
	unsigned long spaces, pages, rounds, i;
	unsigned long long begun, first;
	struct kvm_regs regs = { .rip = CODE, .rflags = 0x202, .r8 = LIST, .r10 = MEMORY };
	struct kvm_sregs sregs;

	if (argc != 5)
		return 2;
	spaces = strtoul(argv[1], NULL, 10);
	pages = strtoul(argv[2], NULL, 10);
	rounds = strtoul(argv[3], NULL, 10);
	if (!spaces || spaces > 256 || !pages || pages > DATA_PAGES || rounds < 2)
		return 2;
	make_vm(1, 0);
	tables = memory(spaces * 5);
	set_slot(2, TABLES, tables, spaces * 5);
	set_slot(3, MORE, memory(MORE_PAGES), MORE_PAGES);
	for (i = 0; i < spaces; i++)
		make_space(i, pages);
	memcpy(base + CODE, rounds_start, rounds_end - rounds_start);
	if (ioctl(vcpus[0], KVM_GET_SREGS, &sregs))
		die("KVM_GET_SREGS");
	sregs.cr3 = TABLES;
	regs.r9 = spaces;
	regs.r11 = pages;
	if (ioctl(vcpus[0], KVM_SET_SREGS, &sregs) || ioctl(vcpus[0], KVM_SET_REGS, &regs))
		die("KVM_SET_REGS");
	begun = now_ns();
	run_to(0, 0x10);
	first = now_ns() - begun;
	moment("first", argv[4]);
	begun = now_ns();
	for (i = 1; i < rounds; i++)
		run_to(0, 0x10);
	printf("spaces=%lu first_ns=%llu round_ns=%llu\n", spaces, first,
	       (now_ns() - begun) / (rounds - 1));
	fflush(stdout);
	moment("last", argv[4]);
	return 0;
}
