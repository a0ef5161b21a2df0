#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of scripts/kvmmem: most run it as a user would, on files of our own.

    test_kvmmem.py [NAME...]    all of tests/test_*.py, or those named

The files run side by side, as many as there are processors and three, since
most of the time goes into waiting; the last line says how many tests passed
and failed.
"""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent / "tests"
# The longest first, so that none is left alone at the end.
LONG = ["speed", "crashes", "record", "top", "newer_stat", "stat_life", "stat", "newer", "table"]


def names(here=HERE):
    """All files of tests."""
    found = sorted(path.stem[len("test_"):] for path in here.glob("test_*.py"))
    return sorted(found, key=lambda name: LONG.index(name) if name in LONG else len(LONG))


def run(name, here=HERE):
    """Run one file; (passed, failed, output)."""
    done = subprocess.run([sys.executable, "-B", "-m", "unittest", f"test_{name}"], cwd=here,
                          env={**os.environ, "PYTHONPATH": f"{HERE.parent}:{HERE}"}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    ran = re.search(r"(?m)^Ran ([0-9]+) tests? in ", done.stdout)
    if not ran:
        return 0, 1, done.stdout
    # A test fails once, however many of its subtests do.
    bad = set(re.findall(r"(?m)^(?:FAIL|ERROR): \w+ \(([\w.]+)\)", done.stdout))
    skipped = re.search(r"skipped=([0-9]+)", done.stdout)
    total = int(ran[1]) - (int(skipped[1]) if skipped else 0)
    if done.returncode and not bad:
        return 0, 1, done.stdout
    return total - len(bad), len(bad), done.stdout


def main(wanted, here=HERE):
    """The command line; the result is the exit status."""
    there = names(here)
    unknown = set(wanted) - set(there)
    if unknown:
        sys.exit(f"no tests {' '.join(sorted(unknown))}: there are {' '.join(there)}")
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor((os.cpu_count() or 1) + 3) as pool:
        for good, bad, output in pool.map(lambda name: run(name, here), wanted or there):
            passed, failed = passed + good, failed + bad
            print(output, end="", flush=True)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
