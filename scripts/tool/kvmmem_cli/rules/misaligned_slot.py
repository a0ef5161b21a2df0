# SPDX-License-Identifier: GPL-2.0
"""Memory slots that can never be mapped by huge pages."""

from ..units import show_size
from . import Found

WORD, WEIGHT, SCOPE, DEEP = "misaligned", 5, "vm", True
ABOUT = "misaligned memory slots"
THRESHOLD = 4096
SOURCE = "Documentation/backing.rst: a slot loses up to 2M at each of its two edges"


def check(seen):
    """More than its edges can explain."""
    bad = [row for row in seen.slots() if (row.get("gap_misaligned_kb") or 0) > THRESHOLD]
    if bad:
        kb = sum(row["gap_misaligned_kb"] for row in bad)
        yield Found(
            f"KVM can never map {show_size(kb)} of its memory by huge pages, as the guest's and "
            "the host's addresses of it differ modulo 2M.",
            [f"slot {row.get('slot')} at {row.get('gpa')}: {row['gap_misaligned_kb']} KiB huge in "
             "the host and 4K in KVM's tables" for row in bad],
            "align the guest's memory in the VMM to 2M (memory-backend-* of QEMU has align=2M)")
