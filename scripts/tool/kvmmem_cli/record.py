# SPDX-License-Identifier: GPL-2.0
"""kvmmem record: write what happens into a file that every view can show later."""

import fcntl
import os
import platform
import sqlite3
import sys
import time

from . import VERSION, store
from .errors import Failure
from .options import add_source, count, interval, number, source_of
from .source import deadlines, hold_ends, wait_until
from .units import safe

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
    if args.recording and os.path.abspath(args.recording) == os.path.abspath(args.output):
        args.error("--from and -o are the same file")


class Anonymous:
    """Names that say nothing, the same VM always having the same."""

    def __init__(self):
        self.names = {}

    def __call__(self, snapshot):
        for vm in snapshot.vms.values():
            vm.name = self.names.setdefault(vm.id, f"vm{len(self.names) + 1}")
            vm.uuid = None
            for row in vm.rows["vm"]:
                if "comm" in row:
                    row["comm"] = "vmm"
        return snapshot


def lock(path):
    """Nobody else may write to it. The file stays open as long as the process lives."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Failure(f"{safe(path)}: another kvmmem is recording into it") from None
    except OSError as error:
        raise Failure(f"{safe(path)}: {error.strerror.lower()}") from None


def readings(source, args):
    """(time, clock, reading or why there is none), for ever."""
    begin = time.monotonic()
    told = None
    for turn, deadline in enumerate(_times(begin, args)):
        if turn:
            wait_until(deadline)
        try:
            snapshot = source.read()
            if args.detail and (told is None or time.monotonic() - told >= args.detail):
                told = time.monotonic()
                source.detail.give(snapshot, snapshot.vms.values())
            yield snapshot.wall, snapshot.clock, snapshot, None
        except Failure as error:
            if not source.seen:
                raise
            yield time.time(), time.monotonic(), None, str(error)


def _times(begin, args):
    yield begin
    if args.count != 1:
        yield from deadlines(begin, args.interval or INTERVAL, args.count and args.count - 1)


def _live(writer, args):
    """Record the running module."""
    edit = Anonymous() if args.anonymize else lambda snapshot: snapshot
    source = source_of(args)
    kept = None
    for wall, clock, snapshot, why in readings(source, args):
        if snapshot:
            writer.add(edit(snapshot))
        else:
            writer.nothing(wall, clock, "the module is not loaded" if "gone" in why else why)
        if args.keep and (kept is None or clock - kept >= FORGET):
            kept = clock
            writer.forget(wall - args.keep * 86400)


def _copy(writer, args):
    """Record a recording, or a part of it."""
    edit = Anonymous() if args.anonymize else lambda snapshot: snapshot
    source, session = source_of(args), None
    for snapshot in source.steps(args.interval, args.count and args.count - 1):
        if snapshot.session != session:
            session = snapshot.session
            writer.session += writer.whole != 0
            writer.about = args.interval, None, VERSION
        writer.add(edit(snapshot))


def run(args):
    """kvmmem record."""
    hold_ends()
    lock(args.output)
    if sys.stderr.isatty():
        print(f"kvmmem: recording into {safe(args.output)}; Ctrl-C ends it", file=sys.stderr)
    with store.clear(args.output, "; recording has ended, what was recorded before is kept"):
        writer = store.Writer(args.output, args.interval or INTERVAL, platform.release(), VERSION)
        try:
            (_copy if args.recording else _live)(writer, args)
        finally:
            try:
                writer.close()
            except sqlite3.Error:
                pass        # what comes first counts
