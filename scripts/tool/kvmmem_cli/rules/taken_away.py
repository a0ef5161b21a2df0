# SPDX-License-Identifier: GPL-2.0
"""Somebody in the host takes away what the guest is using."""

from ..units import show_rate
from . import Found, Unseen

WORD, WEIGHT, SCOPE = "taken away", 4, "vm"
ABOUT = "memory that is taken away from the guest"
THRESHOLD = 100             # invalidations a second by one initiator
BACK = 10                   # refaults a second
SOURCE = ("cloud-hypervisor #7574: a VM suffered from thousands a second; a tenth of one "
          "thousand, if the guest wants the pages back")
REMEDIES = {
    "ksm": ("KSM", "exempt the VM (QEMU: -machine mem-merge=off), or echo 2 "
                   ">/sys/kernel/mm/ksm/run"),
    "numa_scan": ("NUMA balancing", "pin the VM's memory and vCPUs to a node, or sysctl "
                                    "kernel.numa_balancing=0"),
    "in_run": ("copy on write or NUMA migration", "if NUMA balancing is on, pin the VM or switch "
                                                  "it off: sysctl kernel.numa_balancing=0"),
    "reclaim": ("reclaim", "the host or the VM's cgroup lacks memory: raise memory.high, or move "
                           "a VM away"),
    "thp": ("khugepaged", "raise khugepaged's scan_sleep_millisecs, or give the VM huge pages "
                          "from the start"),
    "migrate": ("compaction or migration of pages", "lower vm.compaction_proactiveness; look "
                                                    "who calls migrate_pages"),
    "vmm": ("the VMM (its balloon)", "deflate the balloon, or let it give back larger pieces"),
}


def check(seen):
    """Initiators that take much, while the guest faults it back in."""
    refaults = seen.rate("inval.refaults")
    if refaults < BACK:
        return
    for name, (who, remedy) in REMEDIES.items():
        try:
            rate = seen.rate(f"inval.{name}")
        except Unseen:
            continue
        if rate >= THRESHOLD:
            yield Found(
                f"{who} takes away memory that the guest uses.",
                [f"{show_rate(rate)} invalidations a second by {name}",
                 f"{show_rate(refaults)} faults a second bring such memory back"],
                remedy, name.replace("_", " "))
