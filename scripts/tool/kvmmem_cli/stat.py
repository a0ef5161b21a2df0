# SPDX-License-Identifier: GPL-2.0
"""kvmmem stat: rates over intervals, like vmstat."""

import collections
import csv
import datetime
import shutil
import signal
import sys
import time

from .columns import COUNTERS
from .source import Source
from .table import group_line
from .units import clip, safe, show


class Restarted(Exception):
    """A counter shrank: counters only grow, so it is a new VM with an old id."""


def increase(new, old, column):
    """How much a counter of VM @new grew; @old is what it was, None for a new VM.

    Row by row, as a VM's tags come and go: a tag that is new counts from 0.
    """
    def by_tag(vm):
        return {(row.get("vcpu"), row.get("vpid")) if column.kind == "vpid" else 0:
                row.get(column.name) for row in (vm.rows[column.kind] if vm else ())}

    before, now = by_tag(old), by_tag(new)
    pairs = [(value, before.get(tag, 0)) for tag, value in now.items()]
    if any(None not in pair and pair[0] < pair[1] for pair in pairs):
        raise Restarted
    if not pairs or any(None in pair for pair in pairs):
        return None
    return sum(value - was for value, was in pairs)


def rates(new, old, seconds):
    """What each counter of a VM grew by in a second."""
    try:
        grown = {c: increase(new, old, c) for c in COUNTERS}
    except Restarted:
        grown = {c: increase(new, None, c) for c in COUNTERS}
    return {c: None if n is None else n / seconds for c, n in grown.items()}


class CsvReport:
    """A line for each VM and interval, for programs."""

    def __init__(self):
        self.out = csv.writer(sys.stdout, lineterminator="\n")

    def start(self, _snapshot, _vms):
        """The only header line."""
        names = [c.name if c.kind == "fault" else f"{c.kind}_{c.name}" for c in COUNTERS]
        self.out.writerow(["time", "interval_s", "id", "name"] + [f"{n}_per_s" for n in names])

    def interval(self, snapshot, seconds, rows, _gone):
        """The rates of one interval; what is unknown is an empty field."""
        when = datetime.datetime.fromtimestamp(snapshot.wall, datetime.timezone.utc)
        stamp = when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for vm, values in rows:
            self.out.writerow([stamp, f"{seconds:.6f}", safe(vm.id), safe(vm.name or "")] +
                              ["" if v is None else f"{v:.3f}" for v in values.values()])


class TextReport:
    """Lines for a person, like vmstat's."""

    NAME = 16           # the width of a VM's name
    LEFT = 9 + NAME     # of the time and the name

    def __init__(self):
        self.columns, self.hidden = [], []
        self.used = 0   # lines since the header, and with it

    def start(self, snapshot, vms):
        """Totals first, as vmstat does; nobody knows over how many seconds."""
        rows = [(vm, {c: vm.value(c) for c in COUNTERS}) for vm in vms]
        self._print(snapshot, "total", "count", rows, [])

    def interval(self, snapshot, _seconds, rows, gone):
        """The rates of one interval, and the VMs that went away in it."""
        stamp = time.strftime("%H:%M:%S", time.localtime(snapshot.wall))
        self._print(snapshot, stamp, "rate", rows, gone)

    def _choose(self, rows, width):
        """The columns that were ever known and fit in; True if they changed."""
        known = [c for c in COUNTERS if c.group and
                 (c in self.columns + self.hidden or any(v[c] is not None for _vm, v in rows))]
        fit = max(1, (width - self.LEFT) // 7) if width else len(known)
        before, self.columns, self.hidden = self.columns, known[:fit], known[fit:]
        return before != self.columns

    def _header(self):
        if self.hidden:
            print("Too narrow for:", *(c.short or c.title for c in self.hidden))
        print(" " * self.LEFT, group_line(self.columns, dict.fromkeys(self.columns, 6), 1))
        print(f"{'TIME':8} {'VM, per second':{self.NAME}}",
              *(f"{c.short or c.title:>6}" for c in self.columns))
        self.used = 2 + bool(self.hidden)

    def _labels(self, vms):
        """What to call each of @vms: its id where a name is not one VM's alone."""
        names = {vm: clip(safe(vm.name or vm.id), self.NAME) for vm in vms}
        uses = collections.Counter(names.values())
        return {vm: f"{name if uses[name] == 1 else safe(vm.id):{self.NAME}}"
                for vm, name in names.items()}

    def _print(self, snapshot, stamp, form, rows, gone):
        size = shutil.get_terminal_size((80, 24)) if sys.stdout.isatty() else None
        labels = self._labels([*snapshot.vms.values(), *gone])
        height = max(1, len(rows) + len(gone))
        changed = self._choose(rows, size and size.columns)
        if self.columns and (changed or size and self.used + height >= size.lines):
            self._header()
        self.used += height
        for vm, values in rows:
            print(f"{stamp:8} {labels[vm]}",
                  *(f"{show(form, values[c]):>6}" for c in self.columns))
        for vm in gone:
            print(f"{stamp:8} {labels[vm]}   gone")
        if not rows and not gone:
            print(f"{stamp:8} no VM")


def warn_lost(lost, when=""):
    """Events were lost: say it aside, as the rates look right without them."""
    if lost > 0:
        sys.stdout.flush()
        print(f"kvmmem: {lost} events were not counted{when}; the figures are too low, see "
              "/sys/kernel/debug/kvmmem/hooks", file=sys.stderr)


# These end stat, but only while it waits: a line is never cut in two.
ENDS = {signal.SIGINT, signal.SIGPIPE}


def hold_ends():
    """From here on ENDS raise KeyboardInterrupt, in wait_until() only."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    for number in ENDS:
        signal.signal(number, signal.default_int_handler)


def wait_until(deadline):
    """Sleep; KeyboardInterrupt if one of ENDS comes."""
    # Not by sigtimedwait(): Python's takes a deadline that passed while the
    # process was stopped for a signal.
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)
        time.sleep(max(0, deadline - time.monotonic()))
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)


def stat(args):
    """kvmmem stat: rates over intervals."""
    hold_ends()
    source = Source(args.file)
    old = source.read()
    vms, start, tick, done = old.must_select(args.vm), old.clock, 0, 0
    report = CsvReport() if args.csv else TextReport()
    warn_lost(old.host.get("lost") or 0)
    report.start(old, vms)
    sys.stdout.flush()
    while args.count is None or done < args.count:
        # Deadlines count from the start, so that delays do not add up; those that
        # passed while we were stopped are left out.
        tick = max(tick, int((time.monotonic() - start) / args.interval)) + 1
        wait_until(start + tick * args.interval)
        new = source.read()
        seconds = new.clock - old.clock
        gone = [vm for vm in vms if vm.id not in new.vms]
        vms = new.select(args.vm)
        warn_lost((new.host.get("lost") or 0) - (old.host.get("lost") or 0), " in this interval")
        report.interval(new, seconds,
                        [(vm, rates(vm, old.vms.get(vm.id), seconds)) for vm in vms], gone)
        sys.stdout.flush()
        old, done = new, done + 1
