# SPDX-License-Identifier: GPL-2.0
"""Readings from a recording."""

import datetime
import json
import os
import re

from . import store
from .columns import KEYS
from .errors import Failure
from .parse import Content
from .snapshot import Snapshot
from .units import safe

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


class State:
    """All values at one reading, and the way to the next."""

    def __init__(self, base):
        self.base, self.tick = base, None
        self.rows, self.series = {}, {}
        self.headers, self.order = {}, {}

    def become(self, tick):
        """Become what was at @tick, from the nearest reading that stands for itself."""
        if self.tick == tick:
            return
        whole = self.base.execute("SELECT MAX(tick) FROM reading WHERE whole AND tick <= ?",
                                  (tick,)).fetchone()[0]
        if whole is None:
            raise Failure("the recording has no beginning; it is damaged")
        first = whole
        if self.tick is not None and whole <= self.tick < tick:
            first = self.tick + 1
        else:
            self.rows, self.headers, self.order = {}, {}, {}
        span = (first, tick)
        values = self.base.execute("SELECT series, value FROM value WHERE tick BETWEEN ? AND ? "
                                   "ORDER BY tick", span).fetchall()
        self._learn(number for number, _ in values)
        for number, value in values:
            at, name = self.series[number]
            row = self.rows.get(at)
            if row is None:
                row = self.rows[at] = {}
            if name:
                row[name] = value
            elif not value:
                # Gone; what comes back under its name is another.
                del self.rows[at]
        for kind, columns in self.base.execute(
                "SELECT kind, columns FROM header WHERE tick BETWEEN ? AND ? ORDER BY tick", span):
            self.headers[kind] = columns.split()
        for kind, vm, keys in self.base.execute(
                "SELECT kind, vm, keys FROM arrangement WHERE tick BETWEEN ? AND ? ORDER BY tick",
                span):
            self.order[kind, vm] = {key: place for place, key in enumerate(json.loads(keys))}
        self.tick = tick

    def _learn(self, numbers):
        if any(number not in self.series for number in numbers):
            self.series = {found[0]: (tuple(found[1:4]), found[4]) for found in self.base.execute(
                "SELECT id, kind, vm, key, name FROM series")}

    def _sorted(self):
        """The rows in the order that they had: as they came, or as it was written down."""
        order, end = self.order, 1 << 60
        vms = order.get(("vm", ""), {})
        return sorted(self.rows.items(), key=lambda pair: (
            vms.get(pair[0][1], end),
            order.get(pair[0][:2], {}).get(pair[0][2], end) if pair[0][0] in KEYS else 0))

    def snapshot(self, clock, wall):
        """The reading as a view wants it."""
        content, names, details, settings = Content(), {}, {}, {}
        content.headers = dict(self.headers)
        content.rows = {kind: [] for kind in content.headers}
        for (kind, vm, _key), row in self._sorted():
            if kind == "host":
                content.host = dict(row)
            elif kind == "setting":
                settings = dict(row)
            elif kind == "self":
                names[vm] = row
            elif kind.startswith(store.DEBUGFS):
                details.setdefault(vm, {}).setdefault(kind.removeprefix(store.DEBUGFS),
                                                      []).append(dict(row))
            else:
                own = {"id": vm} if kind == "vm" else {"vm": vm or None}
                content.rows.setdefault(kind, []).append(
                    {name: own[name] if name in own else row.get(name)
                     for name in content.headers.get(kind, row)})
        found = Snapshot(content, clock, wall)
        found.settings = settings
        found.rows |= details.pop("", {})
        for vm in found.vms.values():
            vm.detail = details.get(vm.id, {})
            vm.name, vm.uuid = (names.get(vm.id, {}).get(name) for name in ("name", "uuid"))
        return found


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
        first, last = self.readings[0][1], self.readings[-1][1]
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
        """Errors of SQLite's in one line."""
        return store.clear(self.path)

    def at(self, number):
        """The reading of that number among those that are there."""
        tick, wall, clock, session, _gone = self.there[number]
        with self.clear():
            self.state.become(tick)
            found = self.state.snapshot(clock, wall)
        found.session = session
        return found

    def read(self):
        """The last one."""
        return self.at(-1)

    def steps(self, interval=None, count=None):
        """One after the other, at least @interval apart."""
        before, done = None, 0
        for number, (_tick, wall, *_) in enumerate(self.there):
            if before is not None and interval and wall - before < interval - 0.01:
                continue
            yield self.at(number)
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
        times = {one[0]: one[1] for one in self.readings}
        first, before = self.there[0][0], {}
        for tick, kind, vm, value in self.base.execute(
                "SELECT value.tick, kind, vm, value FROM series JOIN value ON value.series = "
                "series.id WHERE (kind = 'vm' AND name = '') OR (kind = 'dirty' AND name = 'mode')"
                " ORDER BY value.tick"):
            was, before[kind, vm] = before.get((kind, vm)), value
            if tick not in times or tick <= first or was == value:
                continue
            if kind == "vm":
                yield times[tick], vm, "began" if value else "ended"
            elif {value, was} & {"log", "ring"}:
                yield times[tick], vm, f"dirty logging: {value or 'off'}"

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
