# SPDX-License-Identifier: GPL-2.0
"""kvmmem align: how the page sizes of guest, KVM and host go together."""

import json

from . import one
from .units import show_percent, show_size, show_time

HELP = """\
An entry of the TLB covers the smaller one of the guest's page and KVM's. What is
huge in both is reached by few entries; what is huge in the guest only is lost,
what is huge in KVM's tables only is wasted. It asks the running module, so --from
does not go with it."""

BAR = 36
PARTS = (("reach_kb", "huge in guest and KVM: an entry covers 2M or more"),
         ("lost_kb", "lost: huge in the guest, small in KVM"),
         ("wasted_kb", "wasted: huge in KVM, small in the guest"),
         ("small_kb", "small in both"), ("not_yet_kb", "not mapped by KVM yet"))
WHY = {
    "no-paging": "The guest has no page tables: KVM's page sizes alone count.",
    "shadow-mmu": "KVM's tables cannot be walked: this VM runs on KVM's older MMU.",
    "unreadable": "The guest's first table is not in memory.",
    "encrypted": "The guest is encrypted: its tables cannot be read.",
    "in-l2": "The vCPU stays in a guest of its guest, so its own tables are not known.",
    "not-seen": "The vCPU does not leave the guest, so its tables are not known.",
    "busy": "Walks have taken their share of the processor (walk_share): try again.",
    "gone": "The VM has just ended.",
}


def add(parser):
    """The options of align."""
    parser.description = "How page sizes of a VM's guest, of KVM and of the host go together."
    parser.epilog = HELP
    one.add(parser)


check = one.check


def stripe(share):
    """A share of the whole width; what is not nothing is seen."""
    return "#" * max(round(share * BAR), int(share > 0))


def matrix(rows, mapped):
    """A line for each combination of sizes, the largest first."""
    yield f"  {'GUEST':<6} {'KVM':<5} {'HOST':<5} {'SIZE':>7}"
    for row in sorted(rows, key=lambda row: -row["size_kb"]):
        share = row["size_kb"] / mapped if mapped else 0
        yield f"  {row['guest']:<6} {row['kvm'] or '-':<5} {row['host']:<5} " \
              f"{show_size(row['size_kb']):>7} {show_percent(share):>4} {stripe(share)}"


def lines(rows):
    """All vCPUs."""
    for reach in rows.get("reach", ()):
        mapped = reach["mapped_kb"]
        head = f"vCPU {reach['vcpu']}"
        if mapped is None:
            yield f"{head}: {WHY.get(reach['why'], reach['why'])}"
            continue
        age = reach["age_us"]
        yield f"{head} maps {show_size(mapped)}" + \
            ("" if age is None else f", {show_time(age)} ago") + ":"
        yield from matrix([row for row in rows.get("align", ()) if row["vcpu"] == reach["vcpu"]],
                          mapped)
        yield ""
        for name, what in PARTS:
            if reach[name]:
                yield f"  {show_percent(reach[name] / mapped):>4} {what}"
        if reach["why"]:
            yield f"  {WHY.get(reach['why'], reach['why'])}"
        if reach["sampled"] == "yes" and reach["error_kb"] is not None:
            yield f"  An estimate: each is off by {show_size(reach['error_kb'])} or less, 19 " \
                  "times in 20."
        if reach["unread"]:
            yield f"  {reach['unread']} of its tables could not be read."
        yield ""


def run(args):
    """kvmmem align."""
    vm, directory = one.find(args.name)
    try:
        rows = one.rows(directory, vm, "alignment")
    except OSError as error:
        raise one.why_not(vm, "alignment", error) from None
    if args.json:
        print(json.dumps({"id": vm.id, "name": vm.name} | rows, indent=2))
        return
    print("\n".join(lines(rows)).rstrip())
