# SPDX-License-Identifier: GPL-2.0
"""kvmmem --ended: the last VMs that ended, with what they had then."""

from .errors import Failure
from .units import clip, safe, show


def _form(name):
    return "size" if name.endswith("_kb") else "busy" if name.endswith("_us") else \
        "age" if name.endswith("_ms") else "count"


def _cell(name, value):
    if value is None or isinstance(value, str):
        return clip(safe(value or "-"), 24)
    return show("plain" if name in ("pid", "vcpus") else _form(name), value)


def lines(snapshot):
    """A table of all columns that the module has there."""
    rows = snapshot.rows.get("ended")
    if rows is None:
        raise Failure("VMs that ended are not told here: that takes root, debugfs, and a module "
                      "that has /sys/kernel/debug/kvmmem/ended")
    if not rows:
        yield "No VM has ended."
        return
    names = list(rows[0])
    # What is 0 for all of them says nothing.
    names = [name for name in names if any(row.get(name) not in (0, None) for row in rows)]
    table = [[safe(name).upper().removesuffix("_KB").replace("_", "-") for name in names]]
    table += [[_cell(name, row.get(name)) for name in names] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table)]
    text = [isinstance(rows[0].get(name), str) for name in names]
    for row in table:
        yield "  ".join(word.ljust(width) if left else word.rjust(width)
                        for word, width, left in zip(row, widths, text)).rstrip()
