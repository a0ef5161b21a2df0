# SPDX-License-Identifier: GPL-2.0
"""What a guest maps huge, and KVM maps small, page by page."""

from ..units import show_percent, show_size
from . import Found

WORD, WEIGHT, SCOPE = "tlb-reach", 3, "vm"
ABOUT = "huge pages of the guest that the TLB cannot use"
DEEP = True
THRESHOLD = 0.25            # of what the guest maps
LEAST = 4096                # KiB
SOURCE = "a quarter of what the guest maps: only pages huge in guest and KVM spare TLB misses"


def check(seen):
    """By the vCPU that loses most."""
    # Recordings do not have it, nor guests without tables of their own.
    rows = [row for row in seen.vm.detail.get("reach", ())
            if row.get("lost_kb") is not None and row.get("mapped_kb")]
    if not rows:
        return
    worst = max(rows, key=lambda row: row["lost_kb"] / row["mapped_kb"])
    lost, mapped = worst["lost_kb"], worst["mapped_kb"]
    if lost < LEAST or lost <= THRESHOLD * mapped:
        return
    yield Found(
        f"{show_size(lost)} ({show_percent(lost / mapped)}) of what its guest maps by huge pages "
        "are mapped small by KVM, so that each TLB entry reaches 4K only.",
        [f"vCPU {worst['vcpu']}: lost_kb is {lost} of mapped_kb {mapped}"],
        "back the VM with huge pages (transparent or hugetlb); if they are huge in the host "
        "already, 'kvmmem align' and vms/<id>/backing say where KVM does not use them")
