# SPDX-License-Identifier: GPL-2.0
"""The list of VMs in top: which columns fit, and how a line looks."""

from . import rules
from .columns import find
from .units import RATES, clip, safe, show

# In this order they get room.
COLUMNS = [find(name) for name in (
    "name", "vcpus", "mem", "swap", "host-huge", "ept-huge", "lost", "violations", "inval",
    "flushes", "refaults", "write", "vpid.remote", "vpid.guest", "mmio", "id")]
NAME, NAME_MOST = 16, 40        # the width of names
WORDS, WORDS_FROM = 22, 110     # the width of what is wrong, and the screen that has room for it
WRONG = "!"                     # before a name


def value(change, column):
    """What a VM has in a column, if that can be told."""
    return change.value(column) if change.rated or column.form not in RATES else None


def cell(change, column):
    """The same for people."""
    return show(RATES.get(column.form, column.form), value(change, column))


def title(column):
    """As short as it may be."""
    return column.short or column.title


class Listing:
    """Of one reading, on a screen of some width."""

    def __init__(self, changes, snapshot, width):
        self.snapshot = snapshot
        self.words = WORDS if width >= WORDS_FROM else 0
        room = width - NAME - (self.words + 2 if self.words else 0)
        self.columns = []
        for column in COLUMNS[1:]:
            if not snapshot.has(column) or column.name == "swap_kb" and not any(
                    value(change, column) for change in changes):
                continue
            # Numbers change at once, so that their columns are as wide as they may get.
            needs = max(7, len(title(column)) + 2)
            if column.form == "text":
                needs = max([needs] + [len(cell(change, column)) + 1 for change in changes])
            if room < needs:
                break
            room -= needs
            self.columns.append((column, needs))
        self.name = min(NAME_MOST, NAME + room)

    def titles(self, sort):
        """The line of titles; the column by which it is sorted is marked."""
        text = f"{'>' if sort == COLUMNS[0] else ' '}{'NAME':{self.name - 1}}"
        for column, needs in self.columns:
            text += f"{('>' if column == sort else '') + title(column):>{needs}}"
        return text + ("  WRONG" if self.words else "")

    def line(self, change):
        """(a VM's line, is anything wrong with it?)"""
        found = rules.of_vm(change, self.snapshot)
        name = clip(safe(change.vm.label), self.name - 2)
        text = f"{WRONG if found else ' '}{name:{self.name - 1}}" + "".join(
            f"{cell(change, column):>{needs}}" for column, needs in self.columns)
        if self.words:
            words = ", ".join(dict.fromkeys(one.word for one in found))
            text += f"  {clip(words, self.words)}"
        return text.rstrip(), bool(found)
