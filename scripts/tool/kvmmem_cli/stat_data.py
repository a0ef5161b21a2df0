# SPDX-License-Identifier: GPL-2.0
"""What stat prints for programs."""

import csv
import json
import sys

from .columns import COUNTERS, GROWING
from .units import safe
from .wide import stamp


def _name(column):
    """What programs call a column."""
    name = column.name if column.kind == "fault" else f"{column.kind}_{column.name}"
    return f"{name}_per_s" if column.form in GROWING else name


def _raw(change, column):
    """A value for programs: growth a second, or what is there now."""
    if column.form not in GROWING:
        return change.vm.value(column)
    grown = change.grown(column)
    return None if grown is None or not change.seconds else grown / change.seconds


class Data:
    """What is for programs."""

    def __init__(self, columns):
        # Those of the first version first, for whoever counts them.
        self.columns = columns or sorted(
            COUNTERS, key=lambda c: c.kind not in ("fault", "flush", "vpid"))

    def start(self, _snapshot, _changes):
        """Before the first interval."""

    def interval(self, new, seconds, changes, _gone):
        """A line for each VM."""
        for change in changes:
            self.line(stamp(new.wall), seconds, change.vm,
                      {_name(c): _raw(change, c) for c in self.columns})

    def line(self, when, seconds, vm, values):
        """One VM's line."""
        raise NotImplementedError


class CsvReport(Data):
    """A line for each VM and interval, with commas."""

    def __init__(self, columns):
        super().__init__(columns)
        self.out = csv.writer(sys.stdout, lineterminator="\n")

    def start(self, _snapshot, _changes):
        self.out.writerow(["time", "interval_s", "id", "name"] +
                          [_name(c) for c in self.columns] + ["uuid"])

    def line(self, when, seconds, vm, values):
        self.out.writerow([when, f"{seconds:.6f}", safe(vm.id), safe(vm.name or "")] +
                          ["" if v is None else f"{v:.3f}" if isinstance(v, float) else safe(v)
                           for v in values.values()] + [vm.uuid or ""])


class JsonReport(Data):
    """The same as objects."""

    def line(self, when, seconds, vm, values):
        print(json.dumps({"time": when, "interval_s": round(seconds, 6), "id": vm.id,
                          "name": vm.name, "uuid": vm.uuid,
                          **{name: round(value, 3) if isinstance(value, float) else value
                             for name, value in values.items()}}))
