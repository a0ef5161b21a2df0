# SPDX-License-Identifier: GPL-2.0
"""vCPUs spend their time in faults."""

from . import Found, Unseen

WORD, WEIGHT, SCOPE = "slow", 6, "vm"
ABOUT = "time lost to faults"
THRESHOLD = 0.05
SOURCE = "the alert of the same name; below it, noise of boots and first touches"


def check(seen):
    """The share of all vCPUs' time."""
    lost = seen.rate("time.total_us")
    if lost <= THRESHOLD:
        return
    evidence = [f"{lost:.1%} of its vCPUs' time"]
    worst = ("", 0.0)
    for name, what in (("kvm_us", "in KVM"), ("asleep_us", "asleep or preempted"),
                       ("user_us", "in user space")):
        try:
            part = seen.rate(f"time.{name}")
        except Unseen:
            continue
        evidence.append(f"{part:.1%} {what}")
        worst = max(worst, (what, part), key=lambda pair: pair[1])
    yield Found(
        f"its vCPUs lose {lost:.1%} of their time to faults"
        f"{', most of it ' + worst[0] if worst[0] else ''}.", evidence,
        {"asleep or preempted": "it waits for memory: look for swapping, and for processors "
                                "that have too much to do",
         "in user space": "the VMM serves faults (userfaultfd, postcopy, its own swapping): look "
                          "there",
         }.get(worst[0], "memory is being touched for the first time, or comes back after "
                         "somebody took it away: see what else is said of this VM"))
