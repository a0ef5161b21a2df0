# SPDX-License-Identifier: GPL-2.0
"""vCPUs that fault without getting on."""

from . import Found

WORD, WEIGHT, SCOPE = "stuck", 8, "vm"
ABOUT = "stuck vCPUs"
THRESHOLD = 0
SOURCE = "the module's own judgement: a fault that repeats on one page, or does not end"


def _told(row):
    where, seconds = row.get("gpa") or "-", (row.get("since_ms") or 0) / 1000
    if row.get("repeats"):
        return f"vCPU {row.get('vcpu')} at {where}: {row['repeats']} faults in {seconds:.1f} s"
    return f"vCPU {row.get('vcpu')} at {where}: one fault that has not ended for {seconds:.1f} s"


def check(seen):
    """Each one is told."""
    stuck = seen.now("time", "stuck")
    if stuck > THRESHOLD:
        yield Found(
            f"{stuck} of its vCPUs do{'es' if stuck == 1 else ''} not get on: "
            "faults repeat, or one does not end.",
            [f"time.stuck is {stuck}"] + [_told(row) for row in seen.vm.detail.get("stuck", ())],
            "if a userfaultfd handler or a swapping VMM serves this memory, look at its log; "
            "else it is a bug of KVM: keep the output of 'kvmmem --json' and the kernel's log")
