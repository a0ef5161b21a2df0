# SPDX-License-Identifier: GPL-2.0
"""Memory that is huge in the host, and small in KVM's tables."""

from ..units import show_size
from . import Found, Unseen

WORD, WEIGHT, SCOPE = "gap", 4, "vm"
ABOUT = "huge pages that KVM does not use"
THRESHOLD = 0.25            # of what KVM has mapped
LEAST = 4096                # KiB
SOURCE = "a quarter of the memory, so that edges of slots and a guest's first code are none"


def check(seen):
    """By the totals of both layers; with debugfs only what no other rule explains."""
    layers = {layer: seen.need(seen.vm.backing(layer), f"backing.{layer}_*_kb, which is '-' here")
              for layer in ("host", "ept")}
    mapped = sum(layers["ept"].values())
    huge = {layer: sizes["2m"] + sizes["1g"] for layer, sizes in layers.items()}
    # What is small in the host is so in KVM's tables, too. And there is more in those than
    # the host's have of the slots: devices, guest_memfds, a nested guest's memory.
    small = min(layers["ept"]["4k"] - layers["host"]["4k"] -
                sum(seen.vm.one("vm", name) or 0 for name in ("device_kb", "private_kb")),
                huge["host"] - huge["ept"])
    if small < LEAST or small <= THRESHOLD * mapped or \
            seen.vm.one("dirty", "mode") not in (None, "off"):
        return
    evidence = [f"{layer}_4k_kb is {sizes['4k']}, {layer}_2m_kb {sizes['2m']}, {layer}_1g_kb "
                f"{sizes['1g']}" for layer, sizes in layers.items()]
    remedy = "look at vms/<id>/backing in /sys/kernel/debug/kvmmem, which names the cause by slot"
    try:
        slots = seen.slots() if seen.deep else None
    except Unseen:
        slots = None        # without debugfs this is all that can be said
    if slots is not None:
        parts = {cause: sum(row.get(f"gap_{cause}_kb") or 0 for row in slots)
                 for cause in ("write_tracked", "unknown")}
        if sum(parts.values()) < LEAST:
            return
        evidence += [f"gap_{cause}_kb is {kb}" for cause, kb in parts.items() if kb]
        remedy = "what is write-tracked belongs to a guest that is itself a hypervisor, or to a " \
                 "mediated graphics device; the rest KVM maps anew when its tables are zapped: " \
                 "migrate the VM or restart it"
    yield Found(f"{show_size(small)} of its memory are huge in the host and small in KVM's tables.",
                evidence, remedy)
