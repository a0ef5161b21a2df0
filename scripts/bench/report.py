# SPDX-License-Identifier: GPL-2.0
"""The results as a text, in Markdown or reStructuredText."""

import textwrap

import rst


def _pad(words, widths):
    return [word.ljust(width) if number == 0 else word.rjust(width)
            for number, (word, width) in enumerate(zip(words, widths))]


class MARKDOWN:
    """How Markdown writes it."""

    @staticmethod
    def heading(text):
        """A heading below the document's."""
        return f"## {text}\n"

    @staticmethod
    def table(head, rows):
        """A table; the first column is text."""
        widths = [max(map(len, column)) for column in zip(head, *rows)]
        rule = "|" + "|".join("-" * (width + 2) if number == 0 else "-" * (width + 1) + ":"
                              for number, width in enumerate(widths)) + "|"
        lines = ["| " + " | ".join(_pad(words, widths)) + " |" for words in [head, *rows]]
        return "\n".join([lines[0], rule, *lines[1:]]) + "\n"


class RST:
    """How reStructuredText does."""

    @staticmethod
    def heading(text):
        """A heading below the section's."""
        return f"{text}\n{'-' * len(text)}\n"

    @staticmethod
    def table(head, rows):
        """A simple table."""
        return rst.simple([head, *rows], numbers=True) + "\n"


def _table(style, head, rows):
    rows = [[str(word) for word in row] for row in rows]
    return style.table(head, rows)


def _text(paragraph):
    return textwrap.fill(paragraph, 80) + "\n"


def _number(value, digits=0):
    if value is None:
        return "-"
    text = f"{value:,.{digits}f}"
    return "0" if text == "-0" else text


def _ratio(value, ours):
    return "-" if value is None or not ours else f"{value / ours:.1f}"


def _exits(results, style):
    added = results["added"]
    ours = {name: added.get(name, {}).get("violation") for name in ("count", "all")}
    rows = []
    for name, title in results["titles"].items():
        if name not in added or name == "none":
            continue
        costs = [added[name].get(kind) for kind in ("violation", "io")]
        rows.append([title, *(_number(cost) for cost in costs),
                     _ratio(costs[0], ours["count"]), _ratio(costs[0], ours["all"])])
    base = [_number(results["base"].get(kind)) for kind in ("violation", "io")]
    return (_text(f"Without a tool a violation takes {base[0]} instructions and an I/O exit "
                  f"{base[1]}, the guest's and user space's included.") + "\n" +
            _table(style, ["instructions added", "per violation", "per I/O exit",
                           "x count only", "x everything"], rows))


def _vcpus(results, style):
    rows = [[vcpus, _number(results["added"].get("all", {}).get(kind), 1)]
            for vcpus, kind in ((1, "violation"), (2, "violation_x2"), (4, "violation_x4"))]
    return _table(style, ["vCPUs that fault at once", "everything: per violation"], rows)


def _reads(results, style):
    rows = [[record["file"], record["vms"], record["vcpus"], _number(record["ns"]),
             _number(record["ns"] / record["vms"]), _number(record.get("calls"))]
            for record in sorted(results["read"], key=lambda one: (one["file"], one["vms"]))]
    text = _table(style, ["a read of", "VMs", "vCPUs each", "instructions", "per VM",
                          "system calls"], rows)
    slopes = results["slopes"]
    if "vm" in slopes:
        text += (f"\n/proc/kvmmem takes {_number(slopes['vm'])} instructions a VM and "
                 f"{_number(slopes['vcpu'])} a vCPU.\n")
    return text


def _memory(results, style):
    return _table(style, ["VMs:vCPUs", "slab, per-CPU and vmalloc memory added by loading, kB",
                          "of that, inodes and names of its files"],
                  [[key, _number(kb), _number(results["memory_vfs_kb"][key])]
                   for key, kb in results["memory_kb"].items()])


def _walks(results, style):
    return _table(style, ["a read of", "pages", "instructions", "system calls"],
                  [[one["file"], _number(one["pages"]), _number(one["ns"]), one["calls"]]
                   for one in results["walk"]])


def _checks(results, style):
    return _table(style, ["budget", "measured", "at most", "verdict"],
                  [[check["what"], f"{check['measured']:,}", f"{check['budget']:,}",
                    "ok" if check["ok"] else "BROKEN"] for check in results["checks"]])


def document(results, style):
    """All tables."""
    parts = [_text(f"Kernel {results['kernel']}, emulated AMD host, instructions executed by the "
                   f"host, measured in {results['seconds']:.0f} s.")]
    for title, part in (("Exits", _exits), ("Several vCPUs", _vcpus), ("Reading", _reads),
                        ("Memory", _memory), ("Backing", _walks), ("Checks", _checks)):
        if part is not _walks or results["walk"]:
            parts += [style.heading(title), part(results, style)]
    if results["missing"]:
        parts.append(_text("Not installed, so not measured: " +
                           ", ".join(results["missing"]) + "."))
    return "\n".join(parts)
