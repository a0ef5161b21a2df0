# SPDX-License-Identifier: GPL-2.0
"""Memory that kvmmem has lost, on a kernel with kmemleak."""

import re

from host import Scenario
from suite_lab import equal

ON = "kmemleak=on"


def kvmmems(text):
    """Records of kmemleak that name kvmmem, or code that is there no more."""
    records = text.split("unreferenced object")[1:]
    return [record for record in records
            if "[kvmmem" in record or "[<" in record and "] 0x" in record]


def check(out):
    """The kernel has looked, and found nothing of kvmmem's."""
    assert re.search(r"^looked$", out["leaks"], re.M), out["leaks"]
    equal("leaks of kvmmem", kvmmems(out["leaks"]), [])


# The last one of a boot. kmemleak refuses to look if it is off.
SCENARIO = Scenario("leaks", "section leaks find_leaks", check, limit=300)
