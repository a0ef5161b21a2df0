// SPDX-License-Identifier: GPL-2.0
/*
 * The sizes of a guest's mappings, by three layers of tables: see align.h.
 *
 * The guest's tables are gone through from the top, and what each entry maps is
 * looked up in KVM's tables and in the host's. The guest's tables are its own
 * affair: they may be garbage, lead to each other in circles, or map the same
 * memory again and again. The depth of the walk is that of the paging mode, so it
 * has an end; but that can be far away. A guest of more than ALIGN_TABLES tables,
 * or ALIGN_PIECES pieces of memory, is estimated instead, by random ways from
 * the top to the bottom (Knuth, Estimating the efficiency of backtrack programs,
 * 1975): each table on the way counts as often as there were ways to go, so the
 * mean of the ways has the right expectation. How they scatter is the error.
 *
 * All is done in short pieces, in the thread that reads the guest's memory
 * (guestmem.c), and paid for.
 */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compat/memory.h"
#include "decode/paging.h"
#include "memory/align.h"
#include "memory/eptpath.h"
#include "memory/guestmem.h"
#include "memory/hostpath.h"

#define ALIGN_TABLES	1024
#define ALIGN_PIECES	131072

/* Pieces that are looked up in one go. */
#define ALIGN_CHUNK	512

/* Random ways, in batches, of which the error is made. */
#define ALIGN_BATCHES	16
#define ALIGN_WAYS	(32 * ALIGN_BATCHES)

/* Entries of a table that are looked at on a random way. */
#define ALIGN_PICKS	8

/**
 * struct align_table - a copy of a table of the guest's
 * @entry: its entries
 * @entry32: the same where they are shorter
 * @next: where to go on
 */
struct align_table {
	union {
		u64 entry[512];
		u32 entry32[1024];
	};
	unsigned int next;
};

/**
 * struct align_piece - guest pages that are mapped alike
 * @gfn: the first
 * @pages: how many; 0: none is known
 * @slot: they are in a memory slot
 * @kvm: size of KVM's mapping, or KVMMEM_ALIGN_NONE
 * @host: size of the host's, likewise
 */
struct align_piece {
	u64 gfn;
	u64 pages;
	bool slot;
	unsigned int kvm;
	unsigned int host;
};

/**
 * struct align_walk - a walk over the guest's tables
 * @vm: the record
 * @regs: registers of the vCPU
 * @mode: its paging mode
 * @it: where to count
 * @weight: each page counts so often
 * @level: of the table that is being gone through; above the top: the walk is over
 * @leaf: guest page of the mapping that is being gone through
 * @leaf_left: pages of it that are left
 * @leaf_size: its size
 * @pieces: that were looked up
 * @chunk: how many more in this go
 * @ept: can KVM's tables be read? Found in this go
 * @piece: the last one
 * @way: random ways that were gone
 * @batch: what the ways of each batch say
 * @err: why the walk has to stop
 * @table: the table of each level, from 1
 */
struct align_walk {
	struct kvmmem_vm *vm;
	struct kvmmem_regs regs;
	enum kvmmem_paging mode;
	struct kvmmem_alignment *it;
	u64 weight;
	unsigned int level;
	u64 leaf;
	u64 leaf_left;
	enum kvmmem_size leaf_size;
	unsigned int pieces;
	unsigned int chunk;
	enum kvmmem_ept_state ept;
	struct align_piece piece;
	unsigned int way;
	struct kvmmem_align_sum batch[ALIGN_BATCHES];
	int err;
	struct align_table table[KVMMEM_PAGING_LEVELS + 1];
};

static u64 align_random(u64 below)
{
	return ((u64)get_random_u32() * below) >> 32;
}

static u64 align_entry(const struct align_walk *walk, unsigned int level, unsigned int i)
{
	return walk->mode == KVMMEM_PAGING_32 ? walk->table[level].entry32[i] :
						walk->table[level].entry[i];
}

/* Read a table; false if it cannot be. */
static bool align_enter(struct kvmmem_guest *guest, struct align_walk *walk,
			unsigned int level, u64 at)
{
	unsigned int bytes = kvmmem_paging_entries(walk->mode, level) *
			     kvmmem_paging_bytes(walk->mode);
	int err;

	walk->it->tables++;
	err = kvmmem_guest_read(guest, at, walk->table[level].entry, bytes);
	if (err == -EAGAIN || err == -ESRCH || err == -EIO)
		walk->err = err;
	if (err) {
		walk->it->unread++;
		return false;
	}
	walk->level = level;
	walk->table[level].next = 0;
	return true;
}

/* Where no slot is: up to the next one. */
static u64 align_hole(struct kvmmem_vm *vm, u64 gfn)
{
	struct kvmmem_slot slot;
	u64 pages = U64_MAX >> PAGE_SHIFT;

	raw_spin_lock(&vm->lock);
	if (vm->kvm && kvmmem_slots_from(vm->kvm, gfn, &slot, 1))
		pages = slot.base_gfn - gfn;
	raw_spin_unlock(&vm->lock);
	return pages;
}

/* What backs a guest page, and how many from it on. */
static void align_look_up(struct kvmmem_guest *guest, struct align_walk *walk, u64 gfn)
{
	struct align_piece *piece = &walk->piece;
	struct kvmmem_hostpath host;
	struct kvmmem_eptpath kvm;

	walk->pieces++;
	if (walk->chunk)
		walk->chunk--;
	piece->gfn = gfn;
	switch (kvmmem_guest_slot(guest, gfn)) {
	case 0:
		break;
	case -ENXIO:
		piece->slot = false;
		piece->pages = align_hole(walk->vm, gfn);
		return;
	default:
		walk->err = -ESRCH;
		return;
	}
	kvmmem_hostpath(guest->mm, guest->slot.hva +
			((gfn - guest->slot.base_gfn) << PAGE_SHIFT), &host);
	if (host.end == KVMMEM_HOST_BUSY) {
		walk->err = -EAGAIN;
		return;
	}
	/* Looking for a root among a thousand vCPUs is not for each page. */
	kvm.state = walk->ept;
	if (kvm.state == KVMMEM_EPT_WALKED) {
		kvmmem_eptpath(walk->vm, gfn, &kvm);
		if (kvm.state != KVMMEM_EPT_WALKED && !kvm.no_tables) {
			walk->it->kvm_known = false;
			walk->it->kvm_why = kvm.state == KVMMEM_EPT_NO_ROOT ? "no-root" :
									      "shadow-mmu";
		}
	}
	walk->ept = kvm.state;
	piece->slot = host.end != KVMMEM_HOST_DEVICE;
	piece->kvm = kvm.state == KVMMEM_EPT_WALKED && kvm.mapped ? kvm.size :
								    KVMMEM_ALIGN_NONE;
	piece->host = kvmmem_host_has_mapping(&host) ? host.size : KVMMEM_ALIGN_NONE;
	piece->pages = min3(guest->slot.base_gfn + guest->slot.npages - gfn,
			    max(host.span >> PAGE_SHIFT, 1ULL),
			    kvm.state == KVMMEM_EPT_WALKED ? max(kvm.span, 1ULL) : U64_MAX);
}

/* Count pages that the guest maps; how many of them it was. 0: an error. */
static u64 align_count(struct kvmmem_guest *guest, struct align_walk *walk, u64 gfn, u64 pages)
{
	struct align_piece *piece = &walk->piece;

	if (gfn - piece->gfn >= piece->pages) {
		piece->pages = 0;
		align_look_up(guest, walk, gfn);
		if (walk->err)
			return 0;
	}
	pages = min(pages, piece->gfn + piece->pages - gfn);
	if (!piece->slot)
		walk->it->no_slot += pages * walk->weight;
	else
		walk->it->pages[walk->leaf_size][piece->kvm][piece->host] +=
			pages * walk->weight;
	return pages;
}

/* An entry that maps memory. */
static u64 align_leaf(struct align_walk *walk, unsigned int level, u64 entry)
{
	unsigned int shift = kvmmem_paging_shift(walk->mode, level);

	walk->leaf_size = level - 1;
	walk->leaf = kvmmem_paging_next(walk->mode, level, entry, true) >> PAGE_SHIFT;
	return 1ULL << (shift - PAGE_SHIFT);
}

enum align_kind { ALIGN_ABSENT, ALIGN_TABLE, ALIGN_LEAF };

static enum align_kind align_kind(const struct align_walk *walk, unsigned int level, u64 entry)
{
	if (!(entry & 1) || kvmmem_paging_is_bad(&walk->regs, walk->mode, level, entry))
		return ALIGN_ABSENT;
	return kvmmem_paging_is_leaf(&walk->regs, walk->mode, level, entry) ? ALIGN_LEAF :
									      ALIGN_TABLE;
}

/* The next entry of the table that is being gone through. */
static void align_next_entry(struct kvmmem_guest *guest, struct align_walk *walk)
{
	struct align_table *table = &walk->table[walk->level];
	u64 entry;

	if (table->next == kvmmem_paging_entries(walk->mode, walk->level)) {
		walk->level++;
		return;
	}
	entry = align_entry(walk, walk->level, table->next++);
	switch (align_kind(walk, walk->level, entry)) {
	case ALIGN_LEAF:
		walk->leaf_left = align_leaf(walk, walk->level, entry);
		break;
	case ALIGN_TABLE:
		align_enter(guest, walk, walk->level - 1,
			    kvmmem_paging_next(walk->mode, walk->level, entry, false));
		break;
	case ALIGN_ABSENT:
		break;
	}
}

/* All tables, a chunk at a time. */
static void align_all(struct kvmmem_guest *guest, void *data)
{
	struct align_walk *walk = data;
	unsigned int top = kvmmem_paging_levels(walk->mode), entries = 0;

	walk->chunk = ALIGN_CHUNK;
	walk->ept = KVMMEM_EPT_WALKED;
	walk->piece.pages = 0;
	if (!walk->it->tables && !align_enter(guest, walk, top,
					      kvmmem_paging_root(walk->mode, walk->regs.cr3))) {
		walk->level = top + 1;
		return;
	}
	while (walk->chunk && !walk->err && walk->level <= top &&
	       walk->it->tables <= ALIGN_TABLES && walk->pieces <= ALIGN_PIECES) {
		if (walk->leaf_left) {
			u64 n = align_count(guest, walk, walk->leaf, walk->leaf_left);

			walk->leaf += n;
			walk->leaf_left -= n;
		} else {
			align_next_entry(guest, walk);
		}
		if (++entries % 64 == 0)
			cond_resched();
		if (entries == 64 * ALIGN_CHUNK)
			break;
	}
}

/* What a table maps itself, by some of its entries; @leaves of them are leaves. */
static void align_pick(struct kvmmem_guest *guest, struct align_walk *walk, unsigned int level,
		       const u16 *leaf, unsigned int leaves)
{
	unsigned int i, picks = min(leaves, ALIGN_PICKS);
	u64 weight = walk->weight, pages, at;

	for (i = 0; i < picks && !walk->err; i++) {
		unsigned int pick = leaves > picks ? leaf[align_random(leaves)] : leaf[i];

		pages = align_leaf(walk, level, align_entry(walk, level, pick));
		at = walk->leaf + align_random(pages);
		walk->weight = weight * pages * leaves / picks;
		align_count(guest, walk, at, 1);
	}
	walk->weight = weight;
}

/* A random way from the top. */
static void align_way(struct kvmmem_guest *guest, struct align_walk *walk, u16 *leaf, u16 *child)
{
	unsigned int level = kvmmem_paging_levels(walk->mode);
	u64 at = kvmmem_paging_root(walk->mode, walk->regs.cr3);

	walk->weight = 1;
	for (; level && !walk->err && align_enter(guest, walk, level, at); level--) {
		unsigned int i, n = kvmmem_paging_entries(walk->mode, level);
		unsigned int leaves = 0, children = 0;

		for (i = 0; i < n; i++) {
			enum align_kind kind = align_kind(walk, level, align_entry(walk, level, i));

			if (kind == ALIGN_LEAF)
				leaf[leaves++] = i;
			else if (kind == ALIGN_TABLE)
				child[children++] = i;
		}
		align_pick(guest, walk, level, leaf, leaves);
		if (!children)
			return;
		at = kvmmem_paging_next(walk->mode, level,
					align_entry(walk, level, child[align_random(children)]),
					false);
		walk->weight *= children;
	}
}

/* A batch of ways is spread over the goes; each is one way. */
static void align_some(struct kvmmem_guest *guest, void *data)
{
	struct align_walk *walk = data;
	u16 *lists = kmalloc_array(2 * 1024, sizeof(*lists), GFP_KERNEL);
	unsigned int i;

	if (!lists) {
		walk->err = -ENOMEM;
		return;
	}
	walk->ept = KVMMEM_EPT_WALKED;
	walk->piece.pages = 0;
	for (i = 0; i < ALIGN_BATCHES && !walk->err; i++) {
		struct kvmmem_align_sum before, after;

		kvmmem_align_sum(walk->it, &before);
		align_way(guest, walk, lists, lists + 1024);
		kvmmem_align_sum(walk->it, &after);
		kvmmem_align_add(&walk->batch[i], &before, &after);
		cond_resched();
	}
	walk->way += i;
	kfree(lists);
}

/* Goes until it is done, or nothing may be spent any more. */
static int align_go_on(struct align_walk *walk, struct kvmmem_budget *budget,
		       void (*go)(struct kvmmem_guest *guest, void *data),
		       bool (*done)(const struct align_walk *walk))
{
	int err;

	while (!done(walk)) {
		u64 begun = ktime_get_ns();

		if (fatal_signal_pending(current))
			return -EINTR;
		if (!kvmmem_budget_left(budget))
			return -EBUSY;
		err = kvmmem_guest_run(walk->vm, go, walk);
		kvmmem_budget_spend(budget, begun);
		if (err)
			return err;
		if (walk->err == -EAGAIN && kvmmem_budget_wait(budget)) {
			walk->err = 0;
			return -EAGAIN;
		}
		if (walk->err)
			return walk->err == -EAGAIN ? -EBUSY : walk->err;
	}
	return 0;
}

static bool align_all_done(const struct align_walk *walk)
{
	return walk->it->tables && (walk->level > kvmmem_paging_levels(walk->mode) ||
				    walk->it->tables > ALIGN_TABLES ||
				    walk->pieces > ALIGN_PIECES);
}

static bool align_some_done(const struct align_walk *walk)
{
	return walk->way >= ALIGN_WAYS;
}

static void align_begin(struct align_walk *walk)
{
	memset(walk->it, 0, sizeof(*walk->it));
	memset(walk->batch, 0, sizeof(walk->batch));
	walk->it->kvm_known = true;
	walk->weight = 1;
	walk->level = 0;
	walk->leaf_left = 0;
	walk->pieces = 0;
	walk->way = 0;
	walk->err = 0;
}

static int align_estimate(struct align_walk *walk, struct kvmmem_budget *budget)
{
	int err;

	align_begin(walk);
	err = align_go_on(walk, budget, align_some, align_some_done);
	/* Some ways are better than none; the error says what they are worth. */
	if (err && (err != -EBUSY || walk->way < 4 * ALIGN_BATCHES))
		return err;
	kvmmem_align_divide(walk->it, walk->way);
	walk->it->error = kvmmem_align_error(walk->batch, ALIGN_BATCHES,
					     walk->way / ALIGN_BATCHES);
	walk->it->sampled = true;
	return 0;
}

static int align_try(struct align_walk *walk, struct kvmmem_budget *budget)
{
	int err;

	align_begin(walk);
	err = align_go_on(walk, budget, align_all, align_all_done);
	if (err)
		return err;
	if (walk->level <= kvmmem_paging_levels(walk->mode))
		return align_estimate(walk, budget);
	/* Not even the first table. */
	return walk->it->tables == walk->it->unread ? -EFAULT : 0;
}

/**
 * kvmmem_align - the sizes of a guest's mappings
 * @vm: the record
 * @regs: registers of the vCPU in whose address space
 * @budget: what may be spent
 * @alignment: where to
 *
 * Context: may sleep; a reference on the record.
 *
 * Return: 0. -ENOENT: the guest has no tables. -EFAULT: they cannot be read. -EBUSY: nothing
 * may be spent, or others have the locks. -ESRCH: the VM is gone. -EINTR, -ENOMEM.
 */
int kvmmem_align(struct kvmmem_vm *vm, const struct kvmmem_regs *regs,
		 struct kvmmem_budget *budget, struct kvmmem_alignment *alignment)
{
	struct align_walk *walk;
	int err;

	if (kvmmem_paging_of(regs) == KVMMEM_PAGING_NONE)
		return -ENOENT;
	walk = kvzalloc(sizeof(*walk), GFP_KERNEL);
	if (!walk)
		return -ENOMEM;
	walk->vm = vm;
	walk->regs = *regs;
	walk->mode = kvmmem_paging_of(regs);
	walk->it = alignment;
	do
		err = align_try(walk, budget);
	while (err == -EAGAIN);
	kvfree(walk);
	/* Not again at once: the kernel may not be able to take away memory that failed. */
	return err == -EIO ? -EFAULT : err;
}
