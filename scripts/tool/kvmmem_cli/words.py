# SPDX-License-Identifier: GPL-2.0
"""The words of /proc/kvmmem from reading to reading: which of them changed.

A host with 500 busy VMs has 100,000 words, of which 20,000 change in a second. So
nothing here looks at a word by itself unless VMs or rows came or went: splitting and
comparing are each one call for all of them.
"""

import collections
import itertools
import operator

from . import parse

# What changed: all words, the places of those that differ (None: lines came or went, so
# that places mean nothing), and the content if more than counts changed, else None.
Change = collections.namedtuple("Change", "words places content")

# Columns in which a change means more than that something was counted.
NOTED = {b"vm": (b"id", b"pid", b"comm"), b"dirty": (b"vm", b"mode")}


def split(data):
    """Lines of words; lines without any are left out."""
    return [words for words in map(bytes.split, data.split(b"\n")) if words]


def joined(words, shape):
    """The text of lines that have so many words each."""
    words = iter(words)
    return b"".join(b" ".join(itertools.islice(words, length)) + b"\n" for length in shape)


def _noted(rows):
    """Places of words that tell what the others mean."""
    at, columns = 0, {}
    for words in rows:
        kind = words[0]
        yield at
        if kind == b"#" and len(words) > 2:
            yield from range(at + 1, at + len(words))
            names = NOTED.get(words[1], (b"vm",))
            columns[words[1]] = [place for place, name in enumerate(words[2:], 1)
                                 if name in names]
        for place in columns.get(kind, ()):
            yield at + place
        at += len(words)


class Words:
    """Takes in one reading after the other."""

    def __init__(self):
        self.words, self.shape = [], []
        self.lines, self.noted = 0, frozenset()

    def take(self, data):
        """What changed since the reading before; ValueError if this is no reading."""
        words, lines = data.split(), data.count(b"\n")
        places = None
        if len(words) == len(self.words) and lines == self.lines:
            places = list(itertools.compress(itertools.count(),
                                             map(operator.ne, words, self.words)))
            if self.noted.isdisjoint(places):
                self.words = words
                return Change(words, places, None)
        rows = split(data)
        content = parse.proc_rows(rows)
        shape = list(map(len, rows))
        if shape != self.shape:
            places = None
        self.words, self.shape, self.lines = words, shape, lines
        self.noted = frozenset(_noted(rows))
        return Change(words, places, content)

    def text(self):
        """The last reading, a blank between words."""
        return joined(self.words, self.shape)
