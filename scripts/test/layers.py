# SPDX-License-Identifier: GPL-2.0
"""The house of kmod/: which folder may use which.

Used are an include of a header and, in what was built, a symbol of another
object. A function that is handed over as a pointer is no use: that is how what
is below calls what is above.
"""

import collections
import pathlib
import re
import subprocess

# From the ground up; those of one floor do not use each other.
FLOORS = (("compat",), ("decode",), ("attach",), ("registry",), ("count", "memory"), ("show",),
          ("main.c",))
_FLOOR = {folder: floor for floor, folders in enumerate(FLOORS) for folder in folders}
# With the code that they test they are a module of their own, above everything.
_APART = ("tests", "configure")


def _sources(tree):
    """Sources of kmod/, by their paths below it."""
    for path in sorted((tree / "kmod").rglob("*.[ch]")):
        name = path.relative_to(tree / "kmod")
        if not set(name.parts) & set(_APART):
            yield name, path


def _includes(tree):
    """(user, used) of files, by the includes."""
    for name, path in _sources(tree):
        for used in re.findall(r'^#include "([^"]+)"', path.read_text(), re.M):
            if used != "kvmmem.h":
                yield name, pathlib.PurePath(used)


def _symbols(path):
    """(defined, undefined) symbols of an object."""
    listed = subprocess.run(["nm", path], stdout=subprocess.PIPE, text=True, check=True).stdout
    words = [line.split()[-2:] for line in listed.splitlines()]
    return ({name for kind, name in words if kind in "TDBRVWC"},
            {name for kind, name in words if kind == "U"})


def _calls(tree, built):
    """(user, used) of objects, as the sources that they were made of."""
    symbols = {name: _symbols(built / "kmod" / name.with_suffix(".o"))
               for name, _ in _sources(tree) if name.suffix == ".c"}
    owner = {symbol: name for name, (defined, _) in symbols.items() for symbol in defined}
    for name, (_, undefined) in symbols.items():
        for symbol in sorted(undefined & set(owner)):
            if owner[symbol] != name:
                yield name, owner[symbol], symbol


def _floor(name):
    return _FLOOR.get(name.parts[0])


def _may_use(user, used):
    """Is @used in the same folder or on a lower floor?"""
    return user.parts[0] == used.parts[0] or _floor(used) < _floor(user)


def _circle(uses):
    """A circle in {user: {used}}, as a list of nouns, or None."""
    done, path = set(), []

    def visit(noun):
        if noun in path:
            return path[path.index(noun):] + [noun]
        if noun in done:
            return None
        path.append(noun)
        found = next(filter(None, map(visit, sorted(uses.get(noun, ())))), None)
        path.pop()
        done.add(noun)
        return found

    return next(filter(None, map(visit, sorted(uses))), None)


def broken(tree, built):
    """What breaks the rule, a line each. @built: where the module was built."""
    nouns = collections.defaultdict(set)
    edges = [(user, used, "includes it") for user, used in _includes(tree)]
    edges += [(user, used, f"uses {symbol}") for user, used, symbol in _calls(tree, built)]
    if len(edges) < 100:
        yield f"only {len(edges)} includes and calls were found: has the check gone blind?"
    for user, used, how in edges:
        if _floor(user) is None or _floor(used) is None:
            yield f"kmod/{user}: {used} is on no floor of scripts/test/layers.py"
        elif not _may_use(user, used):
            yield f"kmod/{user} {how}: kmod/{used}, which is not below"
        # A source and its header are one noun.
        if user.with_suffix("") != used.with_suffix(""):
            nouns[str(user.with_suffix(""))].add(str(used.with_suffix("")))
    circle = _circle(nouns)
    if circle:
        yield f"a circle: {' -> '.join(circle)}"
