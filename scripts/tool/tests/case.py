# SPDX-License-Identifier: GPL-2.0
"""A directory in the place of /proc, files for it, and the tool run on them."""

import collections
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
# The layout of the files that are written here.  Tests name what they put into a
# column and never count columns, so that one more makes no difference to them
# (test_newer.py shows it): those that a row does not name are filled.
HEADERS = {kind: columns.split() for kind, columns in {
    "vm": "id pid comm vcpus mode mem_kb resident_kb swap_kb ksm_kb",
    "fault": "vm ept_violations read write exec protection page_walk mmio shadow",
    "flush": "vm requests remote vcpu",
    "vpid": "vm vcpu vpid entries flushes remote guest nested tag other single "
            "moves range",
    "backing": "vm host_4k_kb host_2m_kb host_1g_kb ept_4k_kb ept_2m_kb ept_1g_kb "
               "ept_table_kb age_ms",
    "outcome": "vm fixed fast spurious emulated mmio retried l2 reflected",
    "huge": "vm installed nx_split dirty_log_split recovered zapped table_zapped",
}.items()}
FILLING = collections.defaultdict(int)      # by column
# Types of rows that are in every file whether a test asks for them or not.
ALWAYS = {}


def row(vm, **values):
    """A row of the VM with that id, of any type but "vm"."""
    return {"vm": vm, **values}


def vm_row(ident, comm="qemu-system-x86", **values):
    """A row of type "vm"."""
    return {"id": ident, "pid": int(ident.split("-", maxsplit=1)[0]), "comm": comm, "vcpus": 1,
            "mode": "ept", "mem_kb": 1, "resident_kb": 1, **values}


WEB = vm_row("4121-11", vcpus=4, mem_kb=4194304, resident_kb=2201344)
DB = vm_row("5210-14", vcpus=16, mem_kb=8388608, resident_kb=8388608, swap_kb=102400,
            ksm_kb=20480)
WEB_FAULTS = row("4121-11", ept_violations=1093341, read=203322, write=880017, exec=10002,
                 protection=12288, page_walk=2310, mmio="-")
DB_FAULTS = row("5210-14", ept_violations=1500, read=500, write=1000, page_walk=10, mmio="-")
FLUSHES = [row("4121-11", requests=40212, remote=18331, vcpu=51202), row("5210-14", vcpu=3)]
TAGS = [row("4121-11", vcpu=0, vpid=1, entries=9000, flushes=1100, remote=1000, guest=100,
            single=7),
        row("4121-11", vcpu=1, vpid=2, entries=8000, flushes=550, remote=500, guest=50),
        row("5210-14", vcpu=0, vpid=1, entries=10, flushes=3, remote=1, guest=1, nested=1)]
BACKING = [row("4121-11", host_4k_kb=10240, host_2m_kb=30720, ept_4k_kb=40960,
               ept_table_kb=4812, age_ms=350),
           row("5210-14", host_4k_kb=1, host_2m_kb=1048576, ept_table_kb=12, age_ms=65000)]
HUGE = [row(ident, **dict.fromkeys(HEADERS["huge"][1:], "-")) for ident in ("4121-11", "5210-14")]


def render(host=None, schema=1, kinds=("vm", "fault"), headers=None, **rows):
    """A file in the format of /proc/kvmmem; rows by kind, dictionaries by column."""
    headers = {**HEADERS, **(headers or {})}
    lines = [f"# kvmmem {schema}"]
    lines += [f"host     {key:<23} {value}" for key, value in {**HOST, **(host or {})}.items()]
    for kind in [*ALWAYS, *kinds]:
        lines.append(f"# {kind:<6} " + " ".join(f"{column:>10}" for column in headers[kind]))
        for values in rows.get(kind, ALWAYS.get(kind, ())):
            words = [str(values.get(column, FILLING[column])) for column in headers[kind]]
            lines.append(f"{kind:<8} " + " ".join(f"{word:>10}" for word in words))
    return "\n".join(lines) + "\n"


def table(kind, *rows):
    """A file in debugfs with one table; all rows have the same columns."""
    lines = [f"# {kind} " + " ".join(rows[0])]
    lines += [f"{kind} " + " ".join("-" if value is None else str(value)
                                    for value in values.values()) for values in rows]
    assert all(list(values) == list(rows[0]) for values in rows)
    return "\n".join(lines) + "\n"


def two_vms(**more):
    """The usual host with two VMs."""
    return render(**{"vm": [WEB, DB], "fault": [WEB_FAULTS, DB_FAULTS], **more})


def full(**more):
    """A host whose module prints every kind of row."""
    return two_vms(**{"kinds": ("vm", "fault", "flush", "vpid", "backing", "huge"),
                      "flush": FLUSHES, "vpid": TAGS, "backing": BACKING, "huge": HUGE, **more})


def one_vm(reads, **more):
    """One VM whose read faults are @reads, for stat."""
    return render(**{"vm": [WEB], "fault": [row("4121-11", ept_violations=reads, read=reads,
                                                mmio="-")], **more})


def line_of(text, needle):
    """The number of the line of @text that has @needle in it."""
    return text[:text.index(needle)].count("\n") + 1


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

    def put_debugfs(self, name, text, vm="4121-11"):
        """Write a file of a VM in debugfs."""
        place = self.proc / "sys/kernel/debug/kvmmem/vms" / vm
        place.mkdir(parents=True, exist_ok=True)
        self.env["KVMMEM_SYS"] = str(self.proc / "sys")
        return self.put(text, place / name)

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
