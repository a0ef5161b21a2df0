# SPDX-License-Identifier: GPL-2.0
"""Swap fills up."""

from ..units import safe, show_size
from . import Found

WORD, WEIGHT, SCOPE = "swap", 7, "host"
ABOUT = "swap"
THRESHOLD = 0.30
GRAVE = 0.75
SOURCE = "Documentation/backing.rst, Overcommitment"


def check(seen):
    """Used swap, as a share of all swap."""
    total = seen.fact("swap_total_kb")
    used = seen.fact("swap_used_kb") if total else 0
    if not total or used <= THRESHOLD * total:
        return
    vms = [(vm.total("vm", "swap_kb") or 0, vm) for vm in seen.snapshot.vms.values()]
    worst = sorted((pair for pair in vms if pair[0]), key=lambda pair: -pair[0])[:5]
    grave = used > GRAVE * total
    yield Found(
        f"{used / total:.0%} of the swap space is in use"
        f"{': the OOM killer is near' if grave else ''}.",
        [f"swap_used_kb is {used} of {total}"] +
        [f"{safe(vm.label)} has {show_size(kb)} in swap" for kb, vm in worst],
        "move a VM away or give the host memory; 'kvmmem --sort swap' shows whose it is, and "
        "memory.swap.max of a cgroup bounds it")
