/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Page tables as the processor reads them, the guest's and those for it: pure
 * functions, for the walks and for KUnit.
 */
#ifndef _KVMMEM_PAGING_H
#define _KVMMEM_PAGING_H

#include <linux/bits.h>
#include <linux/types.h>

#include "compat/guest.h"

/**
 * enum kvmmem_paging - how a guest translates its addresses
 * @KVMMEM_PAGING_NONE: not at all
 * @KVMMEM_PAGING_32: two levels of 32-bit entries
 * @KVMMEM_PAGING_PAE: three levels, 64-bit entries
 * @KVMMEM_PAGING_4: four levels
 * @KVMMEM_PAGING_5: five levels
 * @KVMMEM_NR_PAGINGS: how many there are
 */
enum kvmmem_paging {
	KVMMEM_PAGING_NONE,
	KVMMEM_PAGING_32,
	KVMMEM_PAGING_PAE,
	KVMMEM_PAGING_4,
	KVMMEM_PAGING_5,
	KVMMEM_NR_PAGINGS
};

#define KVMMEM_PAGING_LEVELS	5

/* What an entry says, of whatever tables. */
#define KVMMEM_ENTRY_PRESENT	BIT(0)
#define KVMMEM_ENTRY_READ	BIT(1)
#define KVMMEM_ENTRY_WRITE	BIT(2)
#define KVMMEM_ENTRY_EXEC	BIT(3)
#define KVMMEM_ENTRY_USER	BIT(4)
#define KVMMEM_ENTRY_ACCESSED	BIT(5)
#define KVMMEM_ENTRY_DIRTY	BIT(6)
#define KVMMEM_ENTRY_SIZE	BIT(7)	/* it maps memory, though it could lead to a table */
#define KVMMEM_NR_ENTRY_FLAGS	8

/**
 * struct kvmmem_step - a step of a walk
 * @level: of the table, 1 is the last
 * @at: address of the entry, in the world that the tables are in
 * @entry: the entry
 */
struct kvmmem_step {
	unsigned int level;
	u64 at;
	u64 entry;
};

enum kvmmem_paging kvmmem_paging_of(const struct kvmmem_regs *regs);
unsigned int kvmmem_paging_levels(enum kvmmem_paging mode);
bool kvmmem_paging_canonical(enum kvmmem_paging mode, u64 address);
u64 kvmmem_paging_root(enum kvmmem_paging mode, u64 cr3);
unsigned int kvmmem_paging_shift(enum kvmmem_paging mode, unsigned int level);
unsigned int kvmmem_paging_entries(enum kvmmem_paging mode, unsigned int level);
unsigned int kvmmem_paging_bytes(enum kvmmem_paging mode);
u64 kvmmem_paging_entry_at(enum kvmmem_paging mode, unsigned int level, u64 table, u64 address);
bool kvmmem_paging_is_leaf(const struct kvmmem_regs *regs, enum kvmmem_paging mode,
			   unsigned int level, u64 entry);
bool kvmmem_paging_is_bad(const struct kvmmem_regs *regs, enum kvmmem_paging mode,
			  unsigned int level, u64 entry);
u64 kvmmem_paging_next(enum kvmmem_paging mode, unsigned int level, u64 entry, bool leaf);

unsigned int kvmmem_entry_flags(const struct kvmmem_regs *regs, enum kvmmem_paging mode,
				unsigned int level, u64 entry);
unsigned int kvmmem_ept_entry_flags(unsigned int level, u64 entry);
void kvmmem_entry_flags_text(unsigned int flags, char *text);

#endif /* _KVMMEM_PAGING_H */
