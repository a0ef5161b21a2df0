# SPDX-License-Identifier: GPL-2.0
"""All of one VM, as lines: its page in top."""

import textwrap

from . import rules
from .columns import CAUSES, INITIATORS, made
from .units import RATES, safe, show, show_count, show_size

LAYERS = (("host", "host"), ("ept", "KVM"))
MOST = 4                # that are named of many
INDENT = 14             # of what is said, below its title
FILL = {"4k": ".", "2m": "=", "1g": "#"}


def drawn(parts, width):
    """A bar of characters: [(amount, character)...], as wide as their share is."""
    whole = sum(amount for amount, _ in parts)
    if not whole:
        return ""
    text, so_far = "", 0
    for amount, character in parts:
        so_far += amount
        length = round(width * so_far / whole) - len(text)
        # What is there is to be seen.
        text += character * max(length, int(amount > 0 and len(text) < width))
    return text[:width]


def _rates(change, kind, names):
    """[(name, value as people read it)] of what is known."""
    found = []
    for name in names:
        column = made(kind, name)
        value = change.value(column) if change.rated else change.vm.value(column)
        if value is not None:
            found.append((name, show(_form(column, change), value)))
    return found


def _form(column, change):
    return RATES.get(column.form, column.form) if change.rated else column.form


def _line(title, pairs):
    return f"  {title:12}" + "  ".join(f"{name.replace('_', ' ')} {text}" for name, text in pairs)


def _folded(line, width):
    """A line of pairs that is too long, in several."""
    while len(line) > width and "  " in line[INDENT:width + 1].strip():
        at = line.rindex("  ", 0, width + 1)
        yield line[:at].rstrip()
        line = " " * INDENT + line[at:].strip()
    yield line[:width].rstrip()


def _memory(vm, width):
    yield "Memory"
    yield _line("", [(what, show("size", vm.total("vm", name))) for what, name in (
        ("of slots", "mem_kb"), ("in memory", "resident_kb"), ("swap", "swap_kb"),
        ("merged", "ksm_kb"))])
    for layer, name in LAYERS:
        sizes = vm.backing(layer)
        if sizes is None:
            yield f"  {name:12}-"
            continue
        text = "  ".join(f"{size.upper()} {show_size(kb)}" for size, kb in sizes.items())
        room = max(10, width - 48)
        shape = drawn([(kb, FILL[size]) for size, kb in sizes.items()], room)
        yield f"  {name:12}[{shape:{room}}] {text}"
    rows = [row for row in vm.detail.get("slot", ()) if row.get("slot") != "total" and
            row.get("gap_kb")]
    for row in rows[:MOST]:
        yield (f"  {'gap':12}slot {row['slot']} at {row.get('gpa')}: {show_size(row['gap_kb'])}, "
               f"{row.get('cause') or '-'}")
    if vm.nodes:
        near = "" if vm.local_kb is None else ", ".join(
            f"{show_size(kb)} {where}" for kb, where in zip(vm.local_kb, ("local", "remote")))
        yield f"  {'NUMA nodes':12}{vm.nodes}  {near}".rstrip()
    yield from _logging(vm)


def _logging(vm):
    mode = vm.one("dirty", "mode")
    if mode is None:
        return
    pairs = [("since", "since_ms", "age"), ("dirty", "dirty_kb", "size")] if mode != "off" else []
    pairs += [("huge pages split", "split_2m", "count"), ("back", "recovered_2m", "count")]
    yield _line("dirty log", [(safe(mode), "")] + [(what, show(form, vm.one("dirty", name)))
                                                   for what, name, form in pairs])


def _huge(change):
    pairs = _rates(change, "huge", ("installed", "recovered", "nx_split", "dirty_log_split",
                                    "zapped"))
    if any(text != "0" for _, text in pairs):
        yield f"Huge pages in KVM's tables{_unit(change)}"
        yield _line("", pairs)


def _unit(change):
    return " (a second)" if change.rated else " (since kvmmem saw it)"


def _faults(change):
    yield f"Faults{_unit(change)}"
    for kind, title, names in (
            ("fault", "", ("ept_violations", "read", "write", "exec")),
            ("fault", "of these", ("protection", "page_walk")),
            ("fault", "apart", ("mmio", "shadow")),
            ("outcome", "outcome", ("fixed", "fast", "spurious", "emulated", "retried", "l2",
                                    "reflected"))):
        pairs = _rates(change, kind, names)
        if pairs:
            yield _line(title, pairs)


def _time(change, width):
    vm = change.vm
    lost = _rates(change, "time", ("total_us", "kvm_us", "asleep_us", "user_us"))
    buckets = [row for row in vm.detail.get("latency", ()) if row.get("count")]
    if not lost and not buckets:
        return
    yield "Time lost to faults"
    if lost:
        yield _line("", [(name.removesuffix("_us"), text) for name, text in lost])
        each = [(name.removesuffix("_ns"), vm.one("time", name)) for name in
                ("p50_ns", "p99_ns", "max_ns")]
        pairs = _rates(change, "time", ("served", "async", "stuck"))
        if pairs:
            yield _line("faults", [(name, text) for name, text in pairs if name != "stuck"] +
                        [(name, show("count", vm.one("time", name)))
                         for name, _ in pairs if name == "stuck"])
        if any(value is not None for _, value in each):
            yield _line("each", [(name, show("busy", None if value is None else value / 1000))
                                 for name, value in each])
    yield from _of_each(vm)
    most = max((row["count"] for row in buckets), default=0)
    for row in buckets:
        room = max(10, width - 36)
        yield (f"  {'from ' + show('busy', row['from_ns'] / 1000):>16} "
               f"{show_count(row['count']):>8} "
               f"{drawn([(1, '#')], max(1, round(room * row['count'] / most)))}")


def _of_each(vm):
    """By access and by vCPU, since kvmmem saw the VM."""
    for kind, key, title, called in (("access", "access", "by access", "{}"),
                                     ("size", "size", "by page size", "{}"),
                                     ("service", "vcpu", "by vCPU", "vCPU {}")):
        rows = [row for row in vm.detail.get(kind, ()) if row.get("total_ns")]
        rows = sorted(rows, key=lambda row: -row["total_ns"])[:MOST]
        if rows:
            yield _line(title, [(called.format(row.get(key)), show("busy", row["total_ns"] / 1000))
                                for row in rows])


def _flushes(change):
    flush = _rates(change, "flush", ("requests", "remote", "vcpu"))
    rows = change.vm.tags
    if not flush and not rows:
        return
    yield "TLB flushes"
    if flush:
        yield _line("", flush)
    if not rows:
        return
    before = {row.get("vcpu"): row for row in change.old.tags} if change.old else {}
    unknown = change.rated and (change.hidden("vpid") or not change.seconds)
    yield "  " + "vCPU".rjust(6) + "".join(f"{name:>9}" for name in (*CAUSES, "single"))
    for row in rows:
        vcpu = row.get("vcpu")
        text = f"  {vcpu if vcpu is not None else '-':>6}"
        for name in (*CAUSES, "single"):
            value = "-" if unknown else _of_vcpu(change, row, before.get(vcpu, {}), name)
            text += f"{value:>9}"
        yield text


def _of_vcpu(change, row, before, name):
    """A cause's flushes of one vCPU, over all of its tags."""
    if row.get(name) is None:
        return "-"
    if not change.rated:
        return show("count", row[name])
    return show("rate", max(0, row[name] - (before.get(name) or 0)) / change.seconds)


def _invalidations(change, width):
    calls = _rates(change, "inval", ("calls", "refaults"))
    if not calls:
        return
    yield f"Memory taken away{_unit(change)}"
    yield _line("", calls + [("given back by the VMM", text) for _, text in
                             _rates(change, "inval", ("discard",))])
    amounts = {}
    for name in INITIATORS:
        column = made("inval", name)
        amounts[name] = (change.grown(column) if change.rated else
                         change.vm.value(column)) or 0
    most = max(amounts.values())
    texts = dict(_rates(change, "inval", INITIATORS))
    sizes = dict(_rates(change, "inval_kb", INITIATORS))
    for name, amount in sorted(amounts.items(), key=lambda pair: -pair[1]):
        if amount:
            room = max(10, width - 40)
            yield (f"  {name.replace('_', ' '):12}{texts[name]:>8} {sizes.get(name, ''):>7} "
                   f"{drawn([(1, '#')], max(1, round(room * amount / most)))}")


def lines(change, snapshot, width):
    """The page."""
    vm, found = change.vm, []
    found.append(f"{safe(vm.label)}  ({safe(vm.id)}, {show('plain', vm.total('vm', 'vcpus'))} "
                 f"vCPUs, {safe(vm.one('vm', 'mode') or '-')}"
                 f"{', ' + safe(vm.uuid) if vm.uuid else ''})")
    for finding in rules.of_vm(change, snapshot, bool(vm.detail)):
        found += textwrap.wrap(finding.text[:1].upper() + finding.text[1:], max(20, width - 4),
                               initial_indent="! ", subsequent_indent="! ")
    for part in (_memory(vm, width), _huge(change), _faults(change), _time(change, width), _flushes(change),
                 _invalidations(change, width)):
        found += part
    return [part for line in found for part in _folded(line, width)]
