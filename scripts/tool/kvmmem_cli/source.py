# SPDX-License-Identifier: GPL-2.0
"""Where readings come from: the running module, or saved copies.

A recording is another one, in replay.py. Each has read(), which returns a reading,
and steps(), which returns one after the other.
"""

import os
import select
import signal
import sys
import time

from . import parse
from .detail import Detail
from .errors import Failure
from .names import Names
from .snapshot import Snapshot
from .units import safe

# These end what waits, but only while it waits: a line is never cut in two.
ENDS = {signal.SIGINT, signal.SIGPIPE, signal.SIGTERM}


# A signal writes to the one, and who sleeps reads from the other: time.sleep() misses a
# signal that comes when it has begun and does not sleep yet.
_WOKEN, _WAKES = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)


def hold_ends():
    """From here on ENDS raise KeyboardInterrupt, in wait_until() only."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    for number in ENDS:
        signal.signal(number, signal.default_int_handler)
    signal.set_wakeup_fd(_WAKES, warn_on_full_buffer=False)


def wait_until(deadline):
    """Sleep; KeyboardInterrupt if one of ENDS comes."""
    # Not by sigtimedwait(): Python's takes a deadline that passed while the
    # process was stopped for a signal.
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)
        while select.select([_WOKEN], [], [], max(0, deadline - time.monotonic()))[0]:
            os.read(_WOKEN, 64)
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)


def deadlines(start, interval, count=None):
    """The times of readings: none is late because the one before was.

    Those that passed while we were stopped are left out.
    """
    tick = done = 0
    while count is None or done < count:
        tick = max(tick, int((time.monotonic() - start) / interval)) + 1
        yield start + tick * interval
        done += 1


class Live:
    """The running module."""

    live = True

    def __init__(self):
        # The tests put directories in the places of these.
        self.proc = os.environ.get("KVMMEM_PROC", "/proc")
        self.path = f"{self.proc}/kvmmem"
        self.names = Names(self.proc, os.environ.get("KVMMEM_LIBVIRT", "/run/libvirt/qemu"))
        self.detail = Detail(self.proc)
        self.seen = False

    def read_bytes(self):
        """The file as it is."""
        try:
            with open(self.path, "rb", buffering=0) as file:
                data = file.read()
        except OSError as error:
            raise Failure(f"{safe(self.path)}: {self._advice(error)}") from None
        self.seen = True
        return data

    def _advice(self, error):
        """What went wrong, and what to do next."""
        if isinstance(error, FileNotFoundError):
            if self.seen:
                return "gone; the module was unloaded, load it and start again"
            return "not there; load the module: insmod kvmmem.ko or modprobe kvmmem"
        if isinstance(error, PermissionError):
            return ("permission denied; be root, or load the module with proc_mode=0444 "
                    "(see modinfo -p kvmmem)")
        return (error.strerror or str(error)).lower()

    def read(self):
        """A reading of now."""
        clock, wall = time.monotonic(), time.time()
        try:
            snapshot = Snapshot(parse.proc_file(self.read_bytes()), clock, wall)
        except ValueError as error:
            raise Failure(f"{safe(self.path)}: {error}") from None
        self.names.give(snapshot.vms.values())
        return snapshot

    def steps(self, interval, count=None):
        """A reading of now, and one at the end of each interval."""
        first = self.read()
        yield first
        for deadline in deadlines(first.clock, interval, count):
            wait_until(deadline)
            yield self.read()

    def pair(self, seconds):
        """Two readings, a short while apart."""
        return self.steps(seconds, 1)


class Copies:
    """Saved copies of the file: of one, or of several moments.

    The pids in them belong to another host or another time.
    """

    live = False
    detail = None

    def __init__(self, paths):
        self.paths = paths

    def _open(self, path):
        if path == "-":
            return sys.stdin.buffer
        return open(path, "rb")     # pylint: disable=consider-using-with

    def read_bytes(self):
        """What is in all of them."""
        data = b""
        for path in self.paths:
            data += self._bytes(path)[0]
        return data

    def _bytes(self, path):
        try:
            with self._open(path) as file:
                return file.read(), os.fstat(file.fileno()).st_mtime
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                raise Failure(f"{safe(path)}: no such file; --file wants a saved copy of "
                              "/proc/kvmmem") from None
            raise Failure(f"{safe(path)}: {(error.strerror or str(error)).lower()}") from None

    def _all(self, interval=None):
        found = []
        for path in self.paths:
            data, wall = self._bytes(path)
            if path == "-":
                wall = time.time()
            try:
                contents = parse.copies(data)
            except ValueError as error:
                raise Failure(f"{safe(path)}: {error}") from None
            # Of several in one file only the last one's time is known.
            found += [Snapshot(content, wall, wall) for content in contents]
            if len(contents) > 1 and not interval:
                raise Failure(f"{safe(path)}: {len(contents)} copies in a file; say with -i how "
                              "many seconds apart they were saved")
        for at, snapshot in enumerate(found):
            if interval:
                snapshot.clock = at * interval
        return found

    def read(self):
        """The last of them."""
        found = self._all(1)
        if not found:
            raise Failure("there is no copy to read")
        return found[-1]

    def steps(self, interval, count=None):
        """One after the other; @interval is theirs, or None: the times of the files."""
        found = self._all(interval)
        if len(found) < 2:
            raise Failure(f"{safe(self.paths[0])}: one copy does not say what happened; give two "
                          "of them, or read the running module without --file")
        for before, after in zip(found, found[1:]):
            if after.clock <= before.clock:
                raise Failure("these copies do not tell when they were saved, or are not in "
                              "order; say with -i how many seconds apart they are")
        yield from found[:None if count is None else count + 1]

    def pair(self, _seconds):
        """The last two, or the only one."""
        if len(self.paths) > 1:
            return list(self.steps(None))[-2:]
        # How far apart copies in one file are is not known.
        return self._all(1)[-1:]
