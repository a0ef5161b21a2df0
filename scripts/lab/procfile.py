# SPDX-License-Identifier: GPL-2.0
"""Parsers of what kvmmem prints: /proc/kvmmem, and tables in debugfs."""


def value(word):
    """A word of a row: None for "-", else an int or the word itself."""
    if word == "-":
        return None
    try:
        return int(word)
    except ValueError:
        return word


class ProcFile:
    """The content of /proc/kvmmem.

    .schema            the number in the first line
    .host[key]         the facts
    .rows[type]        a list of dictionaries by column name, [] if no rows
    .columns[type]     the names, in order
    """

    def __init__(self, text):
        lines = text.strip("\n").split("\n")
        first = lines[0].split()
        if first[:2] != ["#", "kvmmem"] or len(first) != 3:
            raise ValueError(f"no /proc/kvmmem: {lines[0]!r}")
        self.schema = int(first[2])
        self.host, self.rows, self.columns = {}, {}, {}
        for line in lines[1:]:
            words = line.split()
            if not words:
                continue
            if words[0] == "#":
                self.columns[words[1]] = words[2:]
                self.rows[words[1]] = []
            elif words[0] == "host":
                if len(words) != 3:
                    raise ValueError(f"not a fact: {line!r}")
                self.host[words[1]] = value(words[2])
            else:
                self._row(words, line)

    def _row(self, words, line):
        if words[0] not in self.columns:
            raise ValueError(f"a row without a header: {line!r}")
        columns = self.columns[words[0]]
        if len(words) != len(columns) + 1:
            raise ValueError(f"{len(words) - 1} values for {len(columns)} columns: {line!r}")
        self.rows[words[0]].append(dict(zip(columns, map(value, words[1:]))))

    def find(self, kind, **wanted):
        """The one row of that type with these values."""
        rows = self.all(kind, **wanted)
        if len(rows) != 1:
            raise AssertionError(f"{len(rows)} {kind} rows with {wanted}")
        return rows[0]

    def all(self, kind, **wanted):
        """All rows of that type with these values."""
        return [row for row in self.rows[kind]
                if all(row.get(key) == item for key, item in wanted.items())]

    def vm(self, ident):
        """The rows vm, fault, flush and backing of one VM, in one dictionary."""
        merged = dict(self.find("vm", id=ident))
        for kind in ("fault", "flush", "backing"):
            merged.update(self.find(kind, vm=ident))
        return merged


def table(text):
    """A table with one header line, with or without "#", as dictionaries.

    Of several tables the first; each header line begins with "#" then."""
    lines = [line for line in text.strip("\n").split("\n") if line.strip()]
    if not lines:
        return []
    columns = lines[0].lstrip("#").split()
    rows = []
    for line in lines[1:]:
        if line.startswith("#"):
            break
        words = line.split(None, len(columns) - 1)
        if len(words) != len(columns):
            raise ValueError(f"{len(words)} values for {len(columns)} columns: {line!r}")
        rows.append(dict(zip(columns, (value(word.strip()) for word in words))))
    return rows
