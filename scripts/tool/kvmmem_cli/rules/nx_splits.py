# SPDX-License-Identifier: GPL-2.0
"""Huge pages split because the guest executes from them."""

from ..units import show_size
from . import Found, Unseen

WORD, WEIGHT, SCOPE, DEEP = "nx-split", 3, "vm", True
ABOUT = "huge pages split by the iTLB multihit mitigation"
THRESHOLD = 0.01            # of what is resident
SOURCE = ("a hundredth of the memory: code of an ordinary guest is less; the kernel's "
          "admin-guide/hw-vuln/multihit.rst says what it costs")


def check(seen):
    """What is split now, and how fast it is being split."""
    gap = sum(row.get("gap_nx_split_kb") or 0 for row in seen.slots())
    resident = seen.now("vm", "resident_kb")
    if gap <= THRESHOLD * resident:
        return
    evidence = [f"gap_nx_split_kb is {gap} of {resident} resident",
                f"kvm.nx_huge_pages is {seen.settings.get('nx_huge_pages', 'not known')}"]
    try:
        evidence.append(f"{seen.now('huge', 'nx_split')} splits since kvmmem saw the VM")
    except Unseen:
        pass
    yield Found(
        f"{show_size(gap)} of its huge pages are split, because the guest executes from them and "
        "the iTLB multihit mitigation is on.", evidence,
        "on a processor that is not affected, or with guests that are trusted, "
        "kvm.nx_huge_pages=off; else they recover by themselves within about an hour")
