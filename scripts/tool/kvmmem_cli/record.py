# SPDX-License-Identifier: GPL-2.0
"""kvmmem record: write what happens into a file that every view can show later."""

import fcntl
import os
import platform
import sqlite3
import sys
import time

from . import VERSION, parse, store
from .errors import Failure
from .options import add_source, count, interval, number, source_of
from .snapshot import Snapshot
from .source import deadlines, hold_ends, wait_until
from .units import safe
from .words import split

HELP = """\
FILE is an SQLite database; what is in it is in Documentation/recording.rst. An
existing recording is continued. Ctrl-C ends it, and so may kill -9 or a power
cut: what was written before stays. While the module is not loaded it waits.

examples:
  kvmmem record -o host.kvmmem -i 10 --keep 7
  kvmmem stat --from host.kvmmem --begin 02:00 --end 02:10
  kvmmem record --from host.kvmmem --anonymize -o report-a-bug.kvmmem"""
INTERVAL, DETAIL, FORGET = 10.0, 60.0, 600.0     # seconds


def add(parser):
    """The options of record."""
    parser.description = "Record all that kvmmem can show, to look at it later."
    parser.epilog = HELP
    parser.add_argument("-o", dest="output", metavar="FILE", required=True,
                        help="the recording, new or to be continued")
    parser.add_argument("-i", dest="interval", metavar="SECONDS", type=interval,
                        help=f"from one reading to the next ({INTERVAL:g})")
    parser.add_argument("-n", dest="count", metavar="COUNT", type=count,
                        help="stop after COUNT readings (never)")
    parser.add_argument("--keep", metavar="DAYS", type=number(0.001, 36500),
                        help="drop what is older (never)")
    parser.add_argument("--detail", metavar="SECONDS", type=number(0, 86400), default=DETAIL,
                        help="from one reading of debugfs to the next, which walks the memory of "
                             f"each VM; 0: never ({DETAIL:g})")
    parser.add_argument("--anonymize", action="store_true",
                        help="leave out names and UUIDs of VMs and of processes")
    add_source(parser, file=False)


def check(args):
    """Do the options go together?"""
    if args.file:
        args.error("--file does not go with 'record'")
    if args.vm:
        args.error("--vm does not go with 'record', which takes all of the host")
    if args.recording:
        if os.path.realpath(args.recording) == os.path.realpath(args.output):
            args.error("--from and -o are the same file")
        if args.anonymize and os.path.exists(args.output):
            args.error("-o: with --from and --anonymize it is a new file; this one is there, and "
                       "may have names in it")


def anonymous(data):
    """A text without names of processes."""
    lines, at = [], {}
    for words in split(data):
        if words[0] == b"#" and b"comm" in words:
            at[words[1]] = words.index(b"comm") - 1
        elif words[0] in at and len(words) > at[words[0]]:
            words[at[words[0]]] = b"vmm"
        lines.append(b" ".join(words) + b"\n")
    return b"".join(lines)


class Anonymous:
    """Names that say nothing, the same VM always having the same."""

    def __init__(self):
        self.names = {}

    def give(self, vms):
        """Names instead of those that they have."""
        for vm in vms:
            vm.name = self.names.setdefault(vm.id, f"vm{len(self.names) + 1}")
            vm.uuid = None


def lock(path):
    """Nobody else may write to it. The file stays open as long as the process lives."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Failure(f"{safe(path)}: another kvmmem is recording into it") from None
    except OSError as error:
        raise Failure(f"{safe(path)}: {error.strerror.lower()}") from None


class Live:
    """Records the running module."""

    def __init__(self, writer, args):
        self.writer, self.args, self.source = writer, args, source_of(args)
        self.names = Anonymous() if args.anonymize else self.source.names
        self.vms = ()
        self.told = None        # when debugfs was read; None: nothing is recorded yet

    def _others(self, content):
        """What is not in /proc/kvmmem, as far as it is time to look."""
        found = {}
        due = self.told is None or time.monotonic() - self.told >= (self.args.detail or DETAIL)
        if content:
            self.vms = Snapshot(content).vms.values()
        if content or due:
            # A process that had no name yet may have got one.
            self.names.give(self.vms)
            found[store.NAMES] = store.names_text(self.vms)
        if due:
            self.told = time.monotonic()
            if self.args.detail:
                found |= self.source.detail.texts([vm.id for vm in self.vms])
        if self.args.anonymize and "ended" in found:
            found["ended"] = anonymous(found["ended"])
        return found

    def _reading(self):
        """One of them; returns its time."""
        clock, wall = time.monotonic(), time.time()
        try:
            data = self.source.read_bytes()
            self.writer.add(wall, clock, anonymous(data) if self.args.anonymize else data,
                            self._others)
        except ValueError as error:
            self._nothing(wall, clock, str(error))
        except Failure as error:
            if not self.source.seen:
                raise
            self._nothing(wall, clock, "the module is not loaded" if "gone" in str(error)
                          else str(error))
        return wall

    def _nothing(self, wall, clock, why):
        if self.told is None:
            raise Failure(f"{safe(self.source.path)}: {why}")
        self.writer.nothing(wall, clock, why)

    def run(self):
        """All of them."""
        begin, kept = time.monotonic(), None
        for turn, deadline in enumerate(self._times(begin)):
            if turn:
                wait_until(deadline)
            wall = self._reading()
            if self.args.keep and (kept is None or wall - kept >= FORGET):
                kept = wall
                self.writer.forget(wall - self.args.keep * 86400)

    def _times(self, begin):
        yield begin
        if self.args.count != 1:
            yield from deadlines(begin, self.args.interval or INTERVAL,
                                 self.args.count and self.args.count - 1)


class Copy:
    """Records a recording, or a part of it."""

    def __init__(self, writer, args):
        self.writer, self.args, self.source = writer, args, source_of(args)
        self.names = Anonymous()

    def run(self):
        """All readings of it."""
        session, sessions, before = None, self.source.sessions(), {}
        numbers = self.source.numbers(self.args.interval, self.args.count and self.args.count - 1)
        for at in numbers:
            wait_until(0)       # a signal may end it
            _tick, wall, clock, now, _gone = self.source.there[at]
            if now != session:
                session = now
                self.writer.new_session(sessions.get(now, (None, None, None)))
            data, texts = self.source.texts_at(at)
            new = {name: texts[name] for name, packed in texts.packed.items()
                   if before.get(name) != packed}
            before = texts.packed
            if self.args.anonymize:
                data, new = anonymous(data), self._anonymous(data, new)
            self.writer.add(wall, clock, data, lambda content, new=new: new)

    def _anonymous(self, data, texts):
        if "ended" in texts:
            texts["ended"] = anonymous(texts["ended"])
        vms = Snapshot(parse.proc_file(data)).vms.values()
        self.names.give(vms)
        return {**texts, store.NAMES: store.names_text(vms)}


def run(args):
    """kvmmem record."""
    hold_ends()
    lock(args.output)
    if sys.stderr.isatty():
        print(f"kvmmem: recording into {safe(args.output)}; Ctrl-C ends it", file=sys.stderr)
    with store.clear(args.output, "; recording has ended, what was recorded before is kept"):
        writer = store.Writer(args.output, args.interval or INTERVAL, platform.release(), VERSION)
        try:
            (Copy if args.recording else Live)(writer, args).run()
        finally:
            try:
                writer.close()
            except sqlite3.Error:
                pass        # what comes first counts
