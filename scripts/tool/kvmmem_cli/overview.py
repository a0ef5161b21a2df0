# SPDX-License-Identifier: GPL-2.0
"""kvmmem without a command: what matters of each VM, on one screen."""

import re
import shutil
import sys
import textwrap

from . import ended, rules
from .columns import find
from .interval import Change, Interval, total
from .options import interval, sort_column, source_of
from .units import RATES, clip, safe, show
from .wide import cut_line, host_lines, json_text, sorted_by, table_lines

# Of the options before a command, those that no command takes.
OPTIONS = ("sort", "wide", "json", "raw", "ended", "sample", "all")
SAMPLE = 0.3        # seconds, long enough for a rate that says something

# Titles, and where each value is.
SHOWN = [find(name)._replace(title=title) for title, name in (
    ("VCPUS", "vm.vcpus"), ("MEM", "vm.mem_kb"), ("SWAP", "vm.swap_kb"),
    ("HOST-HUGE", "share.host"), ("EPT-HUGE", "share.ept"), ("LOST", "time.total_us"),
    ("FAULTS", "fault.ept_violations"), ("TAKEN", "inval.calls"), ("FLUSHES", "flush.vcpu"))]

# Those that go first where the screen is narrow.
DISPENSABLE = ("VCPUS", "SWAP", "TAKEN", "MEM")


def add(parser):
    """The options of the table."""
    parser.add_argument("--sort", dest="home_sort", metavar="COLUMN", type=sort_column,
                        help="order of the table: amounts from the biggest, names from A")
    parser.add_argument("--sample", dest="home_sample", metavar="SECONDS", type=interval,
                        help=f"how long to look for rates ({SAMPLE})")
    parser.add_argument("--all", dest="home_all", action="store_true",
                        help="all VMs, also when they are more than the screen has lines")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--wide", dest="home_wide", action="store_true",
                      help="all columns in groups; counts are since the module saw the VM")
    form.add_argument("--json", dest="home_json", action="store_true",
                      help="exact values, for programs")
    form.add_argument("--ended", dest="home_ended", action="store_true",
                      help="the last VMs that ended, with what they had then")
    form.add_argument("--raw", dest="home_raw", action="store_true",
                      help="/proc/kvmmem as it is; of a recording, as it was at its --end")


def check(args):
    """Do the options go together?"""
    if args.home_raw and (args.vm or args.home_sort):
        args.error("--raw prints the whole file; it does not go with --vm and --sort")
    if args.home_ended and (args.vm or args.home_sort or args.file):
        args.error("--ended does not go with --vm, --sort and --file")


def _raw(source):
    data = source.read_bytes()
    if sys.stdout.isatty():
        # A saved copy may come from anyone.
        data = re.sub(rb"[^\n\t -~]", b"?", data)
    sys.stdout.buffer.write(data)


class Screen:
    """The lines of one screen, of one or two readings."""

    def __init__(self, snapshot, changes, rated):
        self.snapshot, self.changes, self.rated = snapshot, changes, rated
        self.found = {change.vm: rules.of_vm(change, snapshot) for change in changes}
        self.columns = [c for c in SHOWN if snapshot.has(c) and
                        (c.name != "swap_kb" or any(ch.vm.value(c) for ch in changes))]

    def _value(self, change, column):
        return change.value(column) if self.rated else change.vm.value(column)

    def _show(self, value, column):
        return show(RATES.get(column.form, column.form) if self.rated else column.form, value)

    def _titles(self):
        return ["NAME"] + [c.title + ("/s" if self.rated and c.form == "count" else "")
                           for c in self.columns] + ["WRONG"]

    def _row(self, change, findings):
        return [safe(change.vm.label)] + \
            [self._show(self._value(change, c), c) for c in self.columns] + \
            [", ".join(dict.fromkeys(f.word for f in findings))]

    def _host_row(self, rest):
        cells = [f"all {len(self.changes)}" + (f", {rest} not shown" if rest else "")]
        for c in self.columns:
            values = [change.vm.value(c) for change in self.changes]
            if c.kind == "share":
                cells.append("")
            elif self.rated:
                cells.append(self._show(total(self.changes, c), c))
            else:
                known = [value for value in values if value is not None]
                cells.append(self._show(sum(known) if known else None, c))
        return cells + [""]

    def order(self, sort):
        """Changes, what matters first: what is wrong, then who loses most."""
        if sort:
            by_vm = {change.vm: change for change in self.changes}
            if self.rated and sort.form in RATES:
                return sorted(self.changes, key=lambda ch: -(ch.value(sort) or 0))
            return [by_vm[vm] for vm in sorted_by(list(by_vm), sort)]
        lost, faults = find("time.total_us"), find("fault.ept_violations")
        return sorted(self.changes, key=lambda ch: (
            -sum(f.weight for f in self.found[ch.vm]), -(self._value(ch, lost) or 0),
            -(self._value(ch, faults) or 0)))

    def _widths(self, table, limit):
        """What remains beside all numbers is for names and words; columns go for them."""
        widths = [max(map(len, column)) for column in zip(*table)]
        for title in DISPENSABLE:
            least = min(widths[0], 12) + min(widths[-1], 12) + 2 * (len(widths) - 1)
            if least + sum(widths[1:-1]) <= limit:
                break
            titles = [text.removesuffix("/s") for text in table[0]]
            at = titles.index(title) if title in titles else 0
            for row in [widths, *table] if at else ():
                del row[at]
        numbers = sum(width + 2 for width in widths[1:-1])
        widths[0] = min(widths[0], max(12, limit - numbers - min(widths[-1], 18) - 2))
        widths[-1] = min(widths[-1], max(5, limit - numbers - widths[0] - 2))
        return widths

    def lines(self, limit, height, sort):
        """Titles, a line for each VM, and one for all."""
        shown = self.order(sort)[:height]
        rest = len(self.changes) - len(shown)
        table = [self._titles()] + [self._row(change, self.found[change.vm]) for change in shown]
        if len(self.changes) > 1:
            table.append(self._host_row(rest))
        widths = self._widths(table, limit)
        for row in table:
            yield "  ".join([clip(row[0], widths[0]).ljust(widths[0])] +
                            [text.rjust(width) for text, width in zip(row[1:-1], widths[1:-1])] +
                            [clip(row[-1], widths[-1])]).rstrip()


def notes(screen):
    """What the reader of the screen must know."""
    snapshot, rated = screen.snapshot, screen.rated
    if snapshot.cut:
        yield cut_line(snapshot)
    if not rated:
        yield "Counts are since kvmmem first saw the VM: one copy has no rates."
    hosts = rules.of_host(Change(None, None, 1, rated), snapshot)
    for finding in hosts:
        yield f"{finding.word}: {finding.text}"
    if hosts or any(screen.found.values()):
        yield "\"kvmmem explain\" says what it means and what to do."


def run(args):
    """kvmmem without a subcommand."""
    source = source_of(args)
    if args.home_raw:
        _raw(source)
        return
    limit, height = shutil.get_terminal_size((120, 24))
    if args.home_ended:
        snapshot = source.read()
        if source.detail:
            source.detail.give(snapshot, [])
        print("\n".join(ended.lines(snapshot, limit)))
        return
    if args.home_json or args.home_wide:
        snapshot = source.read()
        vms = snapshot.must_select(args.vm)
        if args.home_sort:
            vms = sorted_by(vms, args.home_sort)
        print(json_text(snapshot, vms) if args.home_json else
              "\n".join(table_lines(snapshot, vms, limit)))
        return
    old, new = (list(source.pair(args.home_sample or SAMPLE)) * 2)[:2]
    new.must_select(args.vm)
    rated = new is not old
    changes = Interval(old, new, args.vm).changes if rated else \
        [Change(vm, None, 1, False) for vm in new.select(args.vm)]
    for line in host_lines(new):
        print(line)
    print()
    if not changes:
        print("No VM is known to the module.")
        return
    everyone = args.home_all or not sys.stdout.isatty()
    screen = Screen(new, changes, rated)
    for line in screen.lines(limit, None if everyone else max(3, height - 10), args.home_sort):
        print(line)
    print()
    for note in notes(screen):
        print(textwrap.fill(note, max(limit, 40)))
