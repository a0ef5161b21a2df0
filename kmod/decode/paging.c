// SPDX-License-Identifier: GPL-2.0
/*
 * See paging.h. SDM vol. 3A, chapter 5; APM vol. 2, chapter 5.
 */
#include <linux/kernel.h>
#include <asm/processor-flags.h>

#include "decode/paging.h"

#define EFER_LONG_ACTIVE	BIT_ULL(10)
#define EFER_NO_EXECUTE		BIT_ULL(11)

#define ENTRY_P		BIT_ULL(0)
#define ENTRY_W		BIT_ULL(1)
#define ENTRY_U		BIT_ULL(2)
#define ENTRY_A		BIT_ULL(5)
#define ENTRY_D		BIT_ULL(6)
#define ENTRY_PS	BIT_ULL(7)
#define ENTRY_NX	BIT_ULL(63)
#define ENTRY_ADDR	GENMASK_ULL(51, 12)

/* Of EPT: SDM vol. 3C, tables 29-1 to 29-7. */
#define EPT_R		BIT_ULL(0)
#define EPT_W		BIT_ULL(1)
#define EPT_X		BIT_ULL(2)
#define EPT_A		BIT_ULL(8)
#define EPT_D		BIT_ULL(9)

/**
 * kvmmem_paging_of - the paging mode
 * @regs: a vCPU's registers
 *
 * Return: the mode.
 */
enum kvmmem_paging kvmmem_paging_of(const struct kvmmem_regs *regs)
{
	if (!(regs->cr0 & X86_CR0_PG))
		return KVMMEM_PAGING_NONE;
	if (!(regs->cr4 & X86_CR4_PAE))
		return KVMMEM_PAGING_32;
	if (!(regs->efer & EFER_LONG_ACTIVE))
		return KVMMEM_PAGING_PAE;
	return regs->cr4 & X86_CR4_LA57 ? KVMMEM_PAGING_5 : KVMMEM_PAGING_4;
}

/**
 * kvmmem_paging_levels - levels of tables
 * @mode: the paging mode
 *
 * Return: how many.
 */
unsigned int kvmmem_paging_levels(enum kvmmem_paging mode)
{
	static const u8 levels[KVMMEM_NR_PAGINGS] = { 0, 2, 3, 4, 5 };

	return levels[mode];
}

/**
 * kvmmem_paging_canonical - can an address be one in this mode?
 * @mode: the paging mode
 * @address: the guest-virtual address
 *
 * Return: true if it can.
 */
bool kvmmem_paging_canonical(enum kvmmem_paging mode, u64 address)
{
	unsigned int bits = mode == KVMMEM_PAGING_5 ? 57 : 48;

	if (mode < KVMMEM_PAGING_4)
		return address <= U32_MAX;
	return (u64)((s64)(address << (64 - bits)) >> (64 - bits)) == address;
}

/**
 * kvmmem_paging_root - where the first table lies
 * @mode: the paging mode
 * @cr3: the register
 *
 * Return: its guest-physical address.
 */
u64 kvmmem_paging_root(enum kvmmem_paging mode, u64 cr3)
{
	if (mode == KVMMEM_PAGING_PAE)
		return cr3 & GENMASK_ULL(31, 5);
	return cr3 & (mode == KVMMEM_PAGING_32 ? GENMASK_ULL(31, 12) : ENTRY_ADDR);
}

/**
 * kvmmem_paging_shift - what an entry spans
 * @mode: the paging mode
 * @level: of the table, 1 is the last
 *
 * Return: the address bits below those that choose the entry.
 */
unsigned int kvmmem_paging_shift(enum kvmmem_paging mode, unsigned int level)
{
	return 12 + (mode == KVMMEM_PAGING_32 ? 10 : 9) * (level - 1);
}

/**
 * kvmmem_paging_entries - entries of a table
 * @mode: the paging mode
 * @level: of the table
 *
 * Return: how many.
 */
unsigned int kvmmem_paging_entries(enum kvmmem_paging mode, unsigned int level)
{
	if (mode == KVMMEM_PAGING_32)
		return 1024;
	return mode == KVMMEM_PAGING_PAE && level == 3 ? 4 : 512;
}

/**
 * kvmmem_paging_bytes - size of an entry
 * @mode: the paging mode
 *
 * Return: bytes.
 */
unsigned int kvmmem_paging_bytes(enum kvmmem_paging mode)
{
	return mode == KVMMEM_PAGING_32 ? 4 : 8;
}

/**
 * kvmmem_paging_entry_at - where the entry for an address lies
 * @mode: the paging mode
 * @level: of the table
 * @table: where that lies
 * @address: the guest-virtual address
 *
 * Return: its guest-physical address.
 */
u64 kvmmem_paging_entry_at(enum kvmmem_paging mode, unsigned int level, u64 table, u64 address)
{
	u64 index = (address >> kvmmem_paging_shift(mode, level)) &
		    (kvmmem_paging_entries(mode, level) - 1);

	return table + index * kvmmem_paging_bytes(mode);
}

/**
 * kvmmem_paging_is_leaf - does an entry map memory, rather than lead to a table?
 * @regs: a vCPU's registers
 * @mode: its paging mode
 * @level: of the table
 * @entry: the entry, present
 *
 * Return: true if it does.
 */
bool kvmmem_paging_is_leaf(const struct kvmmem_regs *regs, enum kvmmem_paging mode,
			   unsigned int level, u64 entry)
{
	if (level == 1)
		return true;
	if (!(entry & ENTRY_PS))
		return false;
	if (mode == KVMMEM_PAGING_32)
		return regs->cr4 & X86_CR4_PSE;
	return level == 2 || (level == 3 && mode != KVMMEM_PAGING_PAE);
}

/**
 * kvmmem_paging_is_bad - is an entry one that the processor refuses?
 * @regs: a vCPU's registers
 * @mode: the paging mode
 * @level: of the table
 * @entry: the entry, present
 *
 * Bits of the address beyond what the guest's processor has are not looked at: no
 * memory slot lies there.
 *
 * Return: true if the size bit is set where there is no such size, or no-execute while
 * the processor does not know it.
 */
bool kvmmem_paging_is_bad(const struct kvmmem_regs *regs, enum kvmmem_paging mode,
			  unsigned int level, u64 entry)
{
	if (mode != KVMMEM_PAGING_32 && (entry & ENTRY_NX) && !(regs->efer & EFER_NO_EXECUTE))
		return true;
	if (!(entry & ENTRY_PS))
		return false;
	return level > 3 || (level == 3 && mode == KVMMEM_PAGING_PAE);
}

/**
 * kvmmem_paging_next - where an entry leads
 * @mode: the paging mode
 * @level: of the table
 * @entry: the entry
 * @leaf: it maps memory
 *
 * Return: guest-physical address of the next table, or of the first byte mapped.
 */
u64 kvmmem_paging_next(enum kvmmem_paging mode, unsigned int level, u64 entry, bool leaf)
{
	unsigned int shift = kvmmem_paging_shift(mode, level);

	if (mode == KVMMEM_PAGING_32) {
		/* 4M pages have bits 39 to 32 of the address in bits 20 to 13. */
		if (leaf && level == 2)
			return (entry & GENMASK_ULL(31, 22)) |
			       (entry & GENMASK_ULL(20, 13)) << 19;
		return entry & GENMASK_ULL(31, 12);
	}
	return entry & ENTRY_ADDR & (leaf ? ~(BIT_ULL(shift) - 1) : U64_MAX);
}

/**
 * kvmmem_entry_flags - what an entry of the processor's usual tables says
 * @regs: registers that they are read with
 * @mode: the paging mode
 * @level: of the table
 * @entry: the entry
 *
 * Return: KVMMEM_ENTRY_* flags; of one that is not present, none.
 */
unsigned int kvmmem_entry_flags(const struct kvmmem_regs *regs, enum kvmmem_paging mode,
				unsigned int level, u64 entry)
{
	unsigned int flags = KVMMEM_ENTRY_PRESENT | KVMMEM_ENTRY_READ;
	bool pointers = mode == KVMMEM_PAGING_PAE && level == 3;

	if (!(entry & ENTRY_P))
		return 0;
	/* The four entries that PAE begins with have no flags of their own. */
	if (pointers)
		return flags | KVMMEM_ENTRY_WRITE | KVMMEM_ENTRY_EXEC | KVMMEM_ENTRY_USER;
	if (entry & ENTRY_W)
		flags |= KVMMEM_ENTRY_WRITE;
	if (entry & ENTRY_U)
		flags |= KVMMEM_ENTRY_USER;
	if (!(entry & ENTRY_NX) || !(regs->efer & EFER_NO_EXECUTE) || mode == KVMMEM_PAGING_32)
		flags |= KVMMEM_ENTRY_EXEC;
	if (entry & ENTRY_A)
		flags |= KVMMEM_ENTRY_ACCESSED;
	if (!kvmmem_paging_is_leaf(regs, mode, level, entry))
		return flags;
	if (entry & ENTRY_D)
		flags |= KVMMEM_ENTRY_DIRTY;
	return level > 1 ? flags | KVMMEM_ENTRY_SIZE : flags;
}

/**
 * kvmmem_ept_entry_flags - what an entry of EPT says
 * @level: of the table
 * @entry: the entry
 *
 * Return: KVMMEM_ENTRY_* flags; of one that is not present, none.
 */
unsigned int kvmmem_ept_entry_flags(unsigned int level, u64 entry)
{
	bool leaf = level == 1 || (entry & ENTRY_PS);
	unsigned int flags = KVMMEM_ENTRY_PRESENT;

	if (!(entry & (EPT_R | EPT_W | EPT_X)))
		return 0;
	if (entry & EPT_R)
		flags |= KVMMEM_ENTRY_READ;
	if (entry & EPT_W)
		flags |= KVMMEM_ENTRY_WRITE;
	if (entry & EPT_X)
		flags |= KVMMEM_ENTRY_EXEC;
	if (entry & EPT_A)
		flags |= KVMMEM_ENTRY_ACCESSED;
	if (leaf && (entry & EPT_D))
		flags |= KVMMEM_ENTRY_DIRTY;
	return leaf && level > 1 ? flags | KVMMEM_ENTRY_SIZE : flags;
}

/**
 * kvmmem_entry_flags_text - flags as letters, a hyphen for each that is not set
 * @flags: KVMMEM_ENTRY_* flags
 * @text: where to, KVMMEM_NR_ENTRY_FLAGS + 1 characters
 */
void kvmmem_entry_flags_text(unsigned int flags, char *text)
{
	static const char letters[] = "prwxuads";
	unsigned int i;

	for (i = 0; i < KVMMEM_NR_ENTRY_FLAGS; i++)
		text[i] = flags & BIT(i) ? letters[i] : '-';
	text[i] = '\0';
}
