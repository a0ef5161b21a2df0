# SPDX-License-Identifier: GPL-2.0
"""Huge pages that were split for a migration, and did not come back."""

from ..units import show_size
from . import Found

WORD, WEIGHT, SCOPE = "shattered", 4, "vm"
ABOUT = "huge pages that did not come back"
THRESHOLD = 0.10
LEAST = 8                   # pages of 2M
SOURCE = ("KVM since 6.13 recovers all when logging ends, and earlier kernels at the next "
          "access; a tenth is what a guest may not have touched since")


def check(seen):
    """Of what logging split, and after it ended."""
    split = seen.now("dirty", "split_2m") if seen.vm.rows["dirty"] else None
    if split is None:
        # No row: never logged. Rows that there are not at all: not known.
        if "dirty" not in seen.snapshot.headers:
            seen.need(None, "'dirty' rows, which this kvmmem does not print")
        return
    back = seen.now("dirty", "recovered_2m")
    missing = split - back
    if seen.vm.one("dirty", "mode") == "off" and missing >= LEAST and missing > THRESHOLD * split:
        yield Found(
            f"{missing} of the {split} huge pages that dirty logging split did not come back "
            f"({show_size(missing * 2048)}).",
            [f"dirty.split_2m is {split}, recovered_2m is {back}, mode is off"],
            "before Linux 6.13 they come back when the guest touches them; else KVM keeps them "
            "small until its tables are zapped: migrate the VM or restart it")
