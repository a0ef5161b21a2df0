#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Do all who name rows and columns name the same?

The module's sources are right: the KVMMEM_TABLEs of its files, and the facts of
/proc/kvmmem. Documentation/ABI and Documentation/columns.rst have to name all of
them and no others; what the tool and its tests name has to be among them.

Prints a line a check and "N passed, N failed".
"""

import pathlib
import re
import sys

sys.dont_write_bytecode = True
SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
TREE = SCRIPTS.parent
sys.path[:0] = [str(SCRIPTS / "tool"), str(SCRIPTS / "tool/tests")]

# pylint: disable=wrong-import-position
import case
from kvmmem_cli import columns

PROC = "/proc/kvmmem"
DEBUGFS = "/sys/kernel/debug/kvmmem/"
PROC_ABI = "Documentation/ABI/testing/procfs-kvmmem"
DEBUGFS_ABI = "Documentation/ABI/testing/debugfs-kvmmem"
RST = "Documentation/columns.rst"
TOOL = "scripts/tool/kvmmem_cli"
FIXTURES = "scripts/tool/tests/case.py"

TABLE = re.compile(r'KVMMEM_TABLE\((\w+),\s*"(\w+)",\s*((?:\{ "\w+", -?\d+ \},?\s*)+)\);')
SHOW = re.compile(r"^static int (?:kvmmem_|debugfs_)?(\w+)_show\(.*?^\}", re.M | re.S)


class Unreadable(Exception):
    """Something is not written as everything else is."""


def read(name):
    """A file of the tree."""
    try:
        return (TREE / name).read_text()
    except OSError as error:
        raise Unreadable(f"{name}: {error.strerror.lower()}") from None


def file_of(table, text, name):
    """The file of debugfs that shows a table, from the function that prints its header."""
    found = [show[1] for show in SHOW.finditer(text)
             if f"kvmmem_table_header(seq, &{table})" in show[0]]
    if len(found) != 1:
        raise Unreadable(f"{name}: {table} is in the files {found} of debugfs; one <file>_show() "
                         "has to print its header")
    return found[0]


def facts(text, name):
    """The keys of the host rows."""
    calls = re.findall(r'fact_(?:text|u64)\(seq, ("?)(\w+)', text)
    made = re.findall(r'snprintf\(key, sizeof\(key\), "([^"]+)"', text)
    # One more without quotes is where one of them calls the other.
    if len(made) != sum(not quote for quote, _ in calls) - 1:
        raise Unreadable(f"{name}: a key of a host row is neither a literal nor made by snprintf()")
    return [word for quote, word in calls if quote] + [key.replace("%llu", "<size>")
                                                       for key in made]


def module():
    """{(file, type): columns} of the module's tables; a file in debugfs by its name."""
    tables = {}
    for path in sorted(TREE.glob("kmod/**/*.c")):
        name, text = str(path.relative_to(TREE)), path.read_text()
        if "KVMMEM_TABLE(" not in text or path.parent.name == "tests":
            continue
        if not re.match("procfs|debugfs", path.name):
            raise Unreadable(f"{name}: a KVMMEM_TABLE, but of which file? Its name tells: "
                             "procfs*.c or debugfs*.c")
        found = TABLE.findall(text)
        if len(found) != text.count("KVMMEM_TABLE("):
            raise Unreadable(f"{name}: a KVMMEM_TABLE is not written as the others")
        for table, kind, body in found:
            file = PROC if path.name.startswith("procfs") else file_of(table, text, name)
            tables[file, kind] = re.findall(r'"(\w+)"', body)
        if path.name == "procfs.c":
            tables[PROC, "host"] = facts(text, name)
    if len(tables) < 12 or not all(tables.values()):
        raise Unreadable(f"kmod: only {len(tables)} tables were found")
    return tables


def lacks(name, there, wanted):
    """What is missing in a file: lines."""
    for (file, kind), names in wanted.items():
        if (file, kind) not in there:
            yield f"{name}: no '{kind}' rows of {file}"
        for column in names if (file, kind) in there else ():
            if column not in there[file, kind]:
                yield f"{name}: '{kind}' rows of {file}: '{column}' is missing"


def exceeds(name, there, wanted):
    """What it has too much."""
    for (file, kind), names in there.items():
        if (file, kind) not in wanted:
            yield f"{name}: '{kind}' rows of {file}: the module has none"
        for at, column in enumerate(names if (file, kind) in wanted else ()):
            if column not in wanted[file, kind]:
                yield f"{name}: '{kind}' rows of {file}: the module has no '{column}'"
            elif column in names[:at]:
                yield f"{name}: '{kind}' rows of {file}: '{column}' is there twice"


def check_proc_abi(tables):
    """Documentation/ABI on /proc/kvmmem."""
    there = {}
    # A type, then lines that are further to the right.
    for kind, body in re.findall(r"^\t\t(\w+)(?: <.*)?\n((?:\t\t\t.*\n)+)", read(PROC_ABI), re.M):
        names = re.sub(r"\([^)]*\)", "", body).split(",")
        there[PROC, kind] = [name.strip() for name in names]
    wanted = {key: names for key, names in tables.items() if key[0] == PROC}
    return [*lacks(PROC_ABI, there, wanted), *exceeds(PROC_ABI, there, wanted)]


def check_debugfs_abi(tables):
    """Documentation/ABI on debugfs, which lists columns in sentences."""
    blocks = {what.split("/")[-1]: body for what, body in
              re.findall(rf"^What:\s+{DEBUGFS}(\S+)\n(.*?)(?=^What:|\Z)", read(DEBUGFS_ABI),
                         re.M | re.S)}
    for (file, kind), names in tables.items():
        if file == PROC:
            continue
        if file not in blocks:
            yield f"{DEBUGFS_ABI}: no file '{file}'"
            continue
        text = " ".join(blocks[file].split())
        same = re.search(r"rows of type (\w+) in /proc/kvmmem, without the vm column", text)
        there = tables[PROC, same[1]][1:] if same else re.findall(r"\w+", text)
        yield from lacks(DEBUGFS_ABI, {(file, kind): there}, {(file, kind): names})
        # "A row a vCPU: vcpu, read, write (and its cause)."
        listed = re.sub(r"\([^)]*\)", "", text).split("Description:")[1]
        listed = listed.split(":", 1)[-1].split(".", 1)[0]
        known = [name for key, more in tables.items() if key[0] == file for name in more]
        for word in there if same else re.findall(r"(?<=,) *(\w+) *(?=,|$)", "," + listed):
            if word not in known:
                yield f"{DEBUGFS_ABI}: file '{file}': the module has no '{word}'"


def check_rst(tables):
    """Documentation/columns.rst: a section a type, with a list-table of columns."""
    there = {}
    # A title is ``type``, or ``type`` in ``file`` for debugfs.
    parts = re.split(r"^``(\w+)``(?: in ``([^`]+)``)?\n(?:=+|-+|~+|\^+)\n", read(RST), flags=re.M)
    for kind, path, body in zip(parts[1::3], parts[2::3], parts[3::3]):
        # It ends at the next title of any kind.
        body = re.split(r"^(?:={3,}|-{3,}|~{3,})$", body, flags=re.M)[0]
        file = path.split("/")[-1] if path else PROC
        there[file, kind] = re.findall(r"^ +\* - ``([^`]+)``$", body, re.M)
    return [*lacks(RST, there, tables), *exceeds(RST, there, tables)]


def check_tool(tables):
    """What the tool knows."""
    there = {}
    for kind, name in columns.NUMBERS | columns.TEXT:
        there.setdefault((PROC, kind), []).append(name)
    # What an older module lacks, this tree's may lack, too, while it is being written.
    there = {(file, kind): [name for name in names
                            if (kind, name) not in columns.OPTIONAL_COLUMNS
                            or (name in tables.get((file, kind), ()))]
             for (file, kind), names in there.items()
             if kind not in columns.OPTIONAL or (file, kind) in tables}
    there[PROC, "host"] = sorted(columns.HOST_NUMBERS)
    yield from exceeds(f"{TOOL}/columns.py", there, tables)
    shown = []
    for path in sorted((TREE / TOOL).rglob("*.py")):
        keys = sorted(set(re.findall(r'\b(?:host\.get|word)\("(\w+)"', path.read_text())))
        shown += keys
        yield from exceeds(path.relative_to(TREE), {(PROC, "host"): keys}, tables)
    if not {"isa", "swap_total_kb", "lost"} <= set(shown):
        raise Unreadable(f"{TOOL}: where are the facts of the host that it shows?")
    for file, kind in tables:
        if file == PROC and kind not in ("host", *columns.KINDS) and "vm" in tables[file, kind]:
            yield (f"{TOOL}/columns.py: '{kind}' rows are neither SINGLE nor SEVERAL: "
                   "how many has a VM?")
    yield from (f"{TOOL}/columns.py: there are no '{kind}' rows" for kind in columns.KINDS
                if (PROC, kind) not in tables and kind not in columns.OPTIONAL)


def check_fixtures(tables):
    """The files that the tool's tests write."""
    there = {(PROC, kind): names for kind, names in case.HEADERS.items()}
    there[PROC, "host"] = [re.sub(r"_\d+kB_", "_<size>kB_", key) for key in case.HOST]
    return exceeds(FIXTURES, there, tables)


def main():
    """Run all; the result is the exit status."""
    try:
        tables = module()
    except Unreadable as error:
        print(f"FAIL sources:\n{error}\n0 passed, 1 failed")
        return 1
    passed = failed = 0
    for name, check in (("procfs", check_proc_abi), ("debugfs", check_debugfs_abi),
                        ("columns.rst", check_rst), ("tool", check_tool),
                        ("fixtures", check_fixtures)):
        try:
            bad = list(check(tables))
        except Unreadable as error:
            bad = [str(error)]
        if bad:
            failed += 1
            print("\n".join([f"FAIL {name}:", *bad]))
        else:
            passed += 1
            print(f"ok {name}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
