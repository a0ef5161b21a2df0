# SPDX-License-Identifier: GPL-2.0
"""The report for a terminal, and what both reports say in words."""

import datetime
import sys

from . import rules
from .columns import CAUSES, INITIATORS
from .interval import Change
from .replay import Replay
from .units import clip, safe, show, show_lost, show_rate


def findings(history, wanted):
    """[(VM's id or "", finding)] at the end of the recording."""
    last = history.last
    found = [("", one) for one in rules.of_host(Change(None, None, 1, False), last)]
    for vm in last.select(wanted):
        change = Change(vm, None, 1, False)
        found += [(vm.id, one) for one in rules.of_vm(change, last, bool(vm.detail))]
    return found


def spark(values, width):
    """A line of characters as high as the values are."""
    marks = "▁▂▃▄▅▆▇█" if str(sys.stdout.encoding).lower() in ("utf-8", "utf8") else "_.:-=+*#"
    bins = [[v for v in values[at * len(values) // width:
                               max((at + 1) * len(values) // width,
                                   at * len(values) // width + 1)] if v is not None]
            for at in range(min(width, len(values)))]
    most = max((max(some) for some in bins if some), default=0)
    return "".join(" " if not some else marks[round((len(marks) - 1) * max(some) / most)]
                   if most else marks[0] for some in bins)


def _of_vms(history, room):
    """Who lost most, and when."""
    lost = any(any(series.values.get(("", "lost"), ())) for series in history.vms.values())
    key, title, form = (("", "lost"), "TIME LOST", show_lost) if lost else \
        (("", "faults"), "VIOLATIONS/s", show_rate)
    yield f"{'VM':20} {title:>12} {'AT MOST':>8} {'AT':>8}  OVER TIME"
    rows, labels = [], history.labels()
    for ident, series in history.vms.items():
        values = series.values.get(key, [])
        known = [value for value in values if value is not None]
        if known:
            rows.append((sum(known) / len(known), max(known), values, ident))
    for mean, most, values, ident in sorted(rows, key=lambda row: -row[1]):
        when = datetime.datetime.fromtimestamp(history.times[values.index(most)])
        yield (f"{clip(safe(labels[ident]), 20):20} {form(mean):>12} {form(most):>8} "
               f"{when:%H:%M:%S}  {spark(values, room)}").rstrip()


def _of_host(history, room):
    """Causes and memory, over all VMs."""
    for group, names, what in (("flush", CAUSES, "TLB flushes a second, by cause"),
                               ("inval", INITIATORS, "Memory taken away, by initiator")):
        sums = history.sums(group, names)
        if sums:
            yield f"\n{what}"
        for name, values in sorted(sums.items(), key=lambda pair: -max(pair[1])):
            yield (f"  {name.replace('_', ' '):18} {'':12} {show_rate(max(values)):>8} {'':8}  "
                   f"{spark(values, room)}")
    yield "\nMemory of the host"
    for name, values in history.host.items():
        known = [value for value in values if value is not None]
        if known:
            yield (f"  {name:18} {show('size', known[-1]):>12} {show('size', max(known)):>8} "
                   f"{'':8}  {spark(values, room)}")


def lines(history, wanted, width):
    """All of it."""
    labels, room = history.labels(), max(10, width - 60)
    yield (f"{Replay.stamp(history.begin)} to {Replay.stamp(history.end)}, {history.readings} "
           f"readings, {len(history.vms)} VMs")
    yield ""
    yield from _of_vms(history, room)
    yield from _of_host(history, room)
    events = history.events()
    if events:
        yield "\nEvents"
    for when, ident, what in events:
        whose = safe(labels.get(ident, ident)) + ": " if ident else ""
        yield f"  {Replay.stamp(when)}  {whose}{safe(what)}"
    found = findings(history, wanted)
    if found:
        yield "\nAt the end"
    for ident, one in found:
        yield f"  {safe(labels.get(ident, ident)) if ident else 'the host'}: {one.text}"
