#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Every kernel on every vendor's emulated host: the same suites in each cell.

Prints kernel x vendor with what passed, failed and was skipped, with a reason
for every skip. With --write, puts that and a table of what each kernel can tell
into Documentation/kernels.rst, between its two marks.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent / "test"), str(HERE.parent / "lab")]

# pylint: disable=wrong-import-position
import emulator
import features
import kernels
import kmod
import tables

VENDORS = ("amd", "intel")
DOCUMENT = TREE / "Documentation/kernels.rst"


def _build(name):
    """Fetch a kernel and build for it: seconds of both, size of the module."""
    start = time.monotonic()
    kernel = kernels.get(name)
    fetched = time.monotonic()
    module = kmod.build(kernel) / "kvmmem.ko"
    built = time.monotonic()
    with tempfile.NamedTemporaryFile() as stripped:
        subprocess.run(["strip", "--strip-debug", "-o", stripped.name, module], check=True)
        file_size = os.path.getsize(stripped.name)
    sizes = subprocess.run(["size", "-A", module], check=True, text=True,
                           stdout=subprocess.PIPE).stdout
    return {"release": kernel.release, "module": module.parent.name, "fetch_s": fetched - start,
            "build_s": built - fetched, "file_kb": file_size / 1024,
            "memory_kb": tables.loaded_size(sizes) / 1024}


def _cell(name, vendor, arguments, kept):
    """Run the suites in one cell, in a process of its own; what passed is kept in a file."""
    if kept and kept.exists():
        print(f"# {name} {vendor}: passed before", flush=True)
        return json.loads(kept.read_text())
    command = [sys.executable, HERE / "cell.py", name, vendor, *arguments]
    start = time.monotonic()
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT,
                          preexec_fn=emulator.die_with_parent)
    log, _, last = done.stdout.rstrip("\n").rpartition("\n")
    try:
        cell = json.loads(last)
    except ValueError:
        cell = {"passed": [], "failed": {"-": "the run itself failed"}, "skipped": {},
                "seen": {}}
        log = done.stdout
    cell.update(kernel=name, vendor=vendor, seconds=time.monotonic() - start, log=log)
    if kept and cell["passed"] and not cell["failed"]:
        kept.write_text(json.dumps(cell))
    return cell


def _report(cell):
    where = f"{cell['kernel']} {cell['vendor']}"
    for scenario, reason in cell["skipped"].items():
        print(f"skip {where} {scenario}: {reason}")
    for scenario, reason in cell["failed"].items():
        print(f"FAIL {where} {scenario}: {reason}")
    if cell["failed"]:
        print("".join(f"    {line}\n" for line in cell["log"].splitlines()), end="")
    print(f"# {where}: {len(cell['passed'])} passed, {len(cell['failed'])} failed, "
          f"{len(cell['skipped'])} skipped in {cell['seconds']:.0f} s", flush=True)


def _arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", metavar="SUITE", default=features.SUITES,
                        help=f"those of make check if none is given: {' '.join(features.SUITES)}")
    parser.add_argument("--kernel", default=",".join(features.KERNELS), metavar="NAME,...")
    parser.add_argument("--vendor", default=",".join(VENDORS), metavar="NAME,...")
    # More do not fill the waits of others: they take each other's caches.
    parser.add_argument("--jobs", type=int, default=os.cpu_count(),
                        help="cells at a time (%(default)s)")
    parser.add_argument("--keep", metavar="DIR", type=pathlib.Path,
                        help="leave there what a cell has shown, and do not run those again "
                        "that have passed with the same module")
    parser.add_argument("--write", action="store_true",
                        help=f"put the tables into {DOCUMENT.relative_to(TREE)}")
    args = parser.parse_args()
    args.kernels = args.kernel.split(",")
    args.vendors = args.vendor.split(",")
    for given, known in ((args.kernels, features.KERNELS), (args.vendors, VENDORS)):
        for name in given:
            if name not in known:
                parser.error(f"no {name}: there are {', '.join(known)}")
    return args


def main():
    """The command line; the result is the exit status."""
    args = _arguments()
    start = time.monotonic()
    if args.keep:
        args.keep.mkdir(parents=True, exist_ok=True)
    builds, cells = {}, []
    try:
        for name in args.kernels:
            builds[name] = _build(name)
            print("# {0}: {release}, fetched in {fetch_s:.0f} s, built in {build_s:.0f} s, "
                  "module {file_kb:.0f} KiB, {memory_kb:.0f} KiB loaded".format(
                      name, **builds[name]), flush=True)
    except (kernels.KernelError, kmod.BuildError) as error:
        print(f"kvmmem: {error}", file=sys.stderr)
        return 1
    # The slow vendor first.
    wanted = [(name, vendor) for name in reversed(args.kernels)
              for vendor in reversed(args.vendors)]
    wanted.sort(key=lambda place: args.vendors.index(place[1]), reverse=True)
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        runs = [pool.submit(_cell, name, vendor, args.suites, args.keep and args.keep /
                            f"{vendor}-{builds[name]['module']}.json") for name, vendor in wanted]
        for run in concurrent.futures.as_completed(runs):
            cells.append(run.result())
            _report(cells[-1])
    by_place = {(cell["kernel"], cell["vendor"]): cell for cell in cells}
    seconds = time.monotonic() - start
    print(tables.results(args.kernels, args.vendors, by_place))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{len(cells)} cells in {seconds:.0f} s, "
          f"{used.ru_utime + used.ru_stime:.0f} s of processor time")
    failed = any(cell["failed"] or not cell["passed"] for cell in cells)
    if args.write and not failed:
        tables.write(DOCUMENT, args.kernels, args.vendors, by_place, builds)
        print(f"written to {DOCUMENT}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
