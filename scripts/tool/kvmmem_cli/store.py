# SPDX-License-Identifier: GPL-2.0
"""A recording: an SQLite database that holds what changed from reading to reading.

Documentation/recording.rst describes it for those who read it with other programs.
"""

import array
import contextlib
import itertools
import json
import operator
import sqlite3
import zlib

from .errors import Failure
from .units import safe
from .words import Words

APPLICATION = 0x6B766D6D        # "kvmm", in the file's header
FORMAT = 1
WHOLE = 360                     # readings from one that stands for itself to the next
PROC, NAMES = "kvmmem", "names"  # names of texts
DAMAGED = "the recording is damaged; 'sqlite3 FILE .recover' may save what is left of it"
SCHEMA = """
CREATE TABLE session (id INTEGER PRIMARY KEY, time REAL, interval_s REAL, kernel TEXT,
                      tool TEXT);
CREATE TABLE reading (tick INTEGER PRIMARY KEY, time REAL, clock REAL, session INTEGER,
                      whole INTEGER, gone TEXT);
CREATE INDEX reading_whole ON reading (tick) WHERE whole;
CREATE TABLE text (tick INTEGER, name TEXT, places BLOB, words BLOB);
CREATE INDEX text_tick ON text (tick);
CREATE TABLE event (tick INTEGER, vm TEXT, what TEXT);
CREATE INDEX event_tick ON event (tick);
"""


@contextlib.contextmanager
def clear(path, ended=""):
    """Any error of SQLite's becomes one line."""
    try:
        yield
    except sqlite3.Error as error:
        text = str(error)
        if "not a database" in text or "no such table" in text:
            text = "this is no recording of kvmmem"
        elif "malformed" in text:
            text = DAMAGED
        raise Failure(f"{safe(path)}: {text}{ended}") from None


def opened(path, write=False):
    """The database, checked; sqlite3.Error if it cannot be opened."""
    if write:
        base = sqlite3.connect(path, isolation_level=None, timeout=10)
    else:
        uri = "file:" + path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
        base = sqlite3.connect(f"{uri}?mode=ro", uri=True, isolation_level=None)
        try:
            base.execute("SELECT 1 FROM sqlite_schema").fetchone()
        except sqlite3.OperationalError:
            # A WAL wants to be written to by readers, too, which not every place allows.
            base = sqlite3.connect(f"{uri}?mode=ro&immutable=1", uri=True, isolation_level=None)
    application, = base.execute("PRAGMA application_id").fetchone()
    version, = base.execute("PRAGMA user_version").fetchone()
    empty = not base.execute("SELECT 1 FROM sqlite_schema").fetchone()
    if empty and not write:
        raise Failure(f"{safe(path)}: there is nothing in it yet")
    if not empty and application != APPLICATION:
        raise Failure(f"{safe(path)}: this is no recording of kvmmem")
    if version > FORMAT:
        raise Failure(f"{safe(path)}: a recording of format {version}, but this tool reads "
                      f"format {FORMAT}; use a newer one")
    return base


def packed(places):
    """Places in ascending order as bytes: the gaps between them as numbers of 32 bits."""
    gaps = map(operator.sub, places, itertools.chain((0,), places))
    return zlib.compress(array.array("I", gaps), 1)


def unpacked(data):
    """The same backwards."""
    return itertools.accumulate(array.array("I", zlib.decompress(data)))


class Life:
    """VMs that come and go, and their dirty logging: what is worth a mark."""

    def __init__(self):
        self.vms = self.modes = None

    def events(self, content):
        """(VM, what happened to it) since the last time."""
        vms = {row["id"] for row in content.rows["vm"]}
        modes = {row["vm"]: row.get("mode") for row in content.rows.get("dirty", ())}
        before, were = self.vms, self.modes
        self.vms, self.modes = vms, modes
        if before is None:
            return
        for name, idents in (("began", vms - before), ("ended", before - vms)):
            for ident in sorted(idents):
                yield ident, name
        for ident in sorted(vms):
            now, was = (some.get(ident) or "off" for some in (modes, were))
            if now != was:
                yield ident, f"dirty logging: {now}"


class Writer:
    """Adds readings to a recording."""

    def __init__(self, path, interval, kernel, tool):
        self.path = path
        self.base = opened(path, write=True)
        base = self.base
        if not base.execute("SELECT 1 FROM sqlite_schema").fetchone():
            base.execute("PRAGMA auto_vacuum = INCREMENTAL")
            base.execute("PRAGMA journal_mode = WAL")
            base.executescript(f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION}; "
                               f"PRAGMA user_version = {FORMAT}; {SCHEMA} COMMIT;")
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = NORMAL")
        self.proc, self.life = Words(), Life()
        self.texts = {}         # all others as they were last written, by name
        self.session, = base.execute("SELECT COALESCE(MAX(id), 0) + 1 FROM session").fetchone()
        self.tick, = base.execute("SELECT COALESCE(MAX(tick), 0) FROM reading").fetchone()
        self.about = interval, kernel, tool     # of a session that is not written yet
        self.whole = 0          # the last one; 0: none of this session

    def close(self):
        """The end."""
        self.base.close()

    def __enter__(self):
        self.base.execute("BEGIN IMMEDIATE")
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.base.execute("COMMIT")
        elif self.base.in_transaction:
            self.base.execute("ROLLBACK")

    def new_session(self, about):
        """Somebody else recorded what comes now."""
        self.session += self.about is None
        self.about, self.whole = about, 0

    def nothing(self, time, clock, why):
        """A reading that failed."""
        with self:
            self._reading(time, clock, False, why)
        self.whole = 0

    def _reading(self, time, clock, whole, gone=None):
        if self.about:
            self.base.execute("INSERT INTO session VALUES (?, ?, ?, ?, ?)",
                              (self.session, time, *self.about))
            self.about = None
        self.tick += 1
        self.base.execute("INSERT INTO reading VALUES (?, ?, ?, ?, ?, ?)",
                          (self.tick, time, clock, self.session, whole, gone))

    def add(self, time, clock, data, others=lambda content: {}):
        """One reading, in one transaction: after it all of it is there, before it nothing.

        @data is /proc/kvmmem's; ValueError if it is none. @others is called with its
        content, or with None if that has the VMs that it had, and returns texts by name.
        """
        change = self.proc.take(data)
        texts = others(change.content)
        with self:
            whole = not self.whole or self.tick + 1 - self.whole >= WHOLE
            self._reading(time, clock, whole)
            if change.content:
                self._vms(change.content)
            self._proc(change, whole)
            self._others(texts, whole)
        if whole:
            self.whole = self.tick

    def _text(self, name, places, words):
        self.base.execute("INSERT INTO text VALUES (?, ?, ?, ?)",
                          (self.tick, name, places, words))

    def _proc(self, change, whole):
        if whole or change.places is None:
            self._text(PROC, None, zlib.compress(self.proc.text(), 1))
        elif change.places:
            words = b" ".join(map(change.words.__getitem__, change.places))
            self._text(PROC, packed(change.places), zlib.compress(words, 1))

    def _vms(self, content):
        for vm, what in self.life.events(content):
            self.base.execute("INSERT INTO event VALUES (?, ?, ?)", (self.tick, vm, what))
        # Files of a VM that has ended are no longer written.
        self.texts = {name: data for name, data in self.texts.items()
                      if not name.startswith("vms/") or name.split("/")[1] in self.life.vms}

    def _others(self, texts, whole):
        for name, data in texts.items():
            data = zlib.compress(data)
            if self.texts.get(name) != data:
                self.texts[name] = data
                if not whole:
                    self._text(name, None, data)
        for name, data in self.texts.items() if whole else ():
            self._text(name, None, data)

    def forget(self, time):
        """Drop what is older than @time, down to a reading that stands for itself."""
        first = self.base.execute(
            "SELECT MAX(tick) FROM reading WHERE whole AND time < ?", (time,)).fetchone()[0]
        if not first or not self.base.execute(
                "SELECT 1 FROM reading WHERE tick < ? LIMIT 1", (first,)).fetchone():
            return
        with self:
            for table in ("reading", "text", "event"):
                self.base.execute(f"DELETE FROM {table} WHERE tick < ?", (first,))
        self.base.execute("PRAGMA incremental_vacuum").fetchall()


def names_text(vms):
    """Names and UUIDs of VMs, as they are recorded."""
    return json.dumps({vm.id: [vm.name, vm.uuid] for vm in vms}).encode()
