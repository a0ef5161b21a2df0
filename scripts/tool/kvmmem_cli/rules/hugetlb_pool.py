# SPDX-License-Identifier: GPL-2.0
"""A pool of huge pages is empty, and VMs have none."""

import re

from ..units import safe
from . import Found

WORD, WEIGHT, SCOPE = "hugetlb pool", 3, "host"
ABOUT = "hugetlb pools"
THRESHOLD = 0.5
SOURCE = "the kernel's admin-guide/mm/hugetlbpage.rst; an empty pool is no fault where all VMs " \
         "are huge"


def check(seen):
    """Empty pools, while memory of a VM is in small pages."""
    for key, total in seen.host.items():
        size = re.fullmatch(r"hugepages_(\d+)kB_total", key)
        if not size or not total:
            continue
        free = seen.fact(f"hugepages_{size[1]}kB_free")
        small = [vm for vm in seen.snapshot.vms.values()
                 if vm.share("host") is not None and vm.share("host") < THRESHOLD and
                 (vm.total("vm", "mem_kb") or 0) >= int(size[1])]
        if free == 0 and small:
            names = ", ".join(safe(vm.label) for vm in small[:5])
            yield Found(
                f"the pool of {size[1]} KiB pages is empty, and {len(small)} "
                f"{'VM runs' if len(small) == 1 else 'VMs run'} on small pages.",
                [f"{key} is {total}, free 0", f"on small pages: {names}"],
                f"raise /sys/kernel/mm/hugepages/hugepages-{size[1]}kB/nr_hugepages, best at "
                "boot (hugepages=), while memory is not yet in pieces")
