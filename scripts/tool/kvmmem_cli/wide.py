# SPDX-License-Identifier: GPL-2.0
"""kvmmem --wide and --json: all that is known of each VM."""

import datetime
import json
import re
import textwrap

from .columns import COLUMNS, FAULTS, FLUSHES, HUGE, INVAL, LOST, SCHEMA, SINGLE
from .units import clip, show


def host_lines(snapshot):
    """What to know of the host before looking at its VMs."""
    host, total = snapshot.host, (snapshot.rows.get("total") or [{}])[0]

    def word(key, form="text"):
        return show(form, host.get(key))

    ept, vpid = ("NPT", "ASIDs") if host.get("isa") == "svm" else ("EPT", "VPID")
    yield (f"Host      {word('isa')}, {ept} {word('ept')}, {vpid} {word('vpid')}, "
           f"THP {word('thp')}, KSM {word('ksm')}")
    space, used = host.get("swap_total_kb"), host.get("swap_used_kb")
    swap = "none" if space == 0 else word("swap_total_kb", "size")
    if space:
        swap += f", {show('percent', None if used is None else used / space)} used"
    yield (f"Memory    {word('mem_total_kb', 'size')}, {word('mem_available_kb', 'size')} "
           f"available; swap {swap}")
    guest, memory = host.get("guest_kb"), host.get("mem_total_kb")
    ratio = None if guest is None or not memory else guest / memory
    yield (f"VMs       {word('vms')} with {word('guest_kb', 'size')}, overcommit "
           f"{'-' if ratio is None else format(ratio, '.2f')}"
           f"{' (more than the host has)' if ratio and ratio > 1 else ''}"
           f"{'; ' + str(total['vms_ended']) + ' ended' if total.get('vms_ended') else ''}")
    if host.get("lost") != 0:
        yield (f"LOST      !!! {word('lost')} events were not counted: the counts below are too "
               "low, see /sys/kernel/debug/kvmmem/hooks !!!")


def sorted_by(vms, column):
    """Biggest first for amounts, ascending for names; unknown ones last."""
    def key(vm):
        value = vm.value(column)
        if column.form == "text":
            # Numbers in a name by their value: 99-11 is before 100-11. They may be long.
            parts = re.split(r"0*([0-9]+)", value or "")
            return value is None, [(len(p), p) if i % 2 else p for i, p in enumerate(parts)]
        return value is None, (value or 0) * (1 if column.name == "pid" else -1)

    return sorted(vms, key=key)


def span(columns, widths, gap=2):
    """How wide @columns are side by side."""
    return sum(widths[c] + gap for c in columns) - gap


def by_group(columns):
    """@columns in lists, one a group."""
    return [[c for c in columns if c.group == group]
            for group in dict.fromkeys(c.group for c in columns)]


def blocks(columns, widths, limit):
    """@columns in as few tables as the width allows, groups whole if they fit."""
    again, block = [c for c in columns if c.kind == "self" and not c.group], []
    for group in by_group(columns):
        fits = span(again + group, widths) <= limit
        for part in [group] if fits else [[c] for c in group]:
            if block and span(block + part, widths) > limit:
                yield block
                block = again
            block = block + part
    yield block


def group_line(columns, widths, gap):
    """The line of group titles over @columns, like vmstat's."""
    parts = []
    for group in by_group(columns):
        width, title = span(group, widths, gap), f" {group[0].group} "
        parts.append(title.center(width, "-") if 2 < len(title) <= width else " " * width)
    return (" " * gap).join(parts).rstrip()


def block_lines(block, cells, widths):
    """One table: titles of groups and columns, then a line for each VM."""
    yield group_line(block, widths, 2)
    for row in zip(*([c.title] + cells[c] for c in block)):
        yield "  ".join(text.ljust(widths[c]) if c.form == "text" else text.rjust(widths[c])
                        for c, text in zip(block, row)).rstrip()
    yield ""


def notes(columns, dropped, cells):
    """What the reader of @columns must know."""
    groups = {c.group for c in columns}
    if groups & {FAULTS, FLUSHES, INVAL, LOST}:
        yield "Counts are since kvmmem first saw the VM."
    if HUGE in groups:
        yield ("HOST-HUGE, EPT-HUGE: how much of what the host's and KVM's tables map is in 2M and "
               "1G pages; AGE: of the host's walk.")
    if FAULTS in groups:
        yield ("VIOLATIONS (EPT violations; NPT faults on AMD) = READ + WRITE + EXEC; "
               "PROTECTION and WALK are parts of it.")
    if FLUSHES in groups:
        yield ("REQUESTS, DONE: remote flushes. FLUSHES: of vCPUs, by cause REMOTE to OTHER. "
               "SINGLE: of one address.")
    if LOST in groups:
        yield ("LOST: time of vCPUs that went into faults, IN-KVM, ASLEEP (or preempted) and "
               "IN-USER.")
    if INVAL in groups:
        yield ("INVAL: invalidations that touched the VM's memory, by initiator VMM to ELSE; "
               "DISCARD: of VMM's, given back; TAKEN: how much; REFAULTS: of that, came back.")
    if any("-" in column for column in cells.values()):
        yield "-: unknown on this kernel or host, not 0."
    if dropped:
        yield f"Unknown for all VMs above, not shown: {', '.join(c.title for c in dropped)}."


def cut_line(snapshot):
    """What to say of a copy that is not whole."""
    return (f"THE COPY IS CUT SHORT: {snapshot.cut}, which the module always prints. What is "
            "missing below is missing in the copy.")


def table_lines(snapshot, vms, limit):
    """All that kvmmem --wide prints."""
    yield from host_lines(snapshot)
    yield ""
    if not vms:
        yield "No VM is known to the module."
        return
    present = [c for c in COLUMNS if c.group is not None and snapshot.has(c)]
    columns = [c for c in present
               if c.kind == "self" or any(vm.value(c) is not None for vm in vms)]
    cells = {c: [clip(show(c.form, vm.value(c)), 24) for vm in vms] for c in columns}
    widths = {c: max(map(len, [c.title] + cells[c])) for c in columns}
    for block in blocks(columns, widths, limit):
        yield from block_lines(block, cells, widths)
    dropped = [c for c in present if c not in columns]
    if snapshot.cut:
        yield from textwrap.wrap(cut_line(snapshot), max(limit, 40))
        dropped = []
    for note in notes(columns, dropped, cells):
        yield from textwrap.wrap(note, max(limit, 40))


def json_text(snapshot, vms):
    """All of @vms by the file's own names; unknown is null.

    A VM has what its "vm" row says, and its rows of every other type: SINGLE says
    where an object stands, and where a list.  Rows of no VM are lists in "rows".
    """
    def of(vm, kind):
        rows = [{k: v for k, v in row.items() if k != "vm"} for row in vm.rows[kind]]
        if kind in SINGLE and len(rows) < 2:
            return rows[0] if rows else None
        return rows

    def record(vm):
        rows = {kind: of(vm, kind) for kind in snapshot.kinds()}
        return {**rows.pop("vm")[0], "name": vm.name, "uuid": vm.uuid, **rows}

    facts = {"schema": SCHEMA, "time": stamp(snapshot.wall), "host": snapshot.host,
             "rows": snapshot.rows}
    # A line each, as an indented one is made ten times as slowly.
    parts = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in facts.items()]
    parts.append('"vms": [' + ",".join("\n" + json.dumps(record(vm)) for vm in vms) + "]")
    return "{" + ",\n".join(parts) + "}"


def stamp(wall):
    """A time for programs: UTC, to the millisecond."""
    when = datetime.datetime.fromtimestamp(wall, datetime.timezone.utc)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
