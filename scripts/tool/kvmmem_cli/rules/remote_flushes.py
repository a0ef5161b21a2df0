# SPDX-License-Identifier: GPL-2.0
"""vCPUs are interrupted to flush their TLBs."""

from ..units import show_rate
from . import Found

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
    causes = {name: seen.change.called(f"inval.{name}") or 0
              for name in ("vmm", "reclaim", "ksm", "thp", "migrate", "numa_scan", "in_run")}
    worst = max(causes, key=causes.get)
    if causes[worst]:
        evidence.append(f"most invalidations are by {worst}: {show_rate(causes[worst])} a second")
    yield Found("its vCPUs are interrupted all the time to flush their TLBs.", evidence,
                "pin its memory to a node and switch NUMA balancing off for it, keep KSM away "
                "from it, deflate the balloon in larger steps; during a migration it is normal")
