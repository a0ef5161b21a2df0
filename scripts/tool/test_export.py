#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What is given to Prometheus, with Debian's Prometheus; the last line says how many
tests passed.

    test_export.py [--full] [NAME...]

With --full 500 VMs are scraped for a minute, otherwise for 15 seconds.
"""

import os
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent / "export"
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests"), str(HERE)]

NAMES = sorted(path.stem for path in HERE.glob("test_*.py"))


def main(args):
    """Run all, or those that are named."""
    if "--full" in args:
        args.remove("--full")
        os.environ["KVMMEM_SCRAPE_SECONDS"] = "60"
    names = [f"test_{name}" for name in args] or NAMES
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        sys.exit(f"no tests {' '.join(unknown)}: there are {' '.join(NAMES)}")
    tests = unittest.defaultTestLoader.loadTestsFromNames(names)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(tests)
    bad = len(result.failures) + len(result.errors) + len(result.skipped)
    print(f"{max(0, result.testsRun - bad)} passed, {bad or int(not result.testsRun)} failed",
          flush=True)
    return 0 if not bad and result.testsRun else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
