#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""One cell of the matrix: cell.py KERNEL VENDOR [SUITE...].

Runs the suites as scripts/test/run.py does. The last line printed is a JSON
object: passed, failed and skipped scenarios, and what kvmmem was seen to tell.
"""

import importlib
import json
import pathlib
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "test"), str(HERE.parent / "lab")]

# pylint: disable=wrong-import-position
import features
import host
import procfile
import run


# What compat leaves out: it has service time off, no nested guests and no logging.
ALSO = ("nested_faults", "time_asleep", "dirty_small")


class Cell(run.Runner):
    """A Runner that remembers results."""

    def __init__(self):
        super().__init__(verbose=False, keep=None)
        self.results = []

    def _report(self, vendor, kernel, result):
        super()._report(vendor, kernel, result)
        self.results.append(result)


def _rows(text):
    """(type, {column: value}) of each row of a table with a type in each line."""
    columns = {}
    for line in text.splitlines():
        words = line.split()
        if line.startswith("# ") and len(words) > 2:
            columns[words[1]] = words[2:]
        elif words and words[0] in columns:
            yield words[0], dict(zip(columns[words[0]], words[1:]))


def seen(results):
    """What the results show: states of hooks, columns with numbers, witnesses."""
    found = {"hooks": {}, "columns": {}, "audits": []}
    for result in results:
        # Under shadow paging KVM knows more of some things: not what is asked here.
        shadow = "shadow" in result.scenario.name
        for name, texts in host.Output(result.output).sections.items():
            for text, _ in texts:
                if name.startswith(("hooks", "audit") if shadow else ("hooks", "audit", "proc")):
                    _note(found, text)
    found["audits"] = sorted(found["audits"])
    return found


def _note(found, text):
    for kind, row in _rows(text):
        if kind == "hook":
            found["hooks"][row["name"]] = [row["state"], row["why_not"]]
        elif kind == "audit" and row["counter"] not in found["audits"]:
            found["audits"].append(row["counter"])
        elif kind in ("vm", "fault", "flush", "vpid", "backing", "huge", "numa", "older",
                      "total", "inval", "outcome", "time", "dirty"):
            for column, value in row.items():
                key = f"{kind} {column}"
                known = procfile.value(value) is not None
                found["columns"][key] = found["columns"].get(key, False) or known


def main():
    """The command line; the result is the exit status."""
    kernel, vendor, *names = sys.argv[1:]
    suites = [importlib.import_module(f"suite_{name}")
              for name in names or run.suite_names()]
    chosen, skipped, cell = [], {}, Cell()
    # Some are there twice, with other figures for the slower vendor.
    here = {scenario.name for suite in suites for scenario in suite.SCENARIOS
            if vendor in scenario.vendors and kernel in (scenario.kernels or [kernel])}
    for suite in suites:
        for scenario in suite.SCENARIOS:
            # Those of the debug kernel alone are no part of the matrix.
            if not set(scenario.kernels or features.KERNELS) & set(features.KERNELS):
                continue
            if vendor in scenario.vendors and kernel in (scenario.kernels or [kernel]):
                chosen.append((suite, scenario))
                continue
            if scenario.name in here:
                continue
            reason, excuse = features.skip(scenario.name, kernel, vendor)
            if excuse:
                skipped[scenario.name] = reason
            else:
                cell.fail(vendor, kernel, scenario.name, reason)
    cell.run(vendor, kernel, chosen)
    plain = [result for result in cell.results
             if result.scenario.name.startswith(("compat_", *ALSO))
             and "wrong" not in result.scenario.name]
    print(json.dumps({
        "passed": [result.scenario.name for result in cell.results if result.ok],
        "failed": {result.scenario.name: result.reason for result in cell.results
                   if not result.ok},
        "skipped": skipped,
        "seen": seen(plain)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
