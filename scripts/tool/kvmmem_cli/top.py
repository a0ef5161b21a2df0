# SPDX-License-Identifier: GPL-2.0
"""kvmmem top: a full screen of all VMs, or of one, now or as it was recorded."""

import curses
import locale
import os
import signal
import sys
import time

from . import page, rules
from .columns import find
from .errors import Failure
from .feed import Now, Then
from .interval import Change, Interval, total
from .listing import COLUMNS, Listing, title, value
from .options import add_source, interval, sort_column, source_of
from .units import RATES, clip, safe, show

HELP = """\
Keys: ? explains them. All work on a recording, too, and there space pauses,
left and right step, [ and ] jump by ten minutes, Home and End go to its ends."""
KEYS = (("up, down, PgUp, PgDn", "choose a VM"), ("Enter", "the page of that VM; Esc: back"),
        ("< >", "sort by the column to the left, to the right"), ("r", "the other way round"),
        ("/", "show only VMs with these letters in their names; Esc: all"),
        ("i", "hide VMs that do nothing"), ("space", "pause"),
        ("+ -", "refresh more often, less often"), ("q", "quit"))
REPLAY_KEYS = (("left, right", "one reading back, one on"), ("[ ]", "ten minutes back, on"),
               ("Home, End", "to the beginning, to the end"))


def add(parser):
    """The options of top."""
    parser.description = "All VMs on a full screen, refreshed."
    parser.epilog = HELP
    parser.add_argument("-i", dest="interval", metavar="SECONDS", type=interval, default=2.0,
                        help="from one refresh to the next (2)")
    parser.add_argument("--sort", metavar="COLUMN", type=sort_column,
                        help="what the VMs are sorted by at first (time lost, or violations)")
    add_source(parser, file=False)


def check(args):
    """Do the options go together?"""
    if args.file:
        args.error("--file does not go with 'top', which wants readings over time")


class Screen:
    """What is on the terminal, and what keys do to it."""

    def __init__(self, window, feed, args):
        self.window, self.feed, self.args = window, feed, args
        self.bad = _bad()
        lost = find("lost")
        self.sort = args.sort or (lost if feed.new.has(lost) else find("violations"))
        self.reverse = False
        self.marked, self.first = 0, 0              # a VM's line, and the first on the screen
        self.filter, self.typing = "", False
        self.hide_idle, self.help, self.vm = False, False, None
        self.scroll = 0
        self.changes, self.shown = [], []

    # What there is to see.

    def update(self):
        """Take in the reading that the feed has."""
        new, old = self.feed.new, self.feed.old
        self.changes = Interval(old, new, self.args.vm).changes if old else \
            [Change(vm, None, 1, False) for vm in new.select(self.args.vm)]

    def _order(self):
        marked = self.shown[self.marked].vm.id if 0 < self.marked < len(self.shown) else None
        wanted = self.filter.lower()
        found = [ch for ch in self.changes if wanted in safe(ch.vm.label).lower()]
        if self.hide_idle:
            found = [ch for ch in found
                     if any(value(ch, c) for c in COLUMNS if c.form in RATES)]
        keys = [(value(ch, self.sort), ch) for ch in found]
        known = [pair for pair in keys if pair[0] is not None]
        text = self.sort.form == "text"
        known.sort(key=lambda pair: str(pair[0]).lower() if text else pair[0],
                   reverse=self.reverse == text)
        self.shown = [ch for _, ch in known] + [ch for number, ch in keys if number is None]
        ids = [ch.vm.id for ch in self.shown]
        # The mark stays on its VM, wherever that goes; but on top it stays on top.
        self.marked = ids.index(marked) if marked in ids else min(self.marked,
                                                                  max(0, len(ids) - 1))

    # How it is drawn.

    def _put(self, line, text, attribute=0):
        height, width = self.window.getmaxyx()
        if 0 <= line < height:
            # The last place of the last line cannot be written to.
            text = text[:width - (line == height - 1)]
            try:
                self.window.addstr(line, 0, text, attribute)
            except curses.error:
                pass        # it became smaller just now

    def _list(self, height, width):
        self._order()
        listing = Listing(self.changes, self.feed.new, width)
        self._put(3, listing.titles(self.sort).ljust(width), curses.A_REVERSE)
        room = max(1, height - 6)
        self.first = min(max(self.first, self.marked - room + 1), self.marked)
        for line, change in enumerate(self.shown[self.first:self.first + room]):
            text, wrong = listing.line(change)
            attribute = self.bad if wrong else 0
            if self.first + line == self.marked:
                attribute |= curses.A_REVERSE
                text = text.ljust(width)
            self._put(4 + line, text, attribute)
        if not self.shown:
            self._put(4, "no VM" if not self.changes else "no VM of those is shown")
        self._put(height - 2, f"{len(self.shown)} of {len(self.changes)} VMs" + (
            f", names with '{safe(self.filter)}'" if self.filter else ""))

    def _head(self, width):
        new = self.feed.new
        parts = [f"kvmmem {self.feed.status()}", f"{len(new.vms)} VMs"]
        for name in ("time.total_us", "fault.ept_violations", "inval.calls", "flush.vcpu"):
            column = find(name)
            number = total(self.changes, column) if self.feed.old else None
            if number is not None:
                parts.append(f"{title(column).lower().rstrip('%')} "
                             f"{show(RATES[column.form], number)}"
                             f"{'' if column.form == 'busy' else '/s'}")
        memory = [show("size", new.host.get(name)) for name in ("mem_available_kb",
                                                                "mem_total_kb")]
        parts.insert(2, f"{memory[0]} of {memory[1]} available")
        while len("  ".join(parts)) > width and len(parts) > 2:
            parts.pop()
        self._put(0, clip("  ".join(parts), width), curses.A_BOLD)
        words = [one.text for one in rules.of_host(Change(None, None, 1, False), new)]
        self._put(1, clip(self.feed.trouble or "  ".join(words), width),
                  self.bad)

    def draw(self):
        """All of it; curses sends what differs from what is there."""
        height, width = self.window.getmaxyx()
        self.window.erase()
        self._head(width)
        if self.help:
            keys = KEYS + (REPLAY_KEYS if isinstance(self.feed, Then) else ())
            for line, (key, what) in enumerate(keys):
                self._put(3 + line, f"  {key:22} {what}")
        elif self.vm:
            change = next((ch for ch in self.changes if ch.vm.id == self.vm), None)
            lines = page.lines(change, self.feed.new, width) if change else [
                "This VM has ended."]
            self.scroll = min(self.scroll, max(0, len(lines) - (height - 4)))
            for line, text in enumerate(lines[self.scroll:self.scroll + height - 4]):
                self._put(2 + line, text, curses.A_BOLD if text and text[0] != " " else 0)
        else:
            self._list(height, width)
        bottom = f"/{safe(self.filter)}_" if self.typing else \
            "Esc: back  q: quit" if self.help else \
            "up, down: scroll  Esc: back  ?: help  q: quit" if self.vm else \
            "?: help  Enter: a VM's page  < >: sort  /: filter  space: pause  q: quit"
        self._put(height - 1, clip(bottom, width - 1))
        self.window.refresh()

    # What keys do.

    def key(self, key):
        """One key; False to quit."""
        if self.typing:
            self._type(key)
        elif key in ("q", "Q"):
            return False
        elif key == "\x1b":
            if not (self.help or self.vm):
                self.filter = ""
            self.help, self.vm = False, None
        elif key in ("?", "h"):
            self.help = not self.help
        elif not self.feed.key(key):
            self._move(key)
        return True

    def _type(self, key):
        if key in ("\n", "\r", "KEY_ENTER", "\x1b"):
            self.typing = False
            if key == "\x1b":
                self.filter = ""
        elif key in ("KEY_BACKSPACE", "\x7f", "\b"):
            self.filter = self.filter[:-1]
        elif len(key) == 1 and key.isprintable():
            self.filter += key

    def _move(self, key):
        height = self.window.getmaxyx()[0]
        steps = {"KEY_UP": -1, "k": -1, "KEY_DOWN": 1, "j": 1, "KEY_PPAGE": 6 - height,
                 "KEY_NPAGE": height - 6}
        if key in steps and self.vm:
            self.scroll = max(0, self.scroll + steps[key])
        elif key in steps:
            self.marked = min(max(0, len(self.shown) - 1), max(0, self.marked + steps[key]))
        elif key in ("\n", "\r", "KEY_ENTER") and self.shown:
            self.vm, self.scroll, self.feed.due = self.shown[self.marked].vm.id, 0, 0.0
        elif key in ("<", ">"):
            there = [c for c in COLUMNS if self.feed.new.has(c)]
            at = there.index(self.sort) if self.sort in there else 0
            self.sort = there[(at + (1 if key == ">" else -1)) % len(there)]
        elif key == "r":
            self.reverse = not self.reverse
        elif key == "i":
            self.hide_idle = not self.hide_idle
        elif key == "/":
            self.typing, self.filter = True, ""


def _bad():
    """How what is wrong looks: to be read on white and on black, and without colours."""
    if not curses.has_colors():
        return curses.A_BOLD
    curses.use_default_colors()
    if os.environ.get("NO_COLOR"):
        return curses.A_BOLD
    curses.init_pair(1, curses.COLOR_RED, -1)
    return curses.A_BOLD | curses.color_pair(1)


def _loop(window, feed, args):
    try:
        curses.curs_set(0)
    except curses.error:
        pass                # this terminal's cursor cannot be hidden
    screen = Screen(window, feed, args)
    screen.update()         # the first reading is there already
    going = True
    while going:
        if feed.refresh(screen.vm):
            screen.update()
        screen.draw()
        window.timeout(feed.wait_ms())
        try:
            key = window.get_wch()
        except curses.error:
            continue        # none was pressed
        if isinstance(key, int):
            key = "" if key == curses.KEY_RESIZE else curses.keyname(key).decode()
        going = screen.key(key)


def run(args):
    """kvmmem top."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Failure("top wants a terminal; 'kvmmem stat' does without")
    source = source_of(args)
    feed = (Now if source.live else Then)(source, args.interval)
    feed.refresh(None)      # what is wrong is said before the screen is taken
    feed.new.must_select(args.vm)
    feed.due = time.monotonic() + min(1.0, args.interval)
    locale.setlocale(locale.LC_ALL, "")
    os.environ.setdefault("ESCDELAY", "25")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)   # the terminal is put in order first
    try:
        curses.wrapper(_loop, feed, args)
    except curses.error as error:
        raise Failure(f"the terminal cannot do it: {error}") from None
