#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Which lines of kvmmem's code the suites reach.

Runs suites as run.py does, with kvmmem.ko built for the kernel's gcov, adds up what
all boots counted, and prints a row a file and the lines that were not reached. The
last line is that of a test: a file passes with --least percent of its lines.

    coverage.py --vendor amd --sum FILE
    coverage.py --vendor intel --sum FILE faults tlb nested
    coverage.py --vendor amd --kernel newest --sum FILE memory

is the sum of all: --sum adds what is in FILE, and leaves the sum there. Of several the
first is written, so that they can run side by side.
"""

import argparse
import base64
import gzip
import hashlib
import importlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lab")]

# pylint: disable=wrong-import-position
import debugkernel
import features
import kmod
import run
from host import Output, Scenario

PROFILED = "GCOV_PROFILE=y"
SUITES = (*features.SUITES, "gust", "kunit")
# The kernel keeps the counts of modules that have left.
COLLECT = Scenario("coverage", """
cd /sys/kernel/debug/gcov
files() {
    find . -path '*/kmod/*.gcda' | while read -r file; do
        echo "file $file"
        gzip -c "$file" | base64
    done
}
section gcov files
""", limit=60)


def build(kernel):
    """The modules that count."""
    return kmod.build_whole(kernel, PROFILED, "KVMMEM_KUNIT=1")


def prepare(image, kernel, _vendor):
    """Those in place of the plain ones."""
    for name in ("kvmmem.ko", "kvmmem-kunit.ko"):
        image.add_file(build(kernel) / name, f"lab/{name}")


class Runner(run.Runner):
    """Collects counts at the end of each boot."""

    def __init__(self):
        super().__init__(verbose=False, keep=None)
        self.found = []                 # {name of a file: its content}, one a boot

    def boot(self, machine, kernel_name, scenarios, prepare):
        super().boot(machine, kernel_name, [*scenarios, COLLECT], (*prepare, globals()["prepare"]))

    def _report(self, vendor, kernel, result):
        super()._report(vendor, kernel, result)
        if result.scenario is COLLECT and result.ok:
            words = Output(result.output)["gcov"].split("file ")[1:]
            self.found.append({name: gzip.decompress(base64.b64decode(data)) for name, data in
                               (word.split("\n", 1) for word in words)})


def lines_of(built, found):
    """{file: {line: count}} of one boot."""
    lines = {}
    with tempfile.TemporaryDirectory() as scratch:
        tree = pathlib.Path(scratch)
        for name, data in found.items():
            inner = pathlib.Path("kmod") / name.rsplit("/kmod/", 1)[1]
            (tree / inner).parent.mkdir(parents=True, exist_ok=True)
            (tree / inner).write_bytes(data)
            shutil.copy((built / inner).with_suffix(".gcno"), (tree / inner).parent)
            told = subprocess.run(["gcov", "--json-format", "--stdout", tree / inner],
                                  cwd=scratch, check=True, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
            for file in json.loads(told)["files"]:
                if at := re.search(r"(?:^|/)(kmod/.*)", file["file"]):
                    counts = lines.setdefault(at[1], {})
                    for line in file["lines"]:
                        number = line["line_number"]
                        counts[number] = counts.get(number, 0) + line["count"]
    return lines


def add_up(all_lines):
    """The same of all boots."""
    total = {}
    for lines in all_lines:
        for file, counts in lines.items():
            sums = total.setdefault(file, {})
            for number, count in counts.items():
                sums[number] = sums.get(number, 0) + count
    return total


def sources():
    """A word that tells what the lines are of."""
    top = HERE.parents[1]
    files = sorted(path for name in ("kmod", "include") for path in (top / name).rglob("*.[ch]"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def earlier(path):
    """What runs with the same sources have left in a file."""
    if not path.exists():
        return []
    left = json.loads(path.read_text())
    if left["sources"] != sources():
        print(f"# {path} is of other sources, and not added")
        return []
    return [{file: {int(number): count for number, count in counts.items()}
             for file, counts in left["lines"].items()}]


def ranges(numbers):
    """"3-5,9" of [3, 4, 5, 9]."""
    spans = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(f"{a}-{b}" if a != b else f"{a}" for a, b in spans)


def main():
    """The command line; the result is the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", metavar="SUITE", default=SUITES)
    parser.add_argument("--kernel", default="kasan", choices=debugkernel.NAMES[1:])
    parser.add_argument("--vendor", default="both", choices=("amd", "intel", "both"))
    parser.add_argument("--filter", default="", metavar="TEXT")
    parser.add_argument("--least", type=int, default=90, metavar="PERCENT")
    parser.add_argument("--sum", type=pathlib.Path, metavar="FILE", action="append", default=[])
    args = parser.parse_args()
    runner = Runner()
    suites = [importlib.import_module(f"suite_{name}") for name in args.suites]
    for vendor in ("amd", "intel") if args.vendor == "both" else (args.vendor,):
        runner.run(vendor, args.kernel,
                   run.selected(suites, vendor, args.kernel, args.filter))
    built = build(run.get_kernel(args.kernel))
    total = add_up([*(lines_of(built, found) for found in runner.found),
                    *(lines for path in args.sum for lines in earlier(path))])
    if args.sum:
        args.sum[0].write_text(json.dumps({"sources": sources(), "lines": total}))
    passed, failed = runner.passed, runner.failed
    for file, counts in sorted(total.items()):
        missed = [number for number, count in counts.items() if not count]
        percent = 100 * (len(counts) - len(missed)) / len(counts)
        enough = percent >= args.least
        passed, failed = passed + enough, failed + (not enough)
        print(f"{'ok' if enough else 'FAIL'} {file}: {percent:.0f} % of {len(counts)} lines"
              f"{', not ' if missed else ''}{ranges(missed)}")
    print(f"{passed} passed, {failed} failed")
    return 0 if total and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
