# SPDX-License-Identifier: GPL-2.0
"""The tables of the matrix, for a terminal and for Documentation."""

import rst

BEGIN = ".. What follows is written by make matrix WRITE=1, up to the end mark."
END = ".. End of what make matrix writes."

_LOADED = (".text", ".rodata", ".data", ".bss", ".init", ".exit", "__", ".static_call",
           ".altinstr", ".retpoline", ".return", ".orc", ".smp_locks", ".ref", ".parainst")

# What a reader may ask for, and the column of /proc/kvmmem that shows it.
_COLUMNS = (
    ("EPT violations, NPT faults", "fault ept_violations"),
    ("read, write, exec", "fault exec"),
    ("protection", "fault protection"),
    ("during the guest's page walk", "fault page_walk"),
    ("MMIO with EPT, NPT", "fault mmio"),
    ("shadow paging's #PFs", "fault shadow"),
    ("remote flush requests", "flush requests"),
    ("remote flushes", "flush remote"),
    ("flushes of vCPUs", "flush vcpu"),
    ("hardware tags", "vpid vpid"),
    ("flushes by cause", "vpid remote"),
    ("one-address flushes", "vpid single"),
    ("memory of a VM", "vm mem_kb"),
    ("resident memory, swap, KSM", "vm resident_kb"),
    ("the host's mappings by size", "backing host_4k_kb"),
    ("KVM's mappings by size", "backing ept_4k_kb"),
    ("KVM's page tables", "backing ept_table_kb"),
    ("device memory apart", "vm device_kb"),
    ("memory in guest_memfds", "vm private_kb"),
    ("memory by node", "numa mem_kb"),
    ("KVM's page tables by node", "numa table_kb"),
    ("load of the older MMU", "older zapped"),
    ("all VMs since load", "total ept_violations"),
    ("invalidations by initiator", "inval calls"),
    ("refaults", "inval refaults"),
    ("what KVM made of faults", "outcome fixed"),
    ("faults of nested guests", "outcome l2"),
    ("of those, handed to L1", "outcome reflected"),
    ("flushes of ranges", "vpid range"),
    ("service time of faults", "time total_us"),
    ("in KVM, asleep, in user space", "time kvm_us"),
    ("asynchronous faults", "time async"),
    ("stuck vCPUs", "time stuck"),
    ("huge mappings that come and go", "huge installed"),
    ("writes to logged pages", "dirty write_faults"),
)


def loaded_size(sizes):
    """Bytes of the sections that stay in memory, out of size -A."""
    total = 0
    for line in sizes.splitlines():
        words = line.split()
        if len(words) == 3 and words[1].isdigit() and words[0].startswith(_LOADED):
            total += int(words[1])
    return total


def _cell_text(cell):
    if cell is None:
        return "not run"
    return (f"{len(cell['passed'])} passed, {len(cell['failed'])} failed, "
            f"{len(cell['skipped'])} skipped")


def markdown(rows):
    """A table in Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def _result_rows(kernels, vendors, cells):
    return [("kernel", *vendors)] + [
        (name, *(_cell_text(cells.get((name, vendor))) for vendor in vendors))
        for name in kernels]


def results(kernels, vendors, cells):
    """Kernel x vendor, for the terminal."""
    return markdown(_result_rows(kernels, vendors, cells))


def _by_vendor(values):
    """One word for what two vendors have."""
    words = {vendor: word for vendor, word in values.items() if word}
    if len(set(words.values())) <= 1:
        return next(iter(words.values()), "")
    return ", ".join(f"{vendor}: {word}".replace(" ", rst.TOGETHER)
                     for vendor, word in words.items())


def _row(title, kernels, vendors, cells, what):
    return (title, *(_by_vendor({vendor: what(cells[name, vendor]["seen"])
                                 for vendor in vendors}) for name in kernels))


def _feature_rows(kernels, vendors, cells):
    rows = [("seen", *kernels)]
    for title, column in _COLUMNS:
        rows.append(_row(title, kernels, vendors, cells,
                         lambda seen, column=column:
                         "yes" if seen["columns"].get(column) else "``-``"))
    for counter in ("ept_violations", "shadow", "flushes"):
        rows.append(_row(f"witness of {counter}", kernels, vendors, cells,
                         lambda seen, counter=counter:
                         "yes" if counter in seen["audits"] else "none"))
    rows.append(_row("prototypes", kernels, vendors, cells, _prototypes))
    return rows


def _prototypes(seen):
    notes = {why_not for _, why_not in seen["hooks"].values()}
    return "by version" if "prototype-unchecked" in notes else "compared with BTF"


def _hook_rows(kernels, vendors, cells):
    names = {}
    for cell in cells.values():
        names.update(dict.fromkeys(cell["seen"]["hooks"]))
    rows = [("hook", *kernels)]
    for hook in names:
        # The table is as wide as a page without the longest name.
        name = hook.replace("_invalidate_range_start", "_*_range_start")
        rows.append(_row(name, kernels, vendors, cells,
                         lambda seen, hook=hook: seen["hooks"].get(hook, [""])[0]))
    return rows


def _skip_rows(cells):
    rows = {(scenario, reason): [] for cell in cells.values()
            for scenario, reason in cell["skipped"].items()}
    for (name, vendor), cell in sorted(cells.items()):
        for scenario, reason in cell["skipped"].items():
            rows[scenario, reason].append(f"{name}{rst.TOGETHER}{vendor}")
    return [("skipped", "where", "because")] + [
        (f"``{scenario}``", ", ".join(places), reason)
        for (scenario, reason), places in sorted(rows.items())]


def _build_rows(kernels, builds):
    return [("kernel", "release", "module, KiB", "loaded, KiB")] + [
        (name, builds[name]["release"], f"{builds[name]['file_kb']:.0f}",
         f"{builds[name]['memory_kb']:.0f}") for name in kernels]


def write(path, kernels, vendors, cells, builds):
    """Replace what is between the marks of a document."""
    text = path.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    parts = [_result_rows(kernels, vendors, cells), _feature_rows(kernels, vendors, cells),
             _hook_rows(kernels, vendors, cells), _build_rows(kernels, builds)]
    skips = _skip_rows(cells)
    if len(skips) > 1:
        parts.insert(1, skips)
    body = "\n\n".join(rst.simple(rows) for rows in parts)
    path.write_text(f"{before}{BEGIN}\n\n{body}\n\n{END}{after}")

