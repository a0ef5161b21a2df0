# SPDX-License-Identifier: GPL-2.0
"""From the bytes of /proc/kvmmem, or of a table in debugfs, to rows.

Hosts with hundreds of VMs have ten thousand rows.  So columns are converted as a
whole, and one cell at a time only where something is not as usual.
"""

import itertools
import re

from .columns import HOST_NUMBERS, KINDS, NUMBERS, OPTIONAL, SCHEMA, TEXT
from .units import safe

DIGITS = 20         # of the biggest number that the module can print


def unescape(word):
    """A word of the file as text, its octal escapes undone."""
    if b"\\" in word:
        word = re.sub(rb"\\([0-3][0-7]{2})", lambda m: bytes([int(m[1], 8)]), word)
    return word.decode("utf-8", "backslashreplace")


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
        if len(word) <= DIGITS and word.isdigit():
            return int(word)
        if is_number(kind, column):
            raise ValueError(f"'{safe(unescape(word))}' for '{column}' is not a number")
    return unescape(word)


def converted(kind, column, words):
    """A whole column as values."""
    text = column == "vm" or (kind, column) in TEXT
    whole = b"\n".join(words)
    if text and whole.isascii() and b"\\" not in whole:
        found = whole.decode().split("\n")
        return found if "-" not in found else [None if word == "-" else word for word in found]
    if not text and b"".join(words).isdigit() and max(map(len, words)) <= DIGITS:
        return list(map(int, words))
    if len(words) > 8 and len(set(words)) == 1:
        return [cell(kind, column, words[0])] * len(words)
    return [cell(kind, column, word) for word in words]


class Malformed(ValueError):
    """A line is not as it should be."""

    def __init__(self, number, why):
        super().__init__(f"line {number} is malformed: {why}")


class Table:
    """Rows of one type, below one header."""

    def __init__(self, kind, columns, of_vms=True):
        self.kind, self.columns = kind, columns
        # Such a row without the VM that it is about is an error.
        self.keyed = of_vms and kind in KINDS
        self.lines, self.numbers = [], []

    def rows(self):
        """All rows as dictionaries."""
        if not self.lines:
            return []
        try:
            if set(map(len, self.lines)) == {len(self.columns) + 1}:
                _kinds, *cells = zip(*self.lines)
                values = [converted(self.kind, column, words)
                          for column, words in zip(self.columns, cells)]
                found = [dict(zip(self.columns, row)) for row in zip(*values)]
                self._check_keys(found)
                return found
        except ValueError:
            pass
        # Somewhere in here it is wrong: look for the first line.
        return [self._row(number, line) for number, line in zip(self.numbers, self.lines)]

    def _check_keys(self, rows):
        key = "id" if self.kind == "vm" else "vm"
        if self.keyed and any(row.get(key) is None for row in rows):
            raise ValueError(f"a '{self.kind}' row without '{key}'")

    def _row(self, number, words):
        try:
            if len(words) != len(self.columns) + 1:
                raise ValueError(f"a '{self.kind}' row of {len(words) - 1} values, "
                                 f"but its header names {len(self.columns)}")
            row = {column: cell(self.kind, column, word)
                   for column, word in zip(self.columns, words[1:])}
            self._check_keys([row])
            return row
        except ValueError as error:
            raise Malformed(number, error) from None


class Content:
    """What a file says: host facts, headers by type, and rows by type."""

    def __init__(self, of_vms=True):
        self.of_vms = of_vms
        self.host, self.headers, self.rows = {}, {}, {}
        # Of a saved copy, what shows that it is not whole; None: nothing does.
        self.cut = None

    def take(self, lines, first=1):
        """Take in lines, split into words; the first has that number."""
        tables, current = [], {}
        for number, words in enumerate(lines, first):
            if not words:
                continue
            table = current.get(words[0])
            if table:
                table.lines.append(words)
                table.numbers.append(number)
            elif words[0] == b"host":
                self._fact(number, words)
            elif words[0] == b"#" and len(words) > 2:
                kind = unescape(words[1])
                table = Table(kind, [unescape(word) for word in words[2:]], self.of_vms)
                tables.append(table)
                current[words[1]] = table
                self.headers[kind] = table.columns
            elif unescape(words[0]) in KINDS:
                kind = unescape(words[0])
                raise Malformed(number, f"a '{kind}' row before its '# {kind}' header")
            # A row that neither we know nor a header explains cannot be read.
        for table in tables:
            self.rows.setdefault(table.kind, []).extend(table.rows())

    def _fact(self, number, words):
        if len(words) < 3:
            raise Malformed(number, "a 'host' row wants a key and a value")
        key = unescape(words[1])
        try:
            self.host[key] = cell("host", key, b" ".join(words[2:]))
        except ValueError as error:
            raise Malformed(number, error) from None


def check_schema(line):
    """ValueError if this is not the first line of a file that we can read."""
    match = re.fullmatch(rb"#\s+kvmmem\s+([0-9]+)\s*", line)
    if not match:
        raise ValueError("the first line is not '# kvmmem <schema>'; "
                         "this is not /proc/kvmmem nor a copy of it")
    if int(match[1]) != SCHEMA:
        raise ValueError(f"schema {int(match[1])}, but this tool reads schema {SCHEMA}; use "
                         "the kvmmem tool that came with the module, or --raw")


def proc_file(data):
    """The content of /proc/kvmmem; ValueError says what is wrong with it."""
    return proc_rows(list(map(bytes.split, data.split(b"\n"))))


def proc_rows(lines):
    """The same of lines that are split into words."""
    check_schema(b" ".join(lines[0]) if lines else b"")
    content = Content()
    content.take(itertools.islice(lines, 1, None), 2)
    if "vm" not in content.headers:
        raise ValueError("there is no '# vm' header line; is the copy complete?")
    return content


def copies(data):
    """The content of each copy of /proc/kvmmem in a file that has one or several.

    A copy may have been cut short, which a reading of the module never is.
    """
    if data and not data.endswith(b"\n"):
        line = data.count(b"\n") + 1
        raise ValueError(f"cut short in line {line}; save the file again")
    starts = [match.start() for match in re.finditer(rb"(?m)^#\s+kvmmem\s", data)]
    # What stands before the first one is an error, which the first part shows.
    bounds = [0, *starts[1:], len(data)]
    found = [proc_file(data[begin:end]) for begin, end in itertools.pairwise(bounds)]
    for content in found:
        content.cut = cut(content)
    return found


def cut(content):
    """Words on what a copy lacks that the module always prints; or None."""
    always = [kind for kind in KINDS if kind not in OPTIONAL]
    there = [kind for kind in always if kind in content.headers]
    vms, told = len(content.rows["vm"]), content.host.get("vms")
    if told is not None and vms < told and there == ["vm"]:
        return f"it has {vms} of {told} VMs"
    if there != always:
        missing = [kind for kind in always if kind not in there]
        return f"it has no rows of type {', '.join(missing)}"
    return None


def debugfs_file(data):
    """{type: rows} of a file in debugfs; its last column may be a sentence."""
    content, width, lines = Content(of_vms=False), {}, []
    for line in data.split(b"\n"):
        words = line.split()
        if words[:1] == [b"#"]:
            width[words[1]] = len(words) - 2
        elif words and len(words) - 1 > width.get(words[0], len(words)) > 0:
            last = width[words[0]]
            words = [*words[:last], b"\\040".join(words[last:])]
        lines.append(words)
    content.take(lines)
    return content.rows
