/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The chain of tables for one address: the guest's, KVM's slots, the host's, KVM's.
 */
#ifndef _KVMMEM_TRANSLATE_H
#define _KVMMEM_TRANSLATE_H

#include "compat/guest.h"
#include "decode/paging.h"
#include "memory/eptpath.h"
#include "memory/guestmem.h"
#include "memory/hostpath.h"

/**
 * enum kvmmem_guest_end - how far a guest's tables lead
 * @KVMMEM_GUEST_UNASKED: they were not asked
 * @KVMMEM_GUEST_MAPPED: to a guest-physical address
 * @KVMMEM_GUEST_NOT_PRESENT: to an entry that is not present
 * @KVMMEM_GUEST_BAD: to an entry that the processor refuses
 * @KVMMEM_GUEST_NOT_CANONICAL: the address is none in this mode
 * @KVMMEM_GUEST_NO_MEMORY: to a table where the guest has no memory
 * @KVMMEM_GUEST_AWAY: to a table that the host has not in memory, see
 *	struct kvmmem_translation's @table
 * @KVMMEM_GUEST_BUSY: nobody knows: somebody else had a lock
 */
enum kvmmem_guest_end {
	KVMMEM_GUEST_UNASKED,
	KVMMEM_GUEST_MAPPED,
	KVMMEM_GUEST_NOT_PRESENT,
	KVMMEM_GUEST_BAD,
	KVMMEM_GUEST_NOT_CANONICAL,
	KVMMEM_GUEST_NO_MEMORY,
	KVMMEM_GUEST_AWAY,
	KVMMEM_GUEST_BUSY,
};

/**
 * enum kvmmem_verdict - what comes of it
 * @KVMMEM_VERDICT_AGREE: KVM's tables and the host's lead to the same page
 * @KVMMEM_VERDICT_NOT_YET: the host has a page, KVM has not mapped it
 * @KVMMEM_VERDICT_NOTHING: neither has one
 * @KVMMEM_VERDICT_DIFFER: they lead to different pages
 * @KVMMEM_VERDICT_KVM_ONLY: KVM has a page mapped, the host has not
 * @KVMMEM_VERDICT_NO_SLOT: no memory is there: MMIO, or a hole
 * @KVMMEM_VERDICT_NO_GPA: the guest's tables do not lead anywhere
 * @KVMMEM_VERDICT_UNKNOWN: one of the layers cannot be walked
 */
enum kvmmem_verdict {
	KVMMEM_VERDICT_AGREE,
	KVMMEM_VERDICT_NOT_YET,
	KVMMEM_VERDICT_NOTHING,
	KVMMEM_VERDICT_DIFFER,
	KVMMEM_VERDICT_KVM_ONLY,
	KVMMEM_VERDICT_NO_SLOT,
	KVMMEM_VERDICT_NO_GPA,
	KVMMEM_VERDICT_UNKNOWN,
};

/**
 * struct kvmmem_translation - the chain for one address
 * @regs: registers of the vCPU, for guest-virtual addresses
 * @mode: its paging mode
 * @guest_end: how far its tables lead
 * @nr: steps there
 * @step: the entries, by their guest-physical addresses
 * @table: what the host has where the guest's tables could not be read
 * @gva_shift: the guest's mapping has so many bits
 * @has_gpa: @gpa is known
 * @gpa: guest-physical address
 * @has_slot: it lies in @slot
 * @slot: the slot
 * @slots: slots that the address lies in, which may be several for a host's one
 * @has_hva: @hva is known
 * @hva: host-virtual address
 * @host: the way through the host's tables
 * @kvm: the way through KVM's
 * @verdict: what comes of it
 */
struct kvmmem_translation {
	struct kvmmem_regs regs;
	enum kvmmem_paging mode;
	enum kvmmem_guest_end guest_end;
	unsigned int nr;
	struct kvmmem_step step[KVMMEM_PAGING_LEVELS];
	enum kvmmem_host_end table;
	unsigned int gva_shift;
	bool has_gpa;
	u64 gpa;
	bool has_slot;
	struct kvmmem_slot slot;
	unsigned int slots;
	bool has_hva;
	u64 hva;
	struct kvmmem_hostpath host;
	struct kvmmem_eptpath kvm;
	enum kvmmem_verdict verdict;
};

int kvmmem_translate_gva(struct kvmmem_vm *vm, const struct kvmmem_regs *regs, u64 gva,
			 struct kvmmem_translation *it);
int kvmmem_translate_gpa(struct kvmmem_vm *vm, u64 gpa, struct kvmmem_translation *it);
int kvmmem_translate_hva(struct kvmmem_vm *vm, u64 hva, struct kvmmem_translation *it);

#endif /* _KVMMEM_TRANSLATE_H */
