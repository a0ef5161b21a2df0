# SPDX-License-Identifier: GPL-2.0
"""One reading of /proc/kvmmem."""

import collections
import re

from .columns import HOST_NUMBERS, KINDS, NUMBERS, SCHEMA, SIZES, TEXT
from .errors import Failure
from .units import safe


def unescape(word):
    """A word of the file as text, its octal escapes undone."""
    raw = re.sub(rb"\\([0-3][0-7]{2})", lambda m: bytes([int(m[1], 8)]), word)
    return raw.decode("utf-8", "backslashreplace")


def is_number(kind, column):
    """Is anything else than a number in @column an error?"""
    if kind == "host":
        return column.endswith("_kb") or column in HOST_NUMBERS
    return (kind, column) in NUMBERS


def cell(kind, column, word):
    """A word of the file as its value: None for a dash, a number, or text."""
    if word == b"-":
        return None
    if column != "vm" and (kind, column) not in TEXT:
        if re.fullmatch(rb"[0-9]{1,20}", word):
            return int(word)
        if is_number(kind, column):
            raise ValueError(f"'{safe(unescape(word))}' for '{column}' is not a number")
    return unescape(word)


class Vm:
    """One VM: its rows by kind, and the name that people know it by."""

    def __init__(self, row):
        self.id, self.name, self.pid = row["id"], row.get("comm"), row.get("pid")
        self.rows = collections.defaultdict(list, {"vm": [row]})

    def total(self, kind, name):
        """The sum over the @kind rows, or None if any part of it is unknown."""
        values = [row.get(name) for row in self.rows[kind]]
        return None if not values or None in values else sum(values)

    def share(self, layer):
        """How much of what is mapped at @layer is mapped by huge pages."""
        sizes = [self.total("backing", f"{layer}_{size}_kb") for size in SIZES]
        return None if None in sizes or not sum(sizes) else sum(sizes[1:]) / sum(sizes)

    def value(self, column):
        """What this VM has in a column of the table."""
        if column.kind == "self":
            return getattr(self, column.name)
        if column.kind == "share":
            return self.share(column.name)
        if column.form == "text":
            return self.rows[column.kind][0].get(column.name)
        return self.total(column.kind, column.name)

    def matches(self, wanted):
        """Is this a VM that the user calls one of @wanted?"""
        called = {self.id, self.name or self.id, safe(self.name or self.id)}
        if self.pid is not None:
            called.add(str(self.pid))
        return bool(called & set(wanted))


class Snapshot:
    """One reading of the file: host facts, VMs, and the columns that it has.

    What belongs to no VM is in rows, by kind.
    """

    def __init__(self, data, clock=0.0, wall=0.0):
        """Parse @data; ValueError says what is wrong with it."""
        self.clock, self.wall = clock, wall
        self.host, self.headers, self.vms, self.rows = {}, {}, {}, {}
        first, *lines = data.split(b"\n")
        self._check_schema(first)
        rows = []
        for number, line in enumerate(lines, 2):
            try:
                rows += self._line(line.split())
            except ValueError as error:
                raise ValueError(f"line {number} is malformed: {error}") from None
        if "vm" not in self.headers:
            raise ValueError("there is no '# vm' header line; is the copy complete?")
        self.vms = {row["id"]: Vm(row) for kind, row in rows if kind == "vm"}
        self.rows = {kind: [] for kind in self.headers if kind not in self.kinds()}
        for kind, row in rows:
            if kind == "vm":
                continue
            if row.get("vm") is None:
                self.rows.setdefault(kind, []).append(row)
            elif row["vm"] in self.vms:
                self.vms[row["vm"]].rows[kind].append(row)

    def kinds(self):
        """The types of rows that VMs have, known or only in the file."""
        found = [kind for kind, columns in self.headers.items() if "vm" in columns]
        return list(dict.fromkeys([*KINDS, *found]))

    @staticmethod
    def _check_schema(line):
        match = re.fullmatch(rb"#\s+kvmmem\s+([0-9]+)\s*", line)
        if not match:
            raise ValueError("the first line is not '# kvmmem <schema>'; "
                             "this is not /proc/kvmmem nor a copy of it")
        if int(match[1]) != SCHEMA:
            raise ValueError(f"schema {int(match[1])}, but this tool reads schema {SCHEMA}; use "
                             "the kvmmem tool that came with the module, or --raw")

    def _line(self, words):
        """Take one line in; returns [(kind, row)] if it is a row of a VM."""
        kind = unescape(words[0]) if words else ""
        if kind == "#" and len(words) > 2:
            self.headers[unescape(words[1])] = [unescape(word) for word in words[2:]]
        elif kind == "host":
            if len(words) < 3:
                raise ValueError("a 'host' row wants a key and a value")
            key = unescape(words[1])
            self.host[key] = cell(kind, key, b" ".join(words[2:]))
        elif kind in self.headers or kind in KINDS:
            return [(kind, self._row(kind, words[1:]))]
        # A row that neither we know nor a header explains cannot be read.
        return []

    def _row(self, kind, words):
        columns = self.headers.get(kind)
        if columns is None:
            raise ValueError(f"a '{kind}' row before its '# {kind}' header")
        if len(words) != len(columns):
            raise ValueError(f"a '{kind}' row of {len(words)} values, "
                             f"but its header names {len(columns)}")
        row = {column: cell(kind, column, word) for column, word in zip(columns, words)}
        key = "id" if kind == "vm" else "vm"
        if kind in KINDS and row.get(key) is None:
            raise ValueError(f"a '{kind}' row without '{key}'")
        return row

    def has(self, column):
        """Does the file have what @column of the table shows?"""
        if column.kind == "share":
            return "backing" in self.headers
        return column.kind == "self" or column.name in self.headers.get(column.kind, ())

    def select(self, wanted):
        """The VMs that the user @wanted, all of them without a wish."""
        return [vm for vm in self.vms.values() if not wanted or vm.matches(wanted)]

    def must_select(self, wanted):
        """The same, but each wish must be met."""
        for wish in wanted:
            if not self.select([wish]):
                raise Failure(f"no VM has the id, name or pid '{safe(wish)}'; "
                              "kvmmem without --vm lists them")
        return self.select(wanted)
