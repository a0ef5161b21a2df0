// SPDX-License-Identifier: GPL-2.0
#include <linux/bits.h>
#include <linux/kernel.h>
#include <linux/log2.h>

#include "decode/sketch.h"

/* Of one range, so that its end comes, whatever it is: enough for any of 512 GiB. */
#define PIECES_MAX	(2 * 7 * KVMMEM_SKETCH_LEVELS)

static void sketch_clear(struct kvmmem_sketch *sketch, unsigned int which)
{
	unsigned int i;

	WRITE_ONCE(sketch->levels[which], BIT(0));
	for (i = 0; i < KVMMEM_SKETCH_LONGS; i++)
		WRITE_ONCE(sketch->bits[which][i], 0);
}

/* There is no filter yet, or it has served its time, or is full. */
static bool sketch_is_due(const struct kvmmem_sketch *sketch, u32 now)
{
	return !READ_ONCE(sketch->turn) || kvmmem_sketch_age(sketch, now) > KVMMEM_SKETCH_TICKS ||
	       READ_ONCE(sketch->pieces) >= KVMMEM_SKETCH_PIECES;
}

static noinline void sketch_begin(struct kvmmem_sketch *sketch, u32 now)
{
	u32 turn;

	if (test_and_set_bit_lock(0, &sketch->clearing))
		return;
	/* Somebody else may have begun one since. */
	if (!sketch_is_due(sketch, now)) {
		clear_bit_unlock(0, &sketch->clearing);
		return;
	}
	turn = sketch->turn;
	if (kvmmem_sketch_is_old(sketch, now))
		sketch_clear(sketch, turn & 1);
	sketch_clear(sketch, !(turn & 1));
	WRITE_ONCE(sketch->pieces, 0);
	WRITE_ONCE(sketch->begun, now);
	WRITE_ONCE(sketch->turn, turn + 1);
	clear_bit_unlock(0, &sketch->clearing);
}

/* The largest piece that begins at a page and has no more than so many. */
static unsigned int sketch_level(u64 gfn, u64 pages)
{
	unsigned int level = ilog2(pages) / KVMMEM_SKETCH_SHIFT;

	if (gfn)
		level = min_t(unsigned int, level, __ffs64(gfn) / KVMMEM_SKETCH_SHIFT);
	return min_t(unsigned int, level, KVMMEM_SKETCH_LEVELS - 1);
}

/**
 * kvmmem_sketch_put_slowly - the rest of kvmmem_sketch_put()
 * @sketch: the set
 * @gfn: the first page
 * @pages: how many, at least 1
 * @now: in ticks
 *
 * Context: any; does not sleep.
 *
 * Return: as kvmmem_sketch_put().
 */
noinline bool kvmmem_sketch_put_slowly(struct kvmmem_sketch *sketch, u64 gfn, u64 pages, u32 now)
{
	bool begins = sketch_is_due(sketch, now);
	unsigned int n, level;

	if (begins)
		sketch_begin(sketch, now);
	for (n = 0; pages && n < PIECES_MAX; n++) {
		level = sketch_level(gfn, pages);
		kvmmem_sketch_put_piece(sketch, gfn, level);
		gfn += 1ULL << (KVMMEM_SKETCH_SHIFT * level);
		pages -= 1ULL << (KVMMEM_SKETCH_SHIFT * level);
	}
	return begins;
}

static bool sketch_filter_has(const struct kvmmem_sketch *sketch, unsigned int which, u64 gfn)
{
	unsigned long levels = READ_ONCE(sketch->levels[which]);
	const unsigned long *bits = sketch->bits[which];
	unsigned int level;

	for_each_set_bit(level, &levels, KVMMEM_SKETCH_LEVELS) {
		u64 hash = kvmmem_sketch_hash(gfn, level);

		if (test_bit(KVMMEM_SKETCH_ONE(hash), bits) &&
		    test_bit(KVMMEM_SKETCH_TWO(hash), bits))
			return true;
	}
	return false;
}

/**
 * kvmmem_sketch_has - was a page taken away lately?
 * @sketch: the set
 * @gfn: the page
 * @now: in ticks
 *
 * Context: any; does not sleep.
 *
 * Return: true if it was, and rarely if it was not.
 */
bool kvmmem_sketch_has(const struct kvmmem_sketch *sketch, u64 gfn, u32 now)
{
	unsigned int which = READ_ONCE(sketch->turn) & 1;

	if (kvmmem_sketch_is_old(sketch, now))
		return false;
	return sketch_filter_has(sketch, which, gfn) ||
	       (kvmmem_sketch_age(sketch, now) <= KVMMEM_SKETCH_TICKS &&
		sketch_filter_has(sketch, !which, gfn));
}
