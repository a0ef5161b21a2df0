# SPDX-License-Identifier: GPL-2.0
"""A recording: an SQLite database that holds what changed from reading to reading.

Documentation/recording.rst describes it for those who read it with other programs.
"""

import contextlib
import json
import sqlite3

from .columns import KEYS
from .errors import Failure
from .units import safe

APPLICATION = 0x6B766D6D        # "kvmm", in the file's header
FORMAT = 1
WHOLE = 360                     # readings from one that stands for itself to the next
DEBUGFS = "debugfs/"            # before the types of rows that are from there
SCHEMA = """
CREATE TABLE about (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE session (id INTEGER PRIMARY KEY, time REAL, interval_s REAL, kernel TEXT,
                      tool TEXT);
CREATE TABLE reading (tick INTEGER PRIMARY KEY, time REAL, clock REAL, session INTEGER,
                      whole INTEGER, gone TEXT);
CREATE INDEX reading_whole ON reading (tick) WHERE whole;
CREATE TABLE series (id INTEGER PRIMARY KEY, kind TEXT, vm TEXT, key TEXT, name TEXT,
                     ended INTEGER, UNIQUE (kind, vm, key, name));
CREATE TABLE value (tick INTEGER, series INTEGER, value, PRIMARY KEY (tick, series))
    WITHOUT ROWID;
CREATE TABLE header (tick INTEGER, kind TEXT, columns TEXT, PRIMARY KEY (tick, kind))
    WITHOUT ROWID;
CREATE TABLE arrangement (tick INTEGER, kind TEXT, vm TEXT, keys TEXT,
                          PRIMARY KEY (tick, kind, vm)) WITHOUT ROWID;
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
            text = "the recording is damaged; 'sqlite3 FILE .recover' may save what is left of it"
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


def flat(snapshot):
    """All of a reading by (type, VM, key): {column: value}.

    What tells rows of one VM and type apart is their key: what KEYS says, or the
    place of a row among its like.
    """
    rows = {("host", "", ""): snapshot.host}
    if snapshot.settings:
        rows["setting", "", ""] = snapshot.settings

    def take(kind, vm, several):
        names = KEYS.get(kind)
        for place, row in enumerate(several):
            key = "/".join(str(row.get(name)) for name in names) if names else str(place)
            if (kind, vm, key) in rows:
                key += f"#{place}"
            rows[kind, vm, key] = row

    for vm in snapshot.vms.values():
        rows["self", vm.id, "0"] = {"name": vm.name, "uuid": vm.uuid}
        for kind, several in vm.rows.items():
            take(kind, vm.id, several)
        for kind, several in vm.detail.items():
            take(DEBUGFS + kind, vm.id, several)
    for kind, several in snapshot.rows.items():
        take(DEBUGFS + kind if kind == "hook" else kind, "", several)
    return rows


def arranged(rows):
    """{(type, VM): [key...]}, and the order of VMs, in that of the reading."""
    found = {("vm", ""): [vm for kind, vm, _key in rows if kind == "vm"]}
    for kind, vm, key in rows:
        if kind in KEYS:
            found.setdefault((kind, vm), []).append(key)
    return found


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
        self.rows, self.order, self.headers = {}, {}, {}
        self.session, = base.execute("SELECT COALESCE(MAX(id), 0) + 1 FROM session").fetchone()
        self.tick, = base.execute("SELECT COALESCE(MAX(tick), 0) FROM reading").fetchone()
        self.series = {tuple(found[1:]): found[0] for found in base.execute(
            "SELECT id, kind, vm, key, name FROM series")}
        # Without an interval of its own it copies another recording.
        self.about = None if interval is None else (interval, kernel, tool)
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

    def begin_session(self, session, time, about):
        """Who records from here on."""
        self.base.execute("INSERT INTO session VALUES (?, ?, ?, ?, ?)", (session, time, *about))

    def nothing(self, time, clock, why):
        """A reading that failed."""
        with self:
            self._reading(time, clock, False, why)
        self.whole = 0

    def _reading(self, time, clock, whole, gone=None):
        if self.about:
            self.begin_session(self.session, time, self.about)
            self.about = None
        self.tick += 1
        self.base.execute("INSERT INTO reading VALUES (?, ?, ?, ?, ?, ?)",
                          (self.tick, time, clock, self.session, whole, gone))

    def add(self, snapshot):
        """One reading, in one transaction: after it all of it is there, before it nothing."""
        rows = flat(snapshot)
        with self:
            whole = not self.whole or self.tick + 1 - self.whole >= WHOLE
            self._reading(snapshot.wall, snapshot.clock, whole)
            if not self.whole:
                self.rows, self.order, self.headers = {}, {}, {}
            rows |= {at: row for at, row in self.rows.items() if self._stays(at, rows, snapshot)}
            self._headers(snapshot.headers, whole)
            self._arrangement(rows, whole)
            self.base.executemany("INSERT INTO value VALUES (?, ?, ?)",
                                  list(self._changes(rows, whole)))
        if whole:
            self.whole = self.tick
        self.rows = {at: dict(row) for at, row in rows.items()}

    @staticmethod
    def _stays(at, rows, snapshot):
        """Is a row still valid that was read before? debugfs is not read each time."""
        kind, vm, _key = at
        if at in rows or not (kind == "setting" or kind.startswith(DEBUGFS)):
            return False
        return not vm or vm in snapshot.vms and not snapshot.vms[vm].detail

    def _headers(self, headers, whole):
        for kind, columns in headers.items():
            if whole or self.headers.get(kind) != columns:
                self.base.execute("INSERT INTO header VALUES (?, ?, ?)",
                                  (self.tick, kind, " ".join(columns)))
        self.headers = dict(headers)

    def _arrangement(self, rows, whole):
        """The order of rows, where it is not that in which they came."""
        order = arranged(rows)
        for at, keys in order.items():
            before, there = self.order.get(at, ()), set(keys)
            known = set(before)
            expected = [key for key in before if key in there] + \
                [key for key in keys if key not in known]
            if whole or keys != expected:
                self.base.execute("INSERT INTO arrangement VALUES (?, ?, ?, ?)",
                                  (self.tick, *at, json.dumps(keys)))
        self.order = order

    def _changes(self, rows, whole):
        for at, row in rows.items():
            before = self.rows.get(at)
            if before == row and not whole:
                continue
            if before is None or whole:
                yield self._value(at, "", 1)
            for name, value in row.items():
                if name in ("vm", "id") and at[0] not in ("host", "setting"):
                    continue
                if whole or before is None or before.get(name, self) != value:
                    yield self._value(at, name, value)
        for at in self.rows:
            if at not in rows:
                yield self._value(at, "", 0)
                self.base.execute("UPDATE series SET ended = ? WHERE kind = ? AND vm = ? AND "
                                  "key = ?", (self.tick, *at))

    def _value(self, at, name, value):
        number = self.series.get((*at, name))
        if number is None:
            number = self.base.execute(
                "INSERT INTO series (kind, vm, key, name) VALUES (?, ?, ?, ?)",
                (*at, name)).lastrowid
            self.series[(*at, name)] = number
        elif name == "" and value:
            self.base.execute("UPDATE series SET ended = NULL WHERE kind = ? AND vm = ? AND "
                              "key = ? AND ended NOT NULL", at)
        if isinstance(value, int) and value >= 1 << 63:
            value = str(value)      # more than SQLite's numbers hold
        return self.tick, number, value

    def forget(self, time):
        """Drop what is older than @time, down to a reading that stands for itself."""
        first = self.base.execute(
            "SELECT MAX(tick) FROM reading WHERE whole AND time < ?", (time,)).fetchone()[0]
        if not first or not self.base.execute(
                "SELECT 1 FROM reading WHERE tick < ? LIMIT 1", (first,)).fetchone():
            return
        with self:
            for table in ("reading", "value", "header", "arrangement"):
                self.base.execute(f"DELETE FROM {table} WHERE tick < ?", (first,))
            self.base.execute("DELETE FROM series WHERE ended < ?", (first,))
        self.series = {tuple(found[1:]): found[0] for found in self.base.execute(
            "SELECT id, kind, vm, key, name FROM series")}
        self.base.execute("PRAGMA incremental_vacuum").fetchall()
