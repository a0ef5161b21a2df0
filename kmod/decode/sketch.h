/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A sketch of what was taken away lately: a set of guest pages that has a fixed size,
 * forgets by itself, and errs rarely and in a known way.
 *
 * It is two Bloom filters. One is filled for three quarters of a second, or until it
 * has 1,024 pieces; then it is the other one's turn, and what that had is forgotten. So
 * a page is known for 0.75 to 1.5 s, less if very much is taken away.
 *
 * Pages are put in by pieces of 8^n pages that are aligned to their size, so a range of
 * any size is a few pieces and nothing but the range.
 *
 * A page that was not put in is taken for one that was with a probability of at most
 * (2n / 4096)^2 for each filter and size of pieces, n being the pieces in it: 0.4 % for
 * 128, 1.6 % for 256, 25 % for 1,024.
 */
#ifndef _KVMMEM_SKETCH_H
#define _KVMMEM_SKETCH_H

#include <linux/bitops.h>
#include <linux/hash.h>
#include <linux/jiffies.h>
#include <linux/types.h>

#define KVMMEM_SKETCH_BITS	4096
#define KVMMEM_SKETCH_LONGS	(KVMMEM_SKETCH_BITS / BITS_PER_LONG)
#define KVMMEM_SKETCH_PIECES	(KVMMEM_SKETCH_BITS / 4)
#define KVMMEM_SKETCH_LEVELS	10		/* 4 KiB to 512 GiB */
#define KVMMEM_SKETCH_SHIFT	3		/* 8^level pages are a piece */
#define KVMMEM_SKETCH_TICKS	(3 * HZ / 4)

/**
 * struct kvmmem_sketch - the set
 * @turn: how often a filter was begun; the last bit is which one is being filled
 * @begun: when that was, in ticks
 * @pieces: put in since
 * @clearing: somebody begins a filter
 * @levels: for each filter, the sizes of the pieces in it, a bit each
 * @bits: the filters, KVMMEM_SKETCH_LONGS each
 *
 * Several may put in and look at once. What is put in while a filter is begun may be
 * forgotten.
 */
struct kvmmem_sketch {
	u32 turn;
	u32 begun;
	u32 pieces;
	unsigned long clearing;
	unsigned long levels[2];
	unsigned long *bits[2];
};

bool kvmmem_sketch_put_slowly(struct kvmmem_sketch *sketch, u64 gfn, u64 pages, u32 now);
bool kvmmem_sketch_has(const struct kvmmem_sketch *sketch, u64 gfn, u32 now);

static __always_inline u64 kvmmem_sketch_hash(u64 gfn, unsigned int level)
{
	return ((gfn >> (KVMMEM_SKETCH_SHIFT * level)) << 4 | level) * GOLDEN_RATIO_64;
}

/* Two places, by bits of a product that depend on all bits of the page. */
#define KVMMEM_SKETCH_ONE(hash)	((hash) >> 52)
#define KVMMEM_SKETCH_TWO(hash)	((hash) >> 40 & (KVMMEM_SKETCH_BITS - 1))

static __always_inline void kvmmem_sketch_put_piece(struct kvmmem_sketch *sketch, u64 gfn,
						    unsigned int level)
{
	unsigned int which = READ_ONCE(sketch->turn) & 1;
	unsigned long *bits = sketch->bits[which];
	u64 hash = kvmmem_sketch_hash(gfn, level);

	if (test_bit(KVMMEM_SKETCH_ONE(hash), bits) && test_bit(KVMMEM_SKETCH_TWO(hash), bits))
		return;
	set_bit(KVMMEM_SKETCH_ONE(hash), bits);
	set_bit(KVMMEM_SKETCH_TWO(hash), bits);
	WRITE_ONCE(sketch->pieces, READ_ONCE(sketch->pieces) + 1);
	/* Single pages are looked for anyway. */
	if (level && !test_bit(level, &sketch->levels[which]))
		set_bit(level, &sketch->levels[which]);
}

/**
 * kvmmem_sketch_put - pages were taken away
 * @sketch: the set
 * @gfn: the first one
 * @pages: how many, at least 1
 * @now: in ticks
 *
 * Context: any; does not sleep.
 *
 * Return: true if a filter was begun, as always when all had been forgotten.
 */
static __always_inline bool kvmmem_sketch_put(struct kvmmem_sketch *sketch, u64 gfn, u64 pages,
					      u32 now)
{
	if (unlikely(pages != 1 || now - READ_ONCE(sketch->begun) > KVMMEM_SKETCH_TICKS ||
		     READ_ONCE(sketch->pieces) >= KVMMEM_SKETCH_PIECES))
		return kvmmem_sketch_put_slowly(sketch, gfn, pages, now);
	kvmmem_sketch_put_piece(sketch, gfn, 0);
	return false;
}

/*
 * How long ago a filter was begun. Who has read the clock and was held up may come after
 * somebody who has begun one later.
 */
static inline u32 kvmmem_sketch_age(const struct kvmmem_sketch *sketch, u32 now)
{
	u32 begun = READ_ONCE(sketch->begun);

	return begun - now <= KVMMEM_SKETCH_TICKS ? 0 : now - begun;
}

/**
 * kvmmem_sketch_is_old - has all been forgotten?
 * @sketch: the set
 * @now: in ticks
 *
 * Return: true if so.
 */
static inline bool kvmmem_sketch_is_old(const struct kvmmem_sketch *sketch, u32 now)
{
	return kvmmem_sketch_age(sketch, now) > 2 * KVMMEM_SKETCH_TICKS;
}

#endif /* _KVMMEM_SKETCH_H */
