# SPDX-License-Identifier: GPL-2.0
"""The results as a text in Markdown."""

_COLUMNS = ("violation", "io")


def _table(head, rows):
    rows = [[str(word) for word in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *rows)]

    def line(words):
        cells = [word.ljust(width) if number == 0 else word.rjust(width)
                 for number, (word, width) in enumerate(zip(words, widths))]
        return "| " + " | ".join(cells) + " |"

    rule = "|" + "|".join("-" * (width + 2) if number == 0 else "-" * (width + 1) + ":"
                          for number, width in enumerate(widths)) + "|"
    return "\n".join([line(head), rule, *map(line, rows)]) + "\n"


def _number(value, digits=0):
    return "-" if value is None else f"{value:,.{digits}f}"


def _ratio(value, ours):
    return "-" if value is None or not ours else f"{value / ours:.1f}"


def _exits(results):
    added = results["added"]
    ours = {name: added.get(name, {}).get("violation") for name in ("count", "all")}
    rows = []
    for name, title in results["titles"].items():
        if name not in added or name == "none":
            continue
        costs = [added[name].get(kind) for kind in _COLUMNS]
        rows.append([title, *(_number(cost) for cost in costs),
                     _ratio(costs[0], ours["count"]), _ratio(costs[0], ours["all"])])
    base = [_number(results["base"].get(kind)) for kind in _COLUMNS]
    return (f"Without any tool a violation takes {base[0]} instructions from exit to entry and "
            f"an I/O exit {base[1]}.\n\n" +
            _table(["instructions added", "per violation", "per I/O exit",
                    "x count only", "x everything"], rows))


def _vcpus(results):
    rows = [[vcpus, _number(results["added"].get("all", {}).get(kind), 1)]
            for vcpus, kind in ((1, "violation"), (2, "violation_x2"), (4, "violation_x4"))]
    return _table(["vCPUs that fault at once", "kvmmem, everything: per violation"], rows)


def _reads(results):
    rows = [[record["file"], record["vms"], record["vcpus"], _number(record["ns"]),
             _number(record["ns"] / record["vms"]), _number(record.get("calls"))]
            for record in sorted(results["read"], key=lambda one: (one["file"], one["vms"]))]
    text = _table(["a read of", "VMs", "vCPUs each", "instructions", "per VM", "system calls"],
                  rows)
    slopes = results["slopes"]
    if "vm" in slopes:
        text += (f"\n/proc/kvmmem takes {_number(slopes['vm'])} instructions a VM and "
                 f"{_number(slopes['vcpu'])} a vCPU.\n")
    return text


def _memory(results):
    return _table(["VMs:vCPUs", "slab, per-CPU and vmalloc memory added by loading, kB"],
                  [[key, _number(kb)] for key, kb in results["memory_kb"].items()])


def _checks(results):
    return _table(["budget", "measured", "at most", ""],
                  [[check["what"], f"{check['measured']:,}", f"{check['budget']:,}",
                    "ok" if check["ok"] else "BROKEN"] for check in results["checks"]])


def markdown(results):
    """All tables."""
    parts = [f"# What kvmmem costs\n\nKernel {results['kernel']}, emulated AMD host, "
             f"instructions executed by the host, measured in {results['seconds']} s.\n",
             "## Exits\n\n" + _exits(results), "## Several vCPUs\n\n" + _vcpus(results),
             "## Reading\n\n" + _reads(results), "## Memory\n\n" + _memory(results)]
    if results["walk"]:
        parts.append("## Backing\n\n" + _table(
            ["a read of", "pages", "instructions", "system calls"],
            [[one["file"], _number(one["pages"]), _number(one["ns"]), one["calls"]]
             for one in results["walk"]]))
    if results["missing"]:
        parts.append("Not installed, so not measured: " + ", ".join(results["missing"]) + ".\n")
    parts.append("## Budgets\n\n" + _checks(results))
    return "\n".join(parts)
