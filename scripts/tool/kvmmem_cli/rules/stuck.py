# SPDX-License-Identifier: GPL-2.0
"""vCPUs that fault without getting on."""

from . import Found

WORD, WEIGHT, SCOPE = "stuck", 8, "vm"
ABOUT = "stuck vCPUs"
THRESHOLD = 0
SOURCE = "the module's own judgement: a fault that repeats on one page, or does not end"


def check(seen):
    """Each one is told."""
    stuck = seen.now("time", "stuck")
    if stuck > THRESHOLD:
        rows = seen.vm.detail.get("stuck", ())
        yield Found(
            f"{stuck} of its vCPUs fault{'s' if stuck == 1 else ''} without getting on.",
            [f"time.stuck is {stuck}"] +
            [f"vCPU {row.get('vcpu')} at {row.get('gpa')}: {row.get('repeats')} faults in "
             f"{(row.get('since_ms') or 0) / 1000:.1f} s" for row in rows],
            "if a userfaultfd handler or a swapping VMM serves this memory, look at its log; "
            "else it is a bug of KVM: keep the output of 'kvmmem --json' and the kernel's log")
