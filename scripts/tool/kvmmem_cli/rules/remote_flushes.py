# SPDX-License-Identifier: GPL-2.0
"""vCPUs are interrupted to flush their TLBs."""

from ..units import show_rate
from . import Found
from .taken_away import REMEDIES

WORD, WEIGHT, SCOPE = "flush storm", 4, "vm"
ABOUT = "storms of remote flushes"
THRESHOLD = 1000            # a second and vCPU
SOURCE = ("an interrupted vCPU exits and enters again, some microseconds: a thousand are near "
          "one hundredth of its time")


def check(seen):
    """Flushes that another thread asked for, by vCPU."""
    rate, vcpus = seen.rate("vpid.remote"), seen.now("vm", "vcpus")
    if not vcpus or rate < THRESHOLD * vcpus:
        return
    evidence = [f"{show_rate(rate)} remote flushes a second on {vcpus} vCPUs"]
    causes = {name: seen.change.called(f"inval.{name}") or 0 for name in REMEDIES}
    worst = max(causes, key=causes.get)
    remedy = "find out who changes its memory: the balloon, KSM, NUMA balancing"
    if causes[worst]:
        evidence.append(f"most invalidations are by {worst}: {show_rate(causes[worst])} a second")
        remedy = REMEDIES[worst][1]
    yield Found("its vCPUs are interrupted all the time to flush their TLBs.", evidence,
                f"{remedy}; during a migration it is normal")
