# SPDX-License-Identifier: GPL-2.0
"""Readings from a recording."""

import collections
import contextlib
import datetime
import itertools
import json
import os
import re
import zlib

from . import detail, parse, store
from .errors import Failure
from .snapshot import Snapshot
from .units import safe
from .words import joined, split

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def moment(text, last):
    """A time that the user gave, as seconds since 1970; @last is when the recording ends."""
    ago = re.fullmatch(r"-?(\d+)([smhd])", text)
    if ago:
        return last - int(ago[1]) * UNITS[ago[2]]
    day = datetime.datetime.fromtimestamp(last).date()
    try:
        if re.fullmatch(r"\d\d?:\d\d(:\d\d)?", text):
            return datetime.datetime.fromisoformat(f"{day}T{text:0>5}").timestamp()
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        raise Failure(f"'{safe(text)}' is no time: HH:MM, YYYY-MM-DD HH:MM, or 2h before the "
                      "end") from None


class Texts(collections.abc.Mapping):
    """Texts by name, unpacked when somebody looks at one."""

    def __init__(self, packed):
        self.packed = packed

    def __getitem__(self, name):
        return zlib.decompress(self.packed[name])

    def __iter__(self):
        return iter(self.packed)

    def __len__(self):
        return len(self.packed)


class State:
    """All that there was at one reading, and the way to the next."""

    def __init__(self, base):
        self.base, self.tick = base, None
        self.words, self.shape = [], []     # of /proc/kvmmem
        self.packed = {}                    # all other texts

    def become(self, tick):
        """Become what was at @tick, from the nearest reading that stands for itself."""
        if self.tick == tick:
            return
        whole = self.base.execute("SELECT MAX(tick) FROM reading WHERE whole AND tick <= ?",
                                  (tick,)).fetchone()[0]
        if whole is None:
            if self.base.execute("SELECT MIN(tick) FROM reading").fetchone()[0] > tick:
                raise Failure("this reading has been dropped, as it is older than --keep")
            raise Failure("the recording has no beginning; it is damaged")
        first = whole
        if self.tick is not None and whole <= self.tick < tick:
            first = self.tick + 1
        else:
            self.packed = {}
        self.tick = None
        steps = []
        for name, places, words in self.base.execute(
                "SELECT name, places, words FROM text WHERE tick BETWEEN ? AND ? "
                "ORDER BY tick, rowid", (first, tick)):
            if name != store.PROC:
                self.packed[name] = words
            elif places is None:
                steps = [(None, words)]
            else:
                steps.append((places, words))
        for places, words in steps:
            words = zlib.decompress(words)
            if places is None:
                lines = split(words)
                self.words, self.shape = words.split(), list(map(len, lines))
                continue
            for place, word in zip(store.unpacked(places), words.split(), strict=True):
                self.words[place] = word
        self.tick = tick

    def lines(self):
        """The lines of /proc/kvmmem, in words."""
        words = iter(self.words)
        return [list(itertools.islice(words, length)) for length in self.shape]

    def snapshot(self, clock, wall):
        """The reading as a view wants it."""
        found = Snapshot(parse.proc_rows(self.lines()), clock, wall)
        texts = Texts(dict(self.packed))
        names = json.loads(texts[store.NAMES]) if store.NAMES in texts else {}
        for vm in found.vms.values():
            vm.name, vm.uuid = names.get(vm.id, (vm.name, None))
        detail.give(found, found.vms.values(), texts)
        return found


@contextlib.contextmanager
def clear(path):
    """Errors of SQLite's, and what is not as it was written, in one line."""
    try:
        with store.clear(path):
            yield
    except (zlib.error, ValueError, IndexError, TypeError, AttributeError):
        raise Failure(f"{safe(path)}: {store.DAMAGED}") from None


class Replay:
    """A recording, from one time to another."""

    live = False
    detail = None

    def __init__(self, path, begin=None, end=None):
        self.path = path
        if not os.path.exists(path):
            raise Failure(f"{safe(path)}: no such file; --from wants a file that "
                          "'kvmmem record -o' wrote")
        if os.path.isdir(path):
            raise Failure(f"{safe(path)}: is a directory")
        with self.clear():
            self.base = store.opened(path)
            self.readings = self.base.execute(
                "SELECT tick, time, clock, session, gone FROM reading ORDER BY tick").fetchall()
        if not self.readings:
            raise Failure(f"{safe(path)}: there is nothing in it yet")
        # Somebody may have set the clock back.
        times = [one[1] for one in self.readings]
        first, last = min(times), max(times)
        begin = moment(begin, last) if begin else first
        end = moment(end, last) if end else last
        # A time of day may be of the day before.
        self.readings = [one for one in self.readings if begin <= one[1] <= end]
        self.there = [one for one in self.readings if one[4] is None]
        if not self.there:
            raise Failure(f"{safe(path)}: it has nothing of that time; it is from "
                          f"{self.stamp(first)} to {self.stamp(last)}")
        self.state = State(self.base)

    @staticmethod
    def stamp(wall):
        """A time for people."""
        return datetime.datetime.fromtimestamp(wall).isoformat(" ", "seconds")

    def clear(self):
        """Errors in one line."""
        return clear(self.path)

    def at(self, number):
        """The reading of that number among those that are there."""
        tick, wall, clock, session, _gone = self.there[number]
        with self.clear():
            self.state.become(tick)
            found = self.state.snapshot(clock, wall)
        found.session = session
        return found

    def texts_at(self, number):
        """(text of /proc/kvmmem, {name: text} of all else) at the reading of that number."""
        with self.clear():
            self.state.become(self.there[number][0])
            return joined(self.state.words, self.state.shape), Texts(dict(self.state.packed))

    def read_bytes(self):
        """/proc/kvmmem as it was last, but for the blanks between columns."""
        return self.texts_at(-1)[0]

    def sessions(self):
        """{number: (interval, kernel, tool)} of who recorded it."""
        with self.clear():
            return {found[0]: found[1:] for found in self.base.execute(
                "SELECT id, interval_s, kernel, tool FROM session")}

    def read(self):
        """The last one."""
        return self.at(-1)

    def steps(self, interval=None, count=None):
        """One after the other, at least @interval apart."""
        return map(self.at, self.numbers(interval, count))

    def numbers(self, interval=None, count=None):
        """The numbers of those readings."""
        before, done = None, 0
        for number, (_tick, wall, *_) in enumerate(self.there):
            if before is not None and interval and wall - before < interval - 0.01:
                continue
            yield number
            before, done = wall, done + 1
            if count is not None and done > count:
                return

    def pair(self, _seconds):
        """The last two."""
        return [self.at(number) for number in range(max(0, len(self.there) - 2),
                                                    len(self.there))]

    def events(self):
        """(time, VM or "", what happened) of what is worth a mark."""
        with self.clear():
            return list(self._events())

    def _events(self):
        yield from self._troubles()
        times = {one[0]: one[1] for one in self.readings[1:]}
        for tick, vm, what in self.base.execute("SELECT tick, vm, what FROM event ORDER BY tick"):
            if tick in times:
                yield times[tick], vm, what

    def _troubles(self):
        """When nothing could be read, and when it went on."""
        session, gone = self.readings[0][3], None
        for _tick, wall, _clock, now, why in self.readings:
            if why and not gone:
                yield wall, "", "no reading: " + why
            elif gone and not why:
                yield wall, "", "readings again"
            elif now != session:
                yield wall, "", "recording began again"
            session, gone = now, why
