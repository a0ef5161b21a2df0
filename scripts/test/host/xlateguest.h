/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest that knows its own page tables, in each paging mode.
 */
#ifndef XLATEGUEST_H
#define XLATEGUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE		4096ULL
#define MB		(1ULL << 20)
#define GB		(1ULL << 30)
#define EXIT_LACKING	77
#define UNMAPPED	UINT64_MAX

/* Guest-physical: tables and code, read-only memory, memory. */
#define CTL		0ULL
#define CTL_BYTES	(8 * MB)
#define CODE		0x1000ULL
#define HALT		(CODE + 13)	/* where the code has nothing more to do */
#define ROM		0x30000000ULL
#define ROM_BYTES	(64 * PAGE)
#define DATA		0x40000000ULL
/* Guest-virtual: the same code, and memory at one of two places. */
#define LOW		0x80000000ULL
#define HIGH		0xffff900000000000ULL
#define HIGH5		0xff11000000000000ULL

enum mode { MODE_NONE, MODE_32, MODE_PAE, MODE_4, MODE_5 };

struct guest {
	enum mode mode;
	uint64_t guest_page;	/* size of its mappings of memory */
	uint64_t host_page;	/* what the host is asked for */
	uint64_t bytes;		/* of memory */
	bool log_dirty;
	bool halts;		/* it waits for interrupts in KVM */
	int kvm, vm, vcpu;
	struct kvm_run *run;
	uint8_t *ctl, *rom, *data;
	uint64_t next_table;
	uint64_t *leads;	/* where each of the guest's pages of memory leads, or UNMAPPED */
	uint64_t pages;		/* how many: bytes / guest_page */
	bool *touched;		/* pages of memory, of 4K, that the guest has touched */
};

void die(const char *what);
void lacking(const char *what);
void make_guest(struct guest *guest);
void run_guest(struct guest *guest);
void touch_guest(struct guest *guest, uint64_t gva, uint64_t pages, uint64_t stride);
uint64_t random_below(uint64_t limit);

#endif
