# SPDX-License-Identifier: GPL-2.0
"""kvmmem stat: rates over intervals, like vmstat."""

import argparse
import collections
import itertools
import re
import shutil
import sys
import textwrap
import time

from .columns import COUNTERS, TITLES, find, made
from .interval import Change, Interval, total
from .options import add_source, count, interval, sort_column, source_of
from .source import hold_ends, wait_until
from .stat_data import CsvReport, JsonReport
from .units import RATES, clip, safe, show
from .wide import group_line

HELP = f"""\
The lines with "total" are counts since kvmmem first saw each VM (vmstat, too,
begins with totals). All others are rates per second over the real length of
the interval; LOST% and the columns beside it are shares of all vCPUs' time.
COUNT counts intervals, without the totals. A VM that is new in an interval
counts from 0; a VM that went away is "gone". The last line is the sum over
all VMs, and says how many of them did nothing. With --csv and --json there are
no totals, the columns are always the same, and what is unknown is empty or
null.

Columns: {TITLES}; or <type>.<column> of /proc/kvmmem.

examples:
  kvmmem stat -i 10 --top 5               the five VMs that lose most time
  kvmmem stat -e lost,inval,refaults      three columns
  kvmmem stat --rows inval --vm web       who takes memory from the VM web
  kvmmem stat --from last-night --begin 02:00 --json"""
SCREENFUL = 40      # VMs, where there is no screen


def chosen_columns(text):
    """A type of option: columns, with commas between them."""
    found = []
    for word in text.split(","):
        column = find(word)
        if not column and re.fullmatch(r"[A-Za-z]\w*\.\w+", word):
            column = made(*word.lower().split("."))
        if not column:
            raise argparse.ArgumentTypeError(f"no column '{word}', there are: {TITLES}")
        found.append(column)
    return found


def add(parser):
    """The options of stat."""
    parser.description = "Time lost, faults, invalidations and TLB flushes, for each VM."
    parser.epilog = HELP
    parser.add_argument("-i", dest="interval", metavar="SECONDS", type=interval,
                        help="length of an interval (1); of copies: between them")
    parser.add_argument("-n", dest="count", metavar="COUNT", type=count,
                        help="stop after COUNT intervals (never)")
    parser.add_argument("-e", dest="columns", metavar="COLUMN,...", type=chosen_columns,
                        help="these columns")
    parser.add_argument("--rows", metavar="TYPE,...",
                        help="all columns of these types of rows of /proc/kvmmem")
    parser.add_argument("--sort", metavar="COLUMN", type=sort_column,
                        help="order of the VMs, the biggest first")
    parser.add_argument("--top", metavar="N", type=count,
                        help="at most so many VMs (as many as fit on the screen)")
    parser.add_argument("--exact", action="store_true", help="numbers in full, without units")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="for programs; times are UTC")
    form.add_argument("--json", action="store_true",
                      help="for programs: an object for each VM and interval, one a line")
    add_source(parser)


def check(args):
    """Do the options go together?"""
    if args.columns and args.rows:
        args.error("-e and --rows do not go together")


class TextReport:
    """Lines for a person, like vmstat's."""

    NAME = 16           # the width of a VM's name
    LEFT = 9 + NAME     # of the time and the name

    def __init__(self, args, columns):
        self.args, self.wanted = args, columns
        self.width = 12 if args.exact else 6
        self.columns, self.hidden = [], []
        self.told = []  # the hidden ones that the reader knows of
        self.used = 0   # lines since the header, and with it

    def start(self, snapshot, changes):
        """Totals first, as vmstat does; nobody knows over how many seconds."""
        self._print(snapshot, "total", changes, [])

    def interval(self, new, _seconds, changes, gone):
        """The rates of one interval, and the VMs that went away in it."""
        self._print(new, time.strftime("%H:%M:%S", time.localtime(new.wall)), changes, gone)

    def _choose(self, snapshot, changes, width):
        """The columns that were ever known and fit in; True if they changed."""
        before = self.columns
        if self.wanted:
            self.columns = self.wanted
            return before != self.columns
        known = [c for c in COUNTERS if c.group and (
            c in self.columns + self.hidden or snapshot.has(c) and
            any(self._value(ch, c) is not None for ch in changes))]
        fit = max(1, (width - self.LEFT) // (self.width + 1)) if width else len(known)
        best = sorted(known, key=lambda c: c.rank)[:fit]
        self.columns = [c for c in known if c in best]
        self.hidden = [c for c in known if c not in best]
        return before != self.columns

    @staticmethod
    def _value(change, column):
        return change.value(column) if change.rated else change.vm.value(column)

    def _cells(self, values, rated):
        forms = ("exact" if self.args.exact else RATES.get(c.form, c.form) if rated else c.form
                 for c in self.columns)
        return "".join(f" {show(form, value):>{self.width}}"
                       for form, value in zip(forms, values))

    def _header(self, width):
        told = []
        if self.hidden and self.hidden != self.told:
            told = textwrap.wrap("Too narrow for (-e chooses): " + " ".join(
                c.short or c.title for c in self.hidden), max(width, 40))
            print("\n".join(told))
            self.told = self.hidden
        groups = group_line(self.columns, dict.fromkeys(self.columns, self.width), 1)
        if groups:
            print(" " * self.LEFT, groups)
        print(f"{'TIME':8} {'VM, per second':{self.NAME}}",
              *(f"{clip(c.short or c.title, self.width):>{self.width}}" for c in self.columns))
        self.used = 1 + bool(groups) + len(told)

    def _labels(self, vms):
        """What to call each of @vms: its id where a name is not one VM's alone."""
        names = {vm: clip(safe(vm.label), self.NAME) for vm in vms}
        uses = collections.Counter(names.values())
        return {vm: f"{name if uses[name] == 1 else safe(vm.id):{self.NAME}}"
                for vm, name in names.items()}

    def _some(self, changes, room):
        """Those that have a line, and how many did nothing."""
        idle = [ch for ch in changes if not any(self._value(ch, c) for c in self.columns)]
        limit = self.args.top or room
        if self.args.sort:
            changes = sorted(changes, key=lambda ch: -(self._value(ch, self.args.sort) or 0)
                             if self.args.sort.form != "text" else 0)
        elif len(changes) > limit:
            ranked = sorted(self.columns, key=lambda c: c.rank)
            changes = sorted((ch for ch in changes if ch not in idle), key=lambda ch: [
                -(self._value(ch, c) or 0) for c in ranked if c.form != "text"])
        return changes[:limit], len(idle)

    def _print(self, snapshot, when, changes, gone):
        size = shutil.get_terminal_size((80, 24)) if sys.stdout.isatty() else None
        changed = self._choose(snapshot, changes, size and size.columns)
        shown, idle = self._some(changes, max(3, size.lines - 5) if size else SCREENFUL)
        labels = self._labels([*snapshot.vms.values(), *gone])
        height = max(1, len(shown) + len(gone) + (len(changes) > 1))
        if self.columns and (changed or size and self.used + height >= size.lines):
            self._header(size.columns if size else 80)
        self.used += height
        for ch in shown:
            print(f"{when:8} {labels[ch.vm]}"
                  f"{self._cells((self._value(ch, c) for c in self.columns), ch.rated)}")
        for vm in gone:
            print(f"{when:8} {labels[vm]}   gone")
        if len(changes) > 1:
            self._total(when, changes, idle)
        if not changes and not gone:
            print(f"{when:8} no VM")

    def _total(self, when, changes, idle):
        rated = changes[0].rated
        values = []
        for c in self.columns:
            known = [] if c.form in ("text", "percent", "age") else \
                [v for v in (ch.vm.value(c) for ch in changes) if v is not None]
            values.append(total(changes, c) if rated and known else
                          sum(known) if known else None)
        label = clip(f"{len(changes)} VMs" + (f",{idle} idle" if idle else ""), self.NAME)
        print(f"{when:8} {label:{self.NAME}}{self._cells(values, rated)}")


def warn_lost(lost, when=""):
    """Events were lost: say it aside, as the rates look right without them."""
    if lost > 0:
        sys.stdout.flush()
        print(f"kvmmem: {lost} events were not counted{when}; the figures are too low, see "
              "/sys/kernel/debug/kvmmem/hooks", file=sys.stderr)


def _columns(args, snapshot):
    """What the user wants to see, or None for what there is."""
    if not args.rows:
        return args.columns
    kinds = [kind.strip().lower() for kind in args.rows.split(",")]
    for kind in kinds:
        if kind not in snapshot.headers:
            args.error(f"--rows: no rows of type '{kind}', there are: "
                       f"{' '.join(snapshot.headers)}")
    found = [made(kind, name) for kind in kinds for name in snapshot.headers[kind]
             if name not in ("vm", "id")]
    words = {(kind, name) for vm in snapshot.vms.values() for kind in kinds
             for row in vm.rows[kind] for name, value in row.items() if isinstance(value, str)}
    return [c for c in found if c.form != "text" and (c.kind, c.name) not in words]


def run(args):
    """kvmmem stat."""
    source = source_of(args)
    if not args.file:       # to read from a pipe may take any time
        hold_ends()
    report_on(source.steps(args.interval or 1.0 if source.live else args.interval, args.count),
              args, bool(args.recording))


def report_on(steps, args, held=False):
    """Print what happened from each reading to the next; @held: hold_ends() was called."""
    old = next(steps)
    vms = old.must_select(args.vm)
    columns = _columns(args, old)
    report = CsvReport(columns) if args.csv else JsonReport(columns) if args.json else \
        TextReport(args, columns)
    warn_lost(old.host.get("lost") or 0)
    report.start(old, [Change(vm, None, 1, False) for vm in vms])
    sys.stdout.flush()
    for old, new in itertools.pairwise(itertools.chain([old], steps)):
        step = Interval(old, new, args.vm)
        warn_lost(step.lost, " in this interval")
        report.interval(new, step.seconds, step.changes, step.gone)
        sys.stdout.flush()
        if held:
            wait_until(0)       # of a recording nothing else waits
