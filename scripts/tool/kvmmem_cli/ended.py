# SPDX-License-Identifier: GPL-2.0
"""kvmmem --ended: the last VMs that ended, with what they had then."""

import textwrap

from .errors import Failure
from .units import clip, safe, show


def _form(name):
    return "size" if name.endswith("_kb") else "busy" if name.endswith("_us") else \
        "age" if name.endswith("_ms") else "count"


def _cell(name, value):
    if value is None or isinstance(value, str):
        return clip(safe(value or "-"), 24)
    return show("plain" if name in ("pid", "vcpus") else _form(name), value)


def lines(snapshot, limit):
    """A table of the columns that the module has there, as far as there is room."""
    rows = snapshot.rows.get("ended")
    if rows is None:
        raise Failure("VMs that ended are not told here: that takes root, debugfs, and a module "
                      "that has /sys/kernel/debug/kvmmem/ended")
    if not rows:
        yield "No VM has ended."
        return
    # What is 0 for all of them says nothing.
    names = [name for name in rows[0] if any(row.get(name) not in (0, None) for row in rows)]
    columns, hidden, room = [], [], limit
    for name in names:
        cells = [safe(name).upper().removesuffix("_KB").replace("_", "-")] + \
            [_cell(name, row.get(name)) for row in rows]
        width = max(map(len, cells))
        room -= width + 2
        if columns and room < -2:
            hidden.append(cells[0])
            continue
        left = isinstance(rows[0].get(name), str)
        columns.append([cell.ljust(width) if left else cell.rjust(width) for cell in cells])
    for row in zip(*columns):
        yield "  ".join(row).rstrip()
    if hidden:
        yield ""
        yield from textwrap.wrap("Too narrow for: " + " ".join(hidden), max(limit, 40))
