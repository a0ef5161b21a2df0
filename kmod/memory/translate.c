// SPDX-License-Identifier: GPL-2.0
/*
 * The chain of tables for one address: see translate.h.
 *
 * Nothing is held from one layer to the next, so the layers may change in between.
 * What differs is looked at again, a few times, before it is called different.
 */
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "compat/memory.h"
#include "memory/backing.h"
#include "memory/translate.h"
#include "registry/info.h"

/* How often a lock that somebody else has is tried, a millisecond apart. */
#define TRIES	20

/* In that time the kernel mostly has taken away memory that failed. */
#define FAILED_MS	50

/* How often a difference is looked at before it is believed. */
#define LOOKS	3

/**
 * struct gva_walk - a walk through the guest's tables
 * @it: where it goes
 * @gva: the address
 * @failed: how often memory had just failed that was to be read
 */
struct gva_walk {
	struct kvmmem_translation *it;
	u64 gva;
	unsigned int failed;
};

/* An entry of the guest's tables; false if it could not be read. */
static bool translate_read(struct kvmmem_guest *guest, struct gva_walk *walk, u64 at, u64 *entry)
{
	struct kvmmem_translation *it = walk->it;
	struct kvmmem_hostpath path;
	u64 hva;
	int err;

	*entry = 0;
	err = kvmmem_guest_read(guest, at, entry, kvmmem_paging_bytes(it->mode));
	switch (err) {
	case 0:
		return true;
	case -EFAULT:
		hva = guest->slot.hva + (at - (guest->slot.base_gfn << PAGE_SHIFT));
		kvmmem_hostpath(guest->mm, hva, &path);
		it->table = path.end;
		/* What is there and cannot be read is about to change: NUMA balancing's work. */
		it->guest_end = path.end == KVMMEM_HOST_BUSY || kvmmem_host_has_mapping(&path) ?
				KVMMEM_GUEST_BUSY : KVMMEM_GUEST_AWAY;
		return false;
	case -ENXIO:
		it->guest_end = KVMMEM_GUEST_NO_MEMORY;
		return false;
	case -EACCES:
		it->table = KVMMEM_HOST_NOTHING;
		it->guest_end = KVMMEM_GUEST_AWAY;
		return false;
	case -EIO:
		walk->failed++;
		fallthrough;
	default:
		it->guest_end = KVMMEM_GUEST_BUSY;
		return false;
	}
}

/* From the top down; as many steps as there are levels, whatever the tables say. */
static void translate_walk_guest(struct kvmmem_guest *guest, void *data)
{
	struct gva_walk *walk = data;
	struct kvmmem_translation *it = walk->it;
	u64 table = kvmmem_paging_root(it->mode, it->regs.cr3);
	unsigned int level;
	bool leaf;

	it->nr = 0;
	for (level = kvmmem_paging_levels(it->mode); level; level--) {
		struct kvmmem_step *step = &it->step[it->nr++];

		step->level = level;
		step->at = kvmmem_paging_entry_at(it->mode, level, table, walk->gva);
		if (!translate_read(guest, walk, step->at, &step->entry))
			return;
		if (!(step->entry & 1)) {
			it->guest_end = KVMMEM_GUEST_NOT_PRESENT;
			return;
		}
		if (kvmmem_paging_is_bad(&it->regs, it->mode, level, step->entry)) {
			it->guest_end = KVMMEM_GUEST_BAD;
			return;
		}
		leaf = kvmmem_paging_is_leaf(&it->regs, it->mode, level, step->entry);
		table = kvmmem_paging_next(it->mode, level, step->entry, leaf);
		if (leaf)
			break;
	}
	it->gva_shift = kvmmem_paging_shift(it->mode, level);
	it->gpa = table + (walk->gva & (BIT_ULL(it->gva_shift) - 1));
	it->has_gpa = true;
	it->guest_end = KVMMEM_GUEST_MAPPED;
}

static int translate_guest(struct kvmmem_vm *vm, u64 gva, struct kvmmem_translation *it)
{
	struct gva_walk walk = { .it = it, .gva = gva };
	int err, tries = 0;

	it->mode = kvmmem_paging_of(&it->regs);
	if (!kvmmem_paging_canonical(it->mode, gva)) {
		it->guest_end = KVMMEM_GUEST_NOT_CANONICAL;
		return 0;
	}
	if (it->mode == KVMMEM_PAGING_NONE) {
		it->gpa = gva;
		it->has_gpa = true;
		it->guest_end = KVMMEM_GUEST_MAPPED;
		return 0;
	}
	for (;;) {
		err = kvmmem_guest_run(vm, translate_walk_guest, &walk);
		/* Memory that fails again is there to stay. */
		if (err || it->guest_end != KVMMEM_GUEST_BUSY || tries++ == TRIES ||
		    walk.failed == 2 || fatal_signal_pending(current))
			return err;
		if (walk.failed)
			msleep(FAILED_MS);
		else
			usleep_range(1000, 2000);
	}
}

/* One look at both; true when somebody else had a lock. */
static bool translate_look(struct kvmmem_vm *vm, struct mm_struct *mm,
			   struct kvmmem_translation *it)
{
	if (it->has_hva)
		kvmmem_hostpath(mm, it->hva, &it->host);
	if (it->has_gpa)
		kvmmem_eptpath(vm, it->gpa >> PAGE_SHIFT, &it->kvm);
	if (it->kvm.mapped)
		it->kvm.hpa += it->gpa & ~PAGE_MASK;
	return it->has_hva && it->host.end == KVMMEM_HOST_BUSY;
}

static enum kvmmem_verdict translate_judge(const struct kvmmem_translation *it)
{
	bool host = kvmmem_host_has_mapping(&it->host) || it->host.end == KVMMEM_HOST_MOVING;

	if (!it->has_gpa && !it->has_hva)
		return KVMMEM_VERDICT_NO_GPA;
	if (!it->has_slot)
		return KVMMEM_VERDICT_NO_SLOT;
	if (it->host.end == KVMMEM_HOST_BUSY || it->host.end == KVMMEM_HOST_DEVICE ||
	    kvmmem_slot_is_private(&it->slot) || it->kvm.state != KVMMEM_EPT_WALKED)
		return KVMMEM_VERDICT_UNKNOWN;
	if (!it->kvm.mapped)
		return host ? KVMMEM_VERDICT_NOT_YET : KVMMEM_VERDICT_NOTHING;
	if (!host)
		return KVMMEM_VERDICT_KVM_ONLY;
	return it->kvm.hpa == it->host.hpa ? KVMMEM_VERDICT_AGREE : KVMMEM_VERDICT_DIFFER;
}

/* The host's layer and KVM's, and what comes of it. */
static int translate_ends(struct kvmmem_vm *vm, struct kvmmem_translation *it)
{
	struct mm_struct *mm = kvmmem_vm_get_mm(vm);
	int looks = 0, tries = 0;

	if (!mm)
		return -ESRCH;
	while (looks < LOOKS && !fatal_signal_pending(current)) {
		if (translate_look(vm, mm, it) && tries++ < TRIES) {
			usleep_range(1000, 2000);
			continue;
		}
		it->verdict = translate_judge(it);
		if (it->verdict != KVMMEM_VERDICT_DIFFER && it->verdict != KVMMEM_VERDICT_KVM_ONLY)
			break;
		looks++;
		usleep_range(200, 400);
	}
	kvmmem_put_mm(mm);
	return kvmmem_vm_alive(vm) ? 0 : -ESRCH;
}

static void translate_find_slot(struct kvmmem_vm *vm, struct kvmmem_translation *it)
{
	raw_spin_lock(&vm->lock);
	it->has_slot = vm->kvm && kvmmem_slot_with(vm->kvm, it->gpa >> PAGE_SHIFT, &it->slot);
	raw_spin_unlock(&vm->lock);
	it->slots = it->has_slot;
	it->has_hva = it->has_slot;
	if (it->has_slot)
		it->hva = it->slot.hva + (it->gpa - (it->slot.base_gfn << PAGE_SHIFT));
}

/**
 * kvmmem_translate_gpa - the chain from a guest-physical address on
 * @vm: the record
 * @gpa: the address
 * @it: where to
 *
 * Context: may sleep; a reference on the record.
 *
 * Return: 0, or -ESRCH when the VM or its process is gone.
 */
int kvmmem_translate_gpa(struct kvmmem_vm *vm, u64 gpa, struct kvmmem_translation *it)
{
	it->gpa = gpa;
	it->has_gpa = true;
	translate_find_slot(vm, it);
	return translate_ends(vm, it);
}

/**
 * kvmmem_translate_gva - the chain from a guest-virtual address on
 * @vm: the record
 * @regs: registers of the vCPU that it is one of
 * @gva: the address
 * @it: where to
 *
 * Context: may sleep; a reference on the record.
 *
 * Return: 0, or -ESRCH when the VM or its process is gone.
 */
int kvmmem_translate_gva(struct kvmmem_vm *vm, const struct kvmmem_regs *regs, u64 gva,
			 struct kvmmem_translation *it)
{
	int err;

	it->regs = *regs;
	err = translate_guest(vm, gva, it);
	if (err || !it->has_gpa) {
		it->verdict = it->guest_end == KVMMEM_GUEST_AWAY ||
			      it->guest_end == KVMMEM_GUEST_BUSY ? KVMMEM_VERDICT_UNKNOWN :
								   KVMMEM_VERDICT_NO_GPA;
		return err;
	}
	translate_find_slot(vm, it);
	return translate_ends(vm, it);
}

/* The first slot that shows a host's address, and how many do. */
static void translate_find_hva(struct kvmmem_vm *vm, u64 hva, struct kvmmem_translation *it)
{
	struct kvmmem_vm_slots some = {};
	const struct kvmmem_slot *slot;
	unsigned int i;

	while (!fatal_signal_pending(current) && kvmmem_vm_next_slots(vm, &some)) {
		for (i = 0; i < some.nr; i++) {
			slot = &some.slot[i];
			if (hva - slot->hva < slot->npages << PAGE_SHIFT && !it->slots++)
				it->slot = *slot;
		}
		cond_resched();
	}
	it->has_slot = it->slots;
}

/**
 * kvmmem_translate_hva - the chain for an address of the VM's process
 * @vm: the record
 * @hva: the address
 * @it: where to
 *
 * Context: may sleep; a reference on the record.
 *
 * Return: 0, or -ESRCH when the VM or its process is gone.
 */
int kvmmem_translate_hva(struct kvmmem_vm *vm, u64 hva, struct kvmmem_translation *it)
{
	it->hva = hva;
	it->has_hva = true;
	translate_find_hva(vm, hva, it);
	if (it->has_slot) {
		it->gpa = (it->slot.base_gfn << PAGE_SHIFT) + (hva - it->slot.hva);
		it->has_gpa = true;
	}
	return translate_ends(vm, it);
}
