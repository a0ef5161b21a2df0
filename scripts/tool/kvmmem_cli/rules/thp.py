# SPDX-License-Identifier: GPL-2.0
"""The host has transparent huge pages off, or for those who ask."""

from ..units import show_size
from . import Found

WORD, WEIGHT, SCOPE = "small pages", 3, "vm"
ABOUT = "memory without transparent huge pages"
THRESHOLD = 0.5             # of what is resident is huge
LEAST = 8192                # KiB
SOURCE = "the kernel's admin-guide/mm/transhuge.rst; half of the memory, so that a boot is none"


def check(seen):
    """Little of it is huge, and the host's setting explains it."""
    thp, sizes = seen.fact("thp"), seen.vm.backing("host")
    seen.need(sizes, "backing.host_*_kb, which is '-' here")
    whole, huge = sum(sizes.values()), sizes["2m"] + sizes["1g"]
    if thp == "always" or whole < LEAST or huge >= THRESHOLD * whole:
        return
    yield Found(
        f"{show_size(sizes['4k'])} of its {show_size(whole)} in memory are small pages, and "
        f"transparent huge pages are {'off' if thp == 'never' else 'for those who ask'}.",
        [f"thp is {thp}", f"host_4k_kb is {sizes['4k']}, host_2m_kb {sizes['2m']}, host_1g_kb "
         f"{sizes['1g']}"],
        "echo always >/sys/kernel/mm/transparent_hugepage/enabled" if thp == "never" else
        "have the VMM ask (madvise(MADV_HUGEPAGE); QEMU does so for ordinary memory "
        "but not for shared), or echo always >/sys/kernel/mm/transparent_hugepage/enabled")
