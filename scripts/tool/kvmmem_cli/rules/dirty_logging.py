# SPDX-License-Identifier: GPL-2.0
"""Dirty logging that nobody ended."""

from ..units import show_age, show_size
from . import Found

WORD, WEIGHT, SCOPE = "logged", 5, "vm"
ABOUT = "dirty logging that was left on"
THRESHOLD = 1800000         # ms
BIG = 64 * 1024             # KiB; a frame buffer, which is always logged, is smaller
SOURCE = ("a pre-copy migration of 1 TB takes less than half an hour at 10 Gbit/s; QEMU's "
          "default frame buffer has 16 MiB")
REMEDY = ("if no migration runs, one was cancelled badly: begin and cancel one more, or migrate "
          "the VM; huge pages come back when logging ends")


def check(seen):
    """By its age where that is known, else by the slots that are being logged."""
    mode, since = seen.vm.one("dirty", "mode"), seen.vm.one("dirty", "since_ms")
    if mode not in (None, "off"):
        if (since or 0) > THRESHOLD:
            yield Found(f"its memory has been logged for writes for {show_age(since)}.",
                        [f"dirty.mode is {mode}, since_ms is {since}"], REMEDY)
        return
    if mode == "off" or "dirty" in seen.snapshot.headers or not seen.deep:
        return
    bad = [row for row in seen.slots() if "dirty" in (row.get("flags") or "") and
           ((row.get("size_kb") or 0) >= BIG or row.get("gap_dirty_log_kb"))]
    if bad:
        gap = sum(row.get("gap_dirty_log_kb") or 0 for row in bad)
        yield Found(
            "its memory is being logged for writes, nobody knows for how long"
            f"{', and ' + show_size(gap) + ' of huge pages are split for it' if gap else ''}.",
            [f"slot {row.get('slot')} at {row.get('gpa')}: flags {row.get('flags')}, "
             f"gap_dirty_log_kb {row.get('gap_dirty_log_kb')}" for row in bad],
            REMEDY)
