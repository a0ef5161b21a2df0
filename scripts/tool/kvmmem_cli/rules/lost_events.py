# SPDX-License-Identifier: GPL-2.0
"""Events that the module could not count."""

from . import Found

WORD, WEIGHT, SCOPE = "lost", 9, "host"
ABOUT = "events that were not counted"
THRESHOLD = 0
SOURCE = "the contract: 'lost' is 0 unless something is wrong"


def check(seen):
    """More than none is too many."""
    lost = seen.fact("lost")
    if lost > THRESHOLD:
        hooks = [row for row in seen.snapshot.rows.get("hook", ())
                 if row.get("state") not in ("attached", "absent", "off")]
        yield Found(
            f"{lost} events were not counted, so all counts are too low.",
            [f"lost is {lost}"] + [f"hook {row.get('name')} is {row.get('state')}: "
                                   f"{row.get('why_not')}" for row in hooks],
            "look at 'registry' and 'hooks' in /sys/kernel/debug/kvmmem; with more VMs than "
            "max_vms or vCPUs than max_vcpus load the module with larger ones")
