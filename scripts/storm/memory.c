// SPDX-License-Identifier: GPL-2.0
/*
 * A guest whose memory is never left alone, by its own process and by the host:
 * swapped, merged, collapsed, split, migrated, dropped, moved and copied on write
 * while the guest runs and readers walk it; and the process is killed.
 */
#define _GNU_SOURCE
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storm.h"
#include "vm.h"

#ifndef MADV_COLD
#define MADV_COLD	20
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif
#define NODES		2
#define MOVED		64	/* pages at once */

enum { MEMORY_KILLED = EXTRA };

static void copy_on_write(struct vm *vm)
{
	pid_t pid = fork();

	if (!pid) {
		vm->memory[pick(vm->size)]++;
		usleep(pick(5000));
		_exit(0);
	}
	vm->memory[pick(vm->size)]++;
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static void move_some(uint8_t *at, size_t size)
{
	unsigned long node = pick(NODES);
	void *pages[MOVED];
	int nodes[MOVED], status[MOVED], n;

	for (n = 0; n < MOVED && n * PAGE < size; n++) {
		pages[n] = at + n * PAGE;
		nodes[n] = node;
	}
	syscall(SYS_move_pages, 0, (unsigned long)n, pages, nodes, status, 0);
}

static void migrate_all(void)
{
	unsigned long from = 1UL << pick(NODES), to = 1UL << pick(NODES);

	syscall(SYS_migrate_pages, 0, 8UL * sizeof(from), &from, &to);
}

/* The slot goes, comes back, is logged or is not. */
static void change_slot(struct vm *vm)
{
	if (pick(3) == 0) {
		vm_set_slot(vm, false, 0);
		usleep(pick(500));
	}
	vm_set_slot(vm, true, pick(2) ? KVM_MEM_LOG_DIRTY_PAGES : 0);
}

static void map_anew(uint8_t *at, size_t size)
{
	mmap(at, size, PROT_READ | PROT_WRITE,
	     MAP_FIXED | MAP_ANONYMOUS | (pick(3) ? MAP_PRIVATE : MAP_SHARED), -1, 0);
}

static void act(struct vm *vm)
{
	static const int advices[] = {
		MADV_DONTNEED, MADV_PAGEOUT, MADV_PAGEOUT, MADV_COLD, MADV_FREE, MADV_HUGEPAGE,
		MADV_NOHUGEPAGE, MADV_COLLAPSE, MADV_MERGEABLE, MADV_UNMERGEABLE,
	};
	const unsigned int nr = sizeof(advices) / sizeof(*advices);
	size_t pages = vm->size / PAGE, first = pick(pages), n = 1 + pick(pages - first);
	uint8_t *at = vm->memory + first * PAGE;
	unsigned int what = pick(nr + 8);

	if (pick(2)) {			/* whole huge pages */
		at = vm->memory + first * PAGE / HUGE * HUGE;
		n = HUGE / PAGE;
	}
	switch (what) {
	case 0:
		copy_on_write(vm);
		break;
	case 1:
		move_some(at, n * PAGE);
		break;
	case 2:
		migrate_all();
		break;
	case 3:
		change_slot(vm);
		break;
	case 4:
		map_anew(at, n * PAGE);
		break;
	case 5:
		mprotect(at, n * PAGE, PROT_NONE);
		usleep(pick(500));
		mprotect(at, n * PAGE, PROT_READ | PROT_WRITE);
		break;
	case 6:				/* alike, for whoever merges */
		memset(at, 0x5a, n * PAGE);
		break;
	case 7:
		munmap(at, n * PAGE);
		usleep(pick(500));
		map_anew(at, n * PAGE);
		break;
	default:
		madvise(at, n * PAGE, advices[what - 8]);
		break;
	}
	tally(DID);
}

static void *guest(void *vm)
{
	vm_run(vm);
	return NULL;
}

static void one_life(void)
{
	static struct vm vm;
	pthread_t thread;

	if (!vm_open(&vm) || !vm_add_memory(&vm, argument("mb", 8) << 20) ||
	    !vm_add_vcpu(&vm) || pthread_create(&thread, NULL, guest, &vm)) {
		tally(FAILED);
		usleep(10000);
		return;
	}
	while (!over())
		act(&vm);
	pthread_join(thread, NULL);
	vm_close(&vm);
}

static void lives(void)
{
	unsigned int life = argument("life_ms", 2000) * 1000;

	while (!over()) {
		int pid = child(one_life), waited = 0;
		unsigned int at = pick(life);

		/* Most are killed, whatever they are at. */
		while (!over() && (unsigned int)waited < at) {
			usleep(10000);
			waited += 10000;
		}
		if (!over()) {
			kill(pid, SIGKILL);
			tally(MEMORY_KILLED);
		}
		waitpid(pid, NULL, 0);
	}
}

static void run_memory(void)
{
	unsigned long kids = argument("kids", 1);

	while (kids--)
		child(lives);
	while (wait(NULL) > 0)
		;
}

const struct kind memory_kinds[] = {
	{ "memory", run_memory, { "killed" },
	  "memory of running guests is swapped, merged, moved [kids=1] [mb=8] [life_ms=2000]" },
	{}
};
