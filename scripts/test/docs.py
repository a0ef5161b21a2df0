#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Do the documents parse, fit on a terminal and lead somewhere?

Prints a line a check and "N passed, N failed".
"""

import io
import pathlib
import re
import subprocess
import sys

import docutils.core
import docutils.nodes

sys.dont_write_bytecode = True
SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
TREE = SCRIPTS.parent
sys.path.insert(0, str(SCRIPTS / "lab"))

import rst      # pylint: disable=wrong-import-position

TEXT_WIDTH = 80
README_LINES = 120

# The first line of a simple table, or of a grid table.
_TABLE = re.compile(r"\s*(=+( +=+)+|\+[-=+]+\+)$")
# What a document says of a file of the tree, in backticks.
_FILE = re.compile(r"`((?:kmod|scripts|Documentation)/[\w./*-]*)`")
_MARKDOWN_LINK = re.compile(r"\]\(([^)\s]+)\)|^\[[^\]]+\]: +(\S+)$", re.M)
# Where people and build machines keep a tree, and this tree's own place.
_MACHINE = re.compile(r"(?<![\w./*])/(?:home|root|work|workspace|builds?)/|" + "|".join(
    re.escape(f"{place}/") for place in (TREE, pathlib.Path.home())))


def rst_files():
    """All of reStructuredText."""
    return sorted(TREE.glob("Documentation/**/*.rst"))


def documents():
    """All that people read."""
    return [TREE / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "MAINTAINERS",
                                    "NEWS")] + rst_files() + \
        sorted(path for path in TREE.glob("Documentation/ABI/**/*") if path.is_file())


def _parsed(path):
    """The document tree of a file, and what docutils has to say of it."""
    said = io.StringIO()
    tree = docutils.core.publish_doctree(
        path.read_text(), source_path=str(path.relative_to(TREE)),
        settings_overrides={"report_level": 1, "halt_level": 5, "warning_stream": said,
                            "input_encoding": "utf-8", "file_insertion_enabled": False})
    # References are resolved by the writer's transforms.
    docutils.core.publish_from_doctree(
        tree, writer_name="html", settings_overrides={
            "report_level": 1, "halt_level": 5, "warning_stream": said,
            "stylesheet_path": "", "embed_stylesheet": False})
    return tree, said.getvalue()


def strict():
    """docutils finds nothing, not even of level info."""
    return "".join(_parsed(path)[1] for path in rst_files())


def _wide(path):
    """Lines that are too long, with their numbers."""
    limit, blank = TEXT_WIDTH, True
    for number, line in enumerate(path.read_text().split("\n"), 1):
        if not line.strip():
            limit, blank = TEXT_WIDTH, True
            continue
        if blank and path.suffix == ".rst" and _TABLE.match(line):
            limit = rst.WIDTH
        blank = False
        if len(line.expandtabs()) > limit:
            yield f"{path.relative_to(TREE)}:{number}: {len(line.expandtabs())} columns"


def widths():
    """Text of 80 columns, tables of 100."""
    return "\n".join(line for path in documents() for line in _wide(path))


def readme():
    """The README is short."""
    lines = (TREE / "README.md").read_text().count("\n")
    return f"README.md: {lines} lines" if lines > README_LINES else ""


def _targets(path):
    """Where a document's links lead."""
    if path.suffix == ".rst":
        return [node["refuri"] for node in _parsed(path)[0].findall(docutils.nodes.reference)
                if "refuri" in node]
    if path.suffix == ".md":
        return [one or other for one, other in _MARKDOWN_LINK.findall(path.read_text())]
    return []


def links():
    """Every link within the tree leads to something that is there."""
    bad, seen = [], 0
    for path in documents():
        for target in _targets(path):
            if re.match(r"[a-z]+:|#", target):
                continue
            seen += 1
            if not (path.parent / target.split("#")[0]).exists():
                bad.append(f"{path.relative_to(TREE)}: nothing at {target}")
    return "\n".join(bad) or ("" if seen else "no links were found")


def names():
    """Every file of the tree that a document names is there."""
    bad, seen = [], 0
    for path in documents():
        for name in _FILE.findall(path.read_text()):
            seen += 1
            if not list(TREE.glob(name.rstrip("/"))):
                bad.append(f"{path.relative_to(TREE)}: there is no {name}")
    return "\n".join(bad) or ("" if seen else "no names were found")


def reachable():
    """A reader who follows links from the README comes to every document."""
    met, ahead = set(), [TREE / "README.md"]
    while ahead:
        path = ahead.pop()
        if path in met or not path.is_file():
            continue
        met.add(path)
        ahead += [(path.parent / target.split("#")[0]).resolve() for target in _targets(path)
                  if not re.match(r"[a-z]+:|#", target)]
    return "\n".join(f"no way leads to {path.relative_to(TREE)}"
                     for path in documents() if path.suffix in (".rst", ".md") and path not in met)


def machine():
    """No path of the machine where it was written."""
    return "\n".join(f"{path.relative_to(TREE)}:{number}: {line.strip()}"
                     for path in documents()
                     for number, line in enumerate(path.read_text().split("\n"), 1)
                     if _MACHINE.search(line))


def generated():
    """A table that make matrix or make bench makes too wide is broken, and still parses."""
    rows = [["name", "one", "other"],
            ["a_hook", " ".join(["word"] * 30), " ".join([f"two{rst.TOGETHER}three"] * 20)],
            ["b", "", "x"]]
    wanted = [cell.replace(rst.TOGETHER, " ") for row in rows for cell in row]
    for numbers in (False, True):
        text = rst.simple(rows, numbers)
        longest = max(map(len, text.split("\n")))
        if longest > rst.WIDTH:
            return f"{longest} columns"
        said = io.StringIO()
        tree = docutils.core.publish_doctree(text, settings_overrides={
            "report_level": 1, "halt_level": 5, "warning_stream": said})
        cells = [entry.astext().replace("\n", " ") for entry in tree.findall(docutils.nodes.entry)]
        if said.getvalue() or cells != wanted:
            return f"{said.getvalue()}{cells} instead of {wanted}"
    return ""


def versions():
    """Everybody names the same version."""
    done = subprocess.run([SCRIPTS / "package/versions"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout or ("" if not done.returncode else f"status {done.returncode}")


def manuals():
    """mandoc finds nothing in the manuals."""
    pages = sorted((SCRIPTS / "package/tools").glob("*.[48]"))
    done = subprocess.run(["mandoc", "-T", "lint", *pages], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout or ("" if pages and not done.returncode else f"status {done.returncode}")


def main():
    """Run all; the result is the exit status."""
    passed = failed = 0
    for check in (versions, manuals, strict, widths, readme, links, names, reachable, machine, generated):
        try:
            bad = check() if rst_files() else "there are no documents"
        except Exception as error:  # pylint: disable=broad-exception-caught
            bad = f"{type(error).__name__}: {error}"
        if bad:
            failed += 1
            print(f"FAIL {check.__name__}:\n{bad}")
        else:
            passed += 1
            print(f"ok {check.__name__}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
