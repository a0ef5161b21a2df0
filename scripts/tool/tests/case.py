# SPDX-License-Identifier: GPL-2.0
"""A directory in the place of /proc, files for it, and the tool run on them."""

import contextlib
import io
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest
from unittest import mock

from kvmmem_cli.columns import ROWS
from kvmmem_cli.main import main

TREE = pathlib.Path(__file__).resolve().parents[1]
TOOL = TREE.parent / "kvmmem"

HOST = {
    "isa": "vmx", "ept": "on", "vpid": "on", "page_kb": 4, "thp": "madvise",
    "hugepages_2048kB_total": 512, "hugepages_2048kB_free": 128,
    "mem_total_kb": 16777216, "mem_available_kb": 8388608,
    "swap_total_kb": 4194304, "swap_used_kb": 1048576, "ksm": "off",
    "vms": 2, "guest_kb": 12582912, "lost": 0,
}
HEADERS = {kind: list(columns) for kind, columns in ROWS.items()}
WEB = ("4121-11", 4121, "qemu-system-x86", 4, "ept", 4194304, 2201344, 0, 0)
DB = ("5210-14", 5210, "qemu-system-x86", 16, "ept", 8388608, 8388608, 102400, 20480)
WEB_FAULTS = ("4121-11", 1093341, 203322, 880017, 10002, 12288, 2310, "-", 0)
DB_FAULTS = ("5210-14", 1500, 500, 1000, 0, 0, 10, "-", 0)


def render(host=None, schema=1, kinds=("vm", "fault"), headers=None, **rows):
    """A file in the format of /proc/kvmmem; rows by kind, tuples of values."""
    headers = {**HEADERS, **(headers or {})}
    lines = [f"# kvmmem {schema}"]
    lines += [f"host     {key:<23} {value}" for key, value in {**HOST, **(host or {})}.items()]
    for kind in kinds:
        lines.append(f"# {kind:<6} " + " ".join(f"{column:>10}" for column in headers[kind]))
        lines += [f"{kind:<8} " + " ".join(f"{value!s:>10}" for value in row)
                  for row in rows.get(kind, ())]
    return "\n".join(lines) + "\n"


def two_vms(**more):
    """The usual host with two VMs."""
    return render(**{"vm": [WEB, DB], "fault": [WEB_FAULTS, DB_FAULTS], **more})


def full(**more):
    """A host whose module prints every kind of row."""
    return two_vms(**{
        "kinds": tuple(ROWS),
        "flush": [("4121-11", 40212, 18331, 51202), ("5210-14", 0, 0, 3)],
        "vpid": [("4121-11", 0, 1, 9000, 1100, 1000, 100, 0, 0, 0, 7),
                 ("4121-11", 1, 2, 8000, 550, 500, 50, 0, 0, 0, 0),
                 ("5210-14", 0, 1, 10, 3, 1, 1, 1, 0, 0, 0)],
        "backing": [("4121-11", 10240, 30720, 0, 40960, 0, 0, 4812, 350),
                    ("5210-14", 1, 1048576, 0, 0, 0, 0, 12, 65000)], **more})


def one_vm(reads, **more):
    """One VM whose read faults are @reads, for stat."""
    return render(**{"vm": [WEB], "fault": [("4121-11", reads, reads, 0, 0, 0, 0, "-", 0)],
                     **more})


class Tool(unittest.TestCase):
    """A directory in the place of /proc, and the tool run on it."""

    def setUp(self):
        self.proc = pathlib.Path(tempfile.mkdtemp(prefix="kvmmem-test-"))
        self.proc.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.proc)
        self.env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC",
                    "KVMMEM_PROC": str(self.proc)}

    def put(self, text, name="kvmmem"):
        """Write a file whole: a reader sees the old one or the new one."""
        new = self.proc / "new"
        new.write_bytes(text if isinstance(text, bytes) else text.encode())
        new.rename(self.proc / name)
        return str(self.proc / name)

    def command_line(self, pid, *argv):
        """Give a pid a command line."""
        (self.proc / str(pid)).mkdir()
        self.put("\0".join(argv) + "\0", f"{pid}/cmdline")

    def tool(self, *args, **options):
        """Run the tool to its end."""
        return subprocess.run([options.pop("tool", TOOL), *args], capture_output=True, text=True,
                              env={**self.env, **options.pop("env", {})}, timeout=30,
                              check=False, **options)

    def output(self, *args, **options):
        """The output of a run that must succeed without a word on stderr."""
        done = self.tool(*args, **options)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def fails(self, status, pattern, *args, **options):
        """The run must fail with one line on stderr, and nothing on stdout."""
        done = self.tool(*args, **options)
        self.check_failure(status, pattern, done.returncode, done.stdout, done.stderr)

    def inside(self, *args):
        """Run the tool in this process, which is faster; (status, output, errors)."""
        out, errors = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
        interrupt = signal.getsignal(signal.SIGINT)
        with mock.patch.dict(os.environ, self.env), contextlib.redirect_stdout(out), \
                contextlib.redirect_stderr(errors):
            try:
                status = main(list(args))
            except SystemExit as end:
                status = end.code
            finally:
                signal.signal(signal.SIGINT, interrupt)
        texts = []
        for stream in (out, errors):
            stream.flush()
            texts.append(stream.buffer.getvalue().decode())
        return status, *texts

    def fails_inside(self, status, pattern, *args):
        """As fails(), in this process."""
        self.check_failure(status, pattern, *self.inside(*args))

    def install(self, prefix):
        """The tool as packages install it; returns its path."""
        (prefix / "bin").mkdir()
        shutil.copy(TOOL, prefix / "bin/kvmmem")
        shutil.copytree(TREE / "kvmmem_cli", prefix / "share/kvmmem/kvmmem_cli",
                        ignore=shutil.ignore_patterns("__pycache__"))
        return prefix / "bin/kvmmem"

    def check_failure(self, wanted, pattern, status, out, errors):
        """One line on stderr, nothing on stdout."""
        self.assertEqual((status, out), (wanted, ""), errors)
        self.assertRegex(errors, pattern)
        self.assertRegex(errors, r"\Akvmmem[^\n]*\n\Z")


class Stat(Tool):
    """kvmmem stat, on a file that is replaced while it runs."""

    def start(self, *args, **options):
        """Start stat; its output is read while it runs."""
        # Without buffering here, so that a line is seen as soon as it is written.
        run = subprocess.Popen([TOOL, "stat", *args], env={**self.env, **options}, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(run.stdout.close)
        self.addCleanup(run.stderr.close)
        self.addCleanup(run.wait)
        self.addCleanup(run.kill)
        return run

    def ends(self, run, status=0, stderr=""):
        """Wait for the end of @run; returns the rest of its output."""
        rest = run.stdout.read()
        self.assertRegex(run.stderr.read(), rf"\A{stderr}\Z")
        self.assertEqual(run.wait(30), status)
        return rest

    def grew(self, row, name="read"):
        """By how much a counter grew, from its rate and the interval."""
        rate = row[f"{name}_per_s"]
        return None if rate == "" else round(float(rate) * float(row["interval_s"]))


def records(text):
    """All rows of a human table's blocks, joined by ID: {id: {title: text}}."""
    vms, titles = {}, None
    for line in text.splitlines():
        words = line.split()
        if words[:2] == ["NAME", "ID"]:
            titles = words
        elif not words:
            titles = None
        elif titles:
            row = dict(zip(titles, words))
            vms.setdefault(row["ID"], {}).update(row)
    return vms
