/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Bits of the entries of KVM's tables.
 */
#ifndef _KVMMEM_COMPAT_SPTE_H
#define _KVMMEM_COMPAT_SPTE_H

#include <linux/bits.h>

/*
 * Bit 11 of an entry of KVM's tables (SPTE_MMU_PRESENT_MASK of KVM's private
 * spte.h) says on both vendors' processors that it is a mapping or a table and
 * not a note about MMIO or a change under way. Since 5.13.
 */
#define KVMMEM_SPTE_PRESENT	BIT_ULL(11)

/* The processors' own: above the lowest level, it is a mapping and not a table. */
#define KVMMEM_SPTE_HUGE	BIT_ULL(7)

#endif /* _KVMMEM_COMPAT_SPTE_H */
