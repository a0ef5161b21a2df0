# SPDX-License-Identifier: GPL-2.0
"""Memory that kvmmem has lost, on a kernel with kmemleak."""

import re

from host import Scenario
from suite_lab import equal

ON = "kmemleak=on"


# A place in kvmmem, or in a module that is there no more; older kernels have "[<0>] " before.
_OURS = re.compile(r"\[kvmmem|^\s*(\[<\w+>\] )?0x[0-9a-f]{8,}$", re.M)


# The kernel's own: where sysfs cannot take a cache, sysfs_slab_add() forgets its name.
_KERNELS = re.compile(r"kobject_set_name_vargs\+.*\n.*\n.* sysfs_slab_add\+")


def kvmmems(text):
    """Records of kmemleak that name kvmmem, or code that is there no more."""
    records = [record.partition("backtrace")[2] for record in
               text.split("unreferenced object")[1:]]
    return [record for record in records
            if _OURS.search(record) and not _KERNELS.search(record)]


def check(out):
    """The kernel has looked, and found nothing of kvmmem's."""
    assert re.search(r"^looked$", out["leaks"], re.M), out["leaks"]
    equal("leaks of kvmmem", kvmmems(out["leaks"]), [])


# The last one of a boot. kmemleak refuses to look if it is off.
SCENARIO = Scenario("leaks", "section leaks find_leaks", check, limit=300)
