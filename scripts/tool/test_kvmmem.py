#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of scripts/kvmmem: most run it as a user would, on files of our own.

Run it directly; the last line says how many tests passed and failed.
"""

import csv
import fcntl
import importlib.machinery
import importlib.util
import io
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

TOOL = pathlib.Path(__file__).resolve().parent.parent / "kvmmem"
NOBODY = 65534


def load_tool():
    """The tool as a module; its name has no suffix, so by its path."""
    sys.dont_write_bytecode = True
    loader = importlib.machinery.SourceFileLoader("kvmmem", str(TOOL))
    spec = importlib.util.spec_from_loader("kvmmem", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


INTERRUPT = signal.getsignal(signal.SIGINT)
kvmmem = load_tool()

HOST = {
    "isa": "vmx", "ept": "on", "vpid": "on", "page_kb": 4, "thp": "madvise",
    "hugepages_2048kB_total": 512, "hugepages_2048kB_free": 128,
    "mem_total_kb": 16777216, "mem_available_kb": 8388608,
    "swap_total_kb": 4194304, "swap_used_kb": 1048576, "ksm": "off",
    "vms": 2, "guest_kb": 12582912, "lost": 0,
}
HEADERS = {kind: list(columns) for kind, columns in kvmmem.ROWS.items()}
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
        "kinds": tuple(kvmmem.ROWS),
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
        self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
        self.assertRegex(done.stderr, pattern)
        self.assertRegex(done.stderr, r"\Akvmmem[^\n]*\n\Z")


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


class Units(unittest.TestCase):
    """How numbers and text are shown."""

    def test_sizes(self):
        for kb, text in ((0, "0"), (1, "1K"), (512, "512K"), (1023, "1023K"), (1024, "1.0M"),
                         (4194304, "4.0G"), (2201344, "2.1G"), (102400, "100M"),
                         (20480, "20.0M"), (104857600, "100G"), (1048575, "1.0G"),
                         (1 << 30, "1.0T"), (2 ** 64 - 1, "16384E")):
            self.assertEqual(kvmmem.show_size(kb), text)

    def test_counts(self):
        for number, text in ((0, "0"), (7, "7"), (999, "999"), (1000, "1.00k"), (9999, "10.0k"),
                             (12345, "12.3k"), (999499, "999k"), (999500, "1.00M"),
                             (1093341, "1.09M"), (2 ** 64 - 1, "18.4E")):
            self.assertEqual(kvmmem.show_count(number), text)

    def test_rates(self):
        for rate, text in ((0, "0"), (0.01, "<0.1"), (0.3, "0.3"), (99.9, "99.9"),
                           (99.96, "100"), (999.6, "1.00k"), (1234.5, "1.23k")):
            self.assertEqual(kvmmem.show_rate(rate), text)

    def test_shares_end_at_the_ends_only(self):
        for share, text in ((0, "0%"), (0.001, "<1%"), (0.5, "50%"), (0.9999, ">99%"),
                            (1, "100%")):
            self.assertEqual(kvmmem.show_percent(share), text)

    def test_ages(self):
        for ms, text in ((0, "0ms"), (999, "999ms"), (1000, "1s"), (61000, "1m"),
                         (7200000, "2h"), (86400000, "1d")):
            self.assertEqual(kvmmem.show_age(ms), text)

    def test_unknown_is_a_dash_in_every_form(self):
        for form in kvmmem.FORMS:
            self.assertEqual(kvmmem.show(form, None), "-")

    def test_text_is_safe_for_a_terminal(self):
        self.assertEqual(kvmmem.safe("a b\x1b[2J\n\x7f\x9b\u202eé"), "a b\\x1b[2J\\x0a\\x7f\\x9b"
                         "\\u202eé")

    def test_escapes(self):
        for word, text in ((rb"my\040vm", "my vm"), (rb"a\134b", "a\\b"), (rb"\303\251", "é"),
                           (rb"\377x", "\\xffx"), (rb"\9", "\\9")):
            self.assertEqual(kvmmem.unescape(word), text)

    def test_no_module_level_side_effects(self):
        self.assertIs(signal.getsignal(signal.SIGINT), INTERRUPT)


class Names(unittest.TestCase):
    """A VM's name from its VMM's command line."""

    def name(self, *argv):
        """Short for the tests below."""
        return kvmmem.name_from(list(argv))

    def test_qemu(self):
        self.assertEqual(self.name("qemu", "-name", "guest=web,debug-threads=on"), "web")
        self.assertEqual(self.name("qemu", "-name", "debug-threads=on,guest=web"), "web")
        self.assertEqual(self.name("qemu", "-m", "1G", "-name", "web,process=x"), "web")
        self.assertEqual(self.name("qemu", "-name", "web"), "web")
        self.assertEqual(self.name("qemu", "-name", "guest=a,,b,x=y"), "a,b")
        self.assertIsNone(self.name("qemu", "-name", "debug-threads=on"))

    def test_others(self):
        self.assertEqual(self.name("lkvm", "run", "--name", "web"), "web")
        self.assertEqual(self.name("vmm", "--name=web"), "web")
        self.assertEqual(self.name("firecracker", "--id", "fc1"), "fc1")
        self.assertEqual(self.name("firecracker", "--id=fc1", "--api-sock", "/s"), "fc1")
        self.assertEqual(self.name("vmm", "--id", "1", "--name", "web"), "web")

    def test_none(self):
        self.assertIsNone(self.name("qemu"))
        self.assertIsNone(self.name("qemu", "-name"))
        self.assertIsNone(self.name("qemu", "-name", ""))
        self.assertIsNone(self.name())


class Table(Tool):
    """kvmmem without a subcommand."""

    def test_host_lines(self):
        self.put(two_vms())
        self.assertEqual(self.output().splitlines()[:4], [
            "Host      vmx, EPT on, VPID on, THP madvise, KSM off",
            "Memory    16.0G, 8.0G available; swap 4.0G, 25% used",
            "VMs       2 with 12.0G, overcommit 0.75", ""])

    def test_host_lines_amd_overcommitted_without_swap(self):
        self.put(two_vms(host={"isa": "svm", "guest_kb": 33554432, "swap_total_kb": 0,
                               "swap_used_kb": 0}))
        text = self.output()
        self.assertIn("svm, NPT on, ASIDs on", text)
        self.assertIn("swap none\n", text)
        self.assertIn("overcommit 2.00 (more than the host has)", text)

    def test_host_unknown(self):
        self.put(two_vms(host=dict.fromkeys(HOST, "-")))
        text = self.output()
        self.assertIn("Host      -, EPT -, VPID -, THP -, KSM -\n"
                      "Memory    -, - available; swap -\n"
                      "VMs       - with -, overcommit -\nLOST ", text)
        self.put("# kvmmem 1\n# vm id\n")
        self.assertIn("overcommit -", self.output())

    def test_lost_is_loud_and_only_when_it_is(self):
        self.put(two_vms())
        self.assertNotIn("LOST", self.output())
        self.put(two_vms(host={"lost": 17}))
        self.assertRegex(self.output(), r"(?m)^LOST +!!! 17 events were not counted.*!!!$")

    def test_rows(self):
        self.put(two_vms())
        self.assertEqual(records(self.output()), {
            "4121-11": {"NAME": "qemu-system-x86", "ID": "4121-11", "PID": "4121",
                        "MODE": "ept", "VCPUS": "4", "MEM": "4.0G", "RESIDENT": "2.1G",
                        "SWAP": "0", "KSM": "0", "VIOLATIONS": "1.09M", "READ": "203k",
                        "WRITE": "880k", "EXEC": "10.0k", "PROTECTION": "12.3k",
                        "WALK": "2.31k", "SHADOW": "0"},
            "5210-14": {"NAME": "qemu-system-x86", "ID": "5210-14", "PID": "5210",
                        "MODE": "ept", "VCPUS": "16", "MEM": "8.0G", "RESIDENT": "8.0G",
                        "SWAP": "100M", "KSM": "20.0M", "VIOLATIONS": "1.50k", "READ": "500",
                        "WRITE": "1.00k", "EXEC": "0", "PROTECTION": "0", "WALK": "10",
                        "SHADOW": "0"}})

    def test_flushes_and_backing(self):
        self.put(full())
        vms = records(self.output())
        web, database = vms["4121-11"], vms["5210-14"]
        self.assertEqual([web[t] for t in ("REQUESTS", "DONE", "FLUSHES", "REMOTE", "GUEST",
                                           "NESTED", "TAG", "OTHER", "SINGLE")],
                         ["40.2k", "18.3k", "51.2k", "1.50k", "150", "0", "0", "0", "7"])
        self.assertEqual([web[t] for t in ("HOST-HUGE", "EPT-HUGE", "AGE")],
                         ["75%", "0%", "350ms"])
        # Nothing is mapped in EPT: no share, and that is not 0%.
        self.assertEqual([database[t] for t in ("HOST-HUGE", "EPT-HUGE", "AGE")],
                         [">99%", "-", "1m"])

    def test_unknown_parts_make_an_unknown_sum(self):
        self.put(full(vpid=[("4121-11", 0, 1, 9, 9, "-", 1, 2, 3, 4, 5),
                            ("4121-11", 1, "-", 9, 9, 7, 1, 2, 3, 4, 5),
                            ("5210-14", 0, 1, 9, 9, 8, 1, 2, 3, 4, 5)]))
        vms = records(self.output())
        self.assertEqual(vms["4121-11"]["REMOTE"], "-")
        self.assertEqual(vms["4121-11"]["GUEST"], "2")
        self.assertEqual(vms["5210-14"]["REMOTE"], "8")

    def test_unknown_columns_go_to_a_footnote(self):
        self.put(two_vms())
        text = self.output()
        self.assertNotRegex(text, r"NAME.*MMIO")
        self.assertIn("Unknown for all VMs above, not shown: MMIO.", text)
        self.put(two_vms(fault=[WEB_FAULTS, (*DB_FAULTS[:7], 3, 0)]))
        text = self.output()
        self.assertEqual(records(text)["4121-11"]["MMIO"], "-")
        self.assertIn("-: unknown on this kernel or host, not 0.", text)
        self.assertNotIn("not shown", text)

    def test_rows_that_are_not_in_the_file_are_not_mentioned(self):
        self.put(two_vms(kinds=("vm",)))
        self.assertNotRegex(self.output(), "VIOLATIONS|FLUSHES|HUGE|not shown")

    def test_vm_without_counters_yet(self):
        self.put(two_vms(fault=[WEB_FAULTS]))
        self.assertEqual(records(self.output())["5210-14"]["VIOLATIONS"], "-")

    def test_rows_of_a_vm_that_has_gone(self):
        self.put(two_vms(vm=[WEB]))
        self.assertEqual(list(records(self.output())), ["4121-11"])

    def test_no_vm(self):
        self.put(render(host={"vms": 0, "guest_kb": 0}))
        self.assertTrue(self.output().endswith("\n\nNo VM is known to the module.\n"))

    def test_width(self):
        self.put(full())
        self.command_line(4121, "qemu", "-name", "instance-of-someone-with-a-long-name")
        for columns in (None, 80, 100, 120, 250):
            with self.subTest(columns=columns):
                text = self.output(env={"COLUMNS": str(columns)} if columns else {})
                table = text.split("\n\n", 1)[1].split("Counts are")[0]
                self.assertLessEqual(max(map(len, table.splitlines())), columns or 120)
                self.assertIn("instance-of-someone-wit+ ", text)
                self.assertEqual(len(records(text)["4121-11"]), 28)
        self.assertEqual(len(re.findall("(?m)^NAME", text)), 1)

    def test_columns_are_found_by_name(self):
        headers = {"vm": ["comm", "future", "mem_kb", "id", "pid"],
                   "fault": ["read", "vm", "news", "ept_violations"]}
        self.put(render(kinds=("novelty", "vm", "fault"),
                        headers={**headers, "novelty": ["x"]}, novelty=[("1", "2", "3")],
                        vm=[("qemu", "soon", 1024, "9-1", 9)], fault=[(5, "9-1", "a b", 6)])
                 .replace("a b", "a\\040b") + "mystery without a header\n\n# note\n#\n")
        self.assertEqual(records(self.output())["9-1"],
                         {"NAME": "qemu", "ID": "9-1", "PID": "9", "MEM": "1.0M",
                          "VIOLATIONS": "6", "READ": "5"})

    def test_names(self):
        self.put(two_vms())
        self.command_line(4121, "/usr/bin/qemu", "-name", "guest=web1,debug-threads=on")
        vms = records(self.output())
        self.assertEqual(vms["4121-11"]["NAME"], "web1")
        self.assertEqual(vms["5210-14"]["NAME"], "qemu-system-x86")

    def test_names_of_a_copy_are_not_looked_up_here(self):
        self.command_line(4121, "/usr/bin/qemu", "-name", "stranger")
        copy = self.put(two_vms(), "copy")
        self.assertEqual(records(self.output("--file", copy))["4121-11"]["NAME"],
                         "qemu-system-x86")

    def test_control_characters_never_get_out(self):
        vm = ("4121-11", 4121, "x\\033[2J\\012y", 4, "e\\007t", 1, 1, 0, 0)
        self.put(two_vms(vm=[vm, DB], host={"thp": "a\\033b"}))
        self.command_line(5210, "qemu", "-name", "\x1b]0;owned\x07\n")
        for args in ((), ("--json",), ("stat", "-i", "0.05", "-n", "1"),
                     ("stat", "--csv", "-i", "0.05", "-n", "1")):
            with self.subTest(args=args):
                self.assertNotRegex(self.output(*args), r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
        self.assertIn("\\x1b]0;owned\\x07\\x0a", self.output())

    def test_filter(self):
        self.put(two_vms(vm=[WEB, DB, ("99-3", 99, "lkvm", 1, "ept", 1, 1, 0, 0)]))
        self.command_line(4121, "qemu", "-name", "web 1")
        for wishes, ids in ((["4121-11"], ["4121-11"]), (["5210"], ["5210-14"]),
                            (["web 1"], ["4121-11"]), (["lkvm"], ["99-3"]),
                            (["99", "web 1"], ["4121-11", "99-3"])):
            args = [arg for wish in wishes for arg in ("--vm", wish)]
            found = json.loads(self.output("--json", *args))["vms"]
            self.assertEqual([vm["id"] for vm in found], ids)

    def test_filter_not_found(self):
        self.put(two_vms())
        self.fails(1, r"no VM has the id, name or pid 'no\\x1bne'; .* lists them",
                   "--vm", "4121", "--vm", "no\x1bne")
        self.fails(1, "no VM has", "stat", "--vm", "None")

    def test_sort(self):
        self.put(full(vm=[WEB, DB, ("99-3", 99, "a", 1, "-", "-", 1, 0, 0)]))
        for column, ids in (("mem", "5210-14 4121-11 99-3"), ("mem_kb", "5210-14 4121-11 99-3"),
                            ("VIOLATIONS", "4121-11 5210-14 99-3"), ("id", "99-3 4121-11 5210-14"),
                            ("name", "99-3 4121-11 5210-14"), ("pid", "99-3 4121-11 5210-14"),
                            ("mode", "4121-11 5210-14 99-3"), ("age", "5210-14 4121-11 99-3"),
                            ("entries", "4121-11 5210-14 99-3")):
            with self.subTest(column=column):
                self.assertEqual(list(records(self.output("--sort", column))), ids.split())
        self.assertEqual(kvmmem.sort_column("remote").title, "REMOTE")

    def test_json(self):
        self.put(full())
        self.command_line(4121, "qemu", "-name", "web")
        data = json.loads(self.output("--json"))
        self.assertEqual((data["schema"], data["host"]["lost"]), (1, 0))
        web = data["vms"][0]
        self.assertEqual((web["name"], web["comm"], web["id"], web["mem_kb"]),
                         ("web", "qemu-system-x86", "4121-11", 4194304))
        self.assertEqual((web["fault"]["ept_violations"], web["fault"]["mmio"]), (1093341, None))
        self.assertEqual((len(web["vpid"]), web["vpid"][1]["remote"]), (2, 500))
        self.assertEqual((web["flush"]["vcpu"], web["backing"]["age_ms"]), (51202, 350))
        self.put(two_vms())
        web = json.loads(self.output("--json"))["vms"][0]
        self.assertEqual((web["flush"], web["vpid"], web["backing"]), (None, [], None))

    def test_raw(self):
        text = two_vms(schema=7) + "anything \x1b[2J\n"
        self.put(text)
        self.assertEqual(self.output("--raw"), text)
        self.assertEqual(self.output("--raw", "--file", self.put("x", "copy")), "x")

    def test_installed_alone(self):
        copy = self.proc / "bin"
        shutil.copy(TOOL, copy)
        self.put(two_vms())
        self.assertEqual(self.output(tool=copy, cwd="/"), self.output())


class Errors(Tool):
    """Exit status, and one line that says what to do next."""

    def test_module_not_loaded(self):
        self.fails(1, "/kvmmem: not there; load the module: insmod kvmmem.ko or modprobe kvmmem")
        self.fails(1, "not there; load the module", "stat", "-n", "1")

    def test_copy_not_there(self):
        self.fails(1, "/none: no such file; --file wants a saved copy", "--file", "/none")
        self.fails(1, ": is a directory", "--file", str(self.proc))

    def test_permission(self):
        shutil.copy(TOOL, self.proc / "tool")
        os.chmod(self.put(two_vms()), 0)
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        self.fails(1, "/kvmmem: permission denied; be root, or load the module with the "
                   "parameter that widens", tool=self.proc / "tool", cwd="/", **user)

    def test_schema(self):
        self.put(two_vms(schema=2))
        self.fails(1, "schema 2, but this tool reads schema 1; use the kvmmem tool that came")
        for text in ("", "\n", "# other 1\n", "host isa vmx\n", "# kvmmem\n", "# kvmmem x\n"):
            with self.subTest(text=text):
                self.put(text)
                self.fails(1, "the first line is not '# kvmmem <schema>'")

    def test_malformed(self):
        good = two_vms()
        for old, new, why in (
                ("1093341", "109x", "line 21 is malformed: '109x' for 'ept_violations'"),
                ("1093341", "-5", "line 21 is malformed: '-5' for"),
                ("1093341", "9" * 5000, "line 21 is malformed"),
                ("1093341", "1 2", "line 21 is malformed: a 'fault' row of 10 values, "
                 "but its header names 9"),
                ("1093341", "", "line 21 is malformed: a 'fault' row of 8 values"),
                ("# fault", "# other", "line 21 is malformed: a 'fault' row before its"),
                ("fault       4121-11", "fault    -", "line 21 is malformed: a 'fault' row "
                 "without 'vm'"),
                ("# vm ", "# other ", "line 18 is malformed: a 'vm' row before"),
                ("lost                    0", "lost", "line 16 is malformed: a 'host' row wants"),
                ("16777216", "lots", "line 9 is malformed: 'lots' for 'mem_total_kb'"),
                ("1093341", "\\033[2J", r"'\\x1b\[2J' for 'ept_violations' is not a number")):
            with self.subTest(new=new):
                self.assertIn(old, good)
                self.put(good.replace(old, new))
                self.fails(1, why)
        self.put("# kvmmem 1\nhost isa vmx\n")
        self.fails(1, "there is no '# vm' header line")
        self.put(os.urandom(4096))
        self.fails(1, "kvmmem: ")

    def test_usage(self):
        self.put(two_vms())
        for args, why in (
                (["--nonsense"], "unrecognized arguments: --nonsense; see kvmmem --help"),
                (["nonsense"], "invalid choice: 'nonsense'"),
                (["--vm"], "--vm: expected one argument"),
                (["--sort", "x\x1b"], r"no column 'x\\x1b', there are: name id pid"),
                (["--raw", "--json"], "not allowed with"),
                (["--raw", "--vm", "1"], "--raw prints the whole file"),
                (["--raw", "--sort", "id"], "--raw prints the whole file"),
                (["--json", "stat"], "do not go with 'stat'"),
                (["--sort", "mem", "stat"], "do not go with 'stat'"),
                (["--js"], "unrecognized"),
                (["stat", "5"], "unrecognized arguments: 5"),
                (["stat", "--json"], "unrecognized"),
                *((["stat", "-i", bad], f"-i: '{bad}' is not a number from 0.05 to 86400")
                  for bad in ("0", "0.01", "-1", "nan", "inf", "1e3", "x", "86401")),
                *((["stat", "-n", bad], f"-n: '{bad}' is not a number from 1 on")
                  for bad in ("0", "-1", "1.5", "x"))):
            with self.subTest(args=args):
                self.fails(2, why, *args)

    def test_help(self):
        self.assertIn("columns to sort by: name id pid", self.output("--help").lower())
        text = self.output("stat", "--help")
        self.assertIn("since kvmmem first saw", text)
        self.assertNotRegex(self.output("--help"), r"\b(top|record|report|explain|export)\b")

    def test_output_cannot_be_written(self):
        self.put(two_vms())
        for args in ([], ["--raw"], ["stat", "-n", "1"], ["stat", "--csv"]):
            with self.subTest(args=args), open("/dev/full", "w", encoding="utf-8") as disk:
                done = subprocess.run([TOOL, *args], env=self.env, stdout=disk, text=True,
                                      stderr=subprocess.PIPE, timeout=30, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertEqual(done.stderr, "kvmmem: cannot write the output: "
                                 "no space left on device\n")

    def test_reader_has_enough(self):
        self.put(two_vms(vm=[(f"{i}-1", i, "x", 1, "ept", 1, 1, 1, 1) for i in range(9999)]))
        for args in ([], ["--json"], ["--raw"]):
            with subprocess.Popen([TOOL, *args], env=self.env, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True) as run:
                run.stdout.read(1)
                run.stdout.close()
                self.assertEqual(run.stderr.read(), "")
            self.assertEqual(run.returncode, 0)


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

    def csv_steps(self, *texts):
        """The CSV rows of each interval by id, a new file being put for each.

        The header comes after the first reading and each interval's rows after
        its own, so what is put then is what the next interval sees.
        """
        self.put(texts[0])
        run = self.start("--csv", "-i", "0.4", "-n", str(len(texts) - 1))
        titles = next(csv.reader([run.stdout.readline()]))
        steps = []
        for text in texts[1:]:
            self.put(text)
            lines = [run.stdout.readline() for line in text.splitlines() if line[:3] == "vm "]
            rows = [dict(zip(titles, row)) for row in csv.reader(lines)]
            steps.append({row["id"]: row for row in rows})
        self.assertEqual(self.ends(run), "")
        return steps

    def grew(self, row, name="read"):
        """By how much a counter grew, from its rate and the interval."""
        rate = row[f"{name}_per_s"]
        return None if rate == "" else round(float(rate) * float(row["interval_s"]))

    def test_csv(self):
        [step] = self.csv_steps(full(), full(
            fault=[("4121-11", 1093441, 203422, 880017, 10002, 12289, 2310, "-", 5), DB_FAULTS],
            flush=[("4121-11", 40222, 18333, 51232), ("5210-14", 0, 0, 3)],
            vpid=[("4121-11", 0, 1, 9100, 1130, 1010, 120, 0, 0, 0, 7),
                  ("4121-11", 1, 2, 8001, 550, 500, 50, 0, 0, 0, 0),
                  ("5210-14", 0, 1, 10, 3, 1, 1, 1, 0, 0, 0)]))
        web = step["4121-11"]
        self.assertEqual({name: self.grew(web, name[:-6]) for name in web if "_per_s" in name}, {
            "ept_violations_per_s": 100, "read_per_s": 100, "write_per_s": 0, "exec_per_s": 0,
            "protection_per_s": 1, "page_walk_per_s": 0, "mmio_per_s": None, "shadow_per_s": 5,
            "flush_requests_per_s": 10, "flush_remote_per_s": 2, "flush_vcpu_per_s": 30,
            "vpid_remote_per_s": 10, "vpid_guest_per_s": 20, "vpid_nested_per_s": 0,
            "vpid_tag_per_s": 0, "vpid_other_per_s": 0, "vpid_single_per_s": 0,
            "vpid_entries_per_s": 101})
        self.assertEqual(self.grew(step["5210-14"]), 0)
        self.assertRegex(web["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(web["name"], "qemu-system-x86")
        self.assertAlmostEqual(float(web["interval_s"]), 0.4, delta=0.3)

    def test_csv_has_the_same_columns_for_a_smaller_file(self):
        [small] = self.csv_steps(one_vm(1), one_vm(2))
        [big] = self.csv_steps(full(), full())
        self.assertEqual(list(small["4121-11"]), list(big["4121-11"]))
        self.assertEqual(small["4121-11"]["flush_vcpu_per_s"], "")

    def test_vm_appears_and_goes(self):
        both = {"vm": [WEB, DB], "fault": [("4121-11", 30, 30, 0, 0, 0, 0, "-", 0), DB_FAULTS]}
        steps = self.csv_steps(one_vm(10), render(**both), one_vm(30), render(**both))
        self.assertEqual([{key: self.grew(row) for key, row in step.items()} for step in steps],
                         [{"4121-11": 20, "5210-14": 500}, {"4121-11": 0},
                          {"4121-11": 0, "5210-14": 500}])

    def test_new_vm_with_an_old_id(self):
        # One counter shrank, so all of them began anew, also the one that grew.
        def text(read, write):
            return render(vm=[WEB], fault=[("4121-11", 0, read, write, 0, 0, 0, "-", 0)])

        steps = self.csv_steps(text(1000, 10), text(900, 30), text(905, 30))
        self.assertEqual([(self.grew(step["4121-11"]), self.grew(step["4121-11"], "write"))
                          for step in steps], [(900, 30), (5, 0)])

    def test_tags_come_and_go(self):
        def text(*tags):
            return full(vpid=[("4121-11", vcpu, tag, 0, 0, flushes, 0, 0, 0, 0, 0)
                              for vcpu, tag, flushes in tags])

        steps = self.csv_steps(text((0, 1, 50), (1, 2, 1000)), text((0, 1, 60), (0, 9, 7)),
                               text((0, 1, 60), (0, 9, "-")), text((0, 1, 70), (0, 9, 7)),
                               text((0, 1, 71), (0, 9, 8)))
        self.assertEqual([self.grew(step["4121-11"], "vpid_remote") for step in steps],
                         [17, None, None, 2])

    def test_unknown_that_becomes_known_is_no_rate(self):
        steps = self.csv_steps(one_vm("-"), one_vm(5), one_vm(6), one_vm("-"))
        self.assertEqual([self.grew(step["4121-11"]) for step in steps], [None, 1, None])

    def test_text(self):
        self.put(one_vm(1000))
        run = self.start("-i", "0.4", "-n", "3")
        lines = [run.stdout.readline() for _ in range(3)]
        self.assertRegex(lines[0], r"^ +-+ faults -+$")
        self.assertEqual(lines[1].split(), "TIME VM, per second VIOL READ WRITE EXEC PROT WALK "
                         "SHADOW".split())
        self.assertEqual(lines[2].split(), "total qemu-system-x86 1.00k 1.00k 0 0 0 0 0".split())
        self.put(one_vm(1200))
        self.assertRegex(run.stdout.readline(),
                         r"^\d\d:\d\d:\d\d qemu-system-x86 +[3-5]\d\d +[3-5]\d\d +0 ")
        self.put(render())
        self.assertRegex(run.stdout.readline(), r"^[\d:]{8} qemu-system-x86 +gone$")
        self.assertRegex(run.stdout.readline(), r"^[\d:]{8} no VM$")
        self.assertEqual(self.ends(run), "")

    def test_text_columns_that_come_later(self):
        self.put(render())
        run = self.start("-i", "0.4", "-n", "3")
        self.assertEqual(run.stdout.readline().split(), ["total", "no", "VM"])
        self.put(one_vm(0))
        run.stdout.readline()
        self.assertNotIn("FLUSH", run.stdout.readline())
        self.assertRegex(run.stdout.readline(), "qemu-system")
        self.put(full())
        self.assertRegex(run.stdout.readline(), "-- faults --.*-- TLB flushes --")
        self.assertRegex(run.stdout.readline(), "SHADOW.*REQS.*DONE.*FLUSH.*REMOTE.*SINGLE")
        run.stdout.readline()
        run.stdout.readline()
        # What has been shown once stays, so that the columns do not jump.
        self.put(one_vm(9))
        self.assertRegex(run.stdout.readline(), "4121-11 .* - +- +- +-$")
        self.assertRegex(run.stdout.readline(), "5210-14 +gone$")
        self.assertEqual(self.ends(run), "")

    def test_text_tells_vms_of_one_name_apart(self):
        self.put(two_vms(vm=[WEB, DB, ("7-1", 7, "lkvm", 1, "ept", 1, 1, 1, 1)]))
        text = self.output("stat", "-i", "0.05", "-n", "1")
        self.assertEqual(re.findall(r"(?m)^total +(\S+)", text), ["4121-11", "5210-14", "lkvm"])

    def test_filter(self):
        self.put(two_vms())
        self.command_line(4121, "qemu", "-name", "web")
        for args in (["stat", "--vm", "web"], ["--vm", "web", "stat"], ["stat", "--vm", "4121"]):
            rows = csv.DictReader(io.StringIO(self.output(*args, "--csv", "-i", "0.05", "-n",
                                                          "2")))
            self.assertEqual([row["name"] for row in rows], ["web", "web"])
        rows = csv.DictReader(io.StringIO(self.output(
            "--vm", "web", "stat", "--vm", "5210", "--csv", "-i", "0.05", "-n", "1")))
        self.assertEqual([row["id"] for row in rows], ["4121-11", "5210-14"])

    def test_filter_by_name_lives_through_a_restart(self):
        self.put(one_vm(10))
        self.command_line(4121, "qemu", "-name", "web")
        self.command_line(4300, "qemu", "-name", "web")
        run = self.start("--vm", "web", "--csv", "-i", "0.4", "-n", "2")
        run.stdout.readline()
        self.put(render(vm=[("4300-11", 4300, *WEB[2:]), DB],
                        fault=[("4300-11", 5, 5, 0, 0, 0, 0, "-", 0), DB_FAULTS]))
        self.assertRegex(self.ends(run), r"\A\S+,4300-11,web,[^\n]+\n\S+,4300-11,web,[^\n]+\n\Z")

    def test_copy(self):
        copy = self.put(one_vm(3), "copy")
        for args in (["stat", "--file", copy], ["--file", copy, "stat"]):
            self.assertIn("total", self.output(*args, "-i", "0.05", "-n", "1"))

    def test_lost_is_said_aside(self):
        self.put(one_vm(1, host={"lost": 2}))
        run = self.start("--csv", "-i", "0.4", "-n", "2")
        run.stdout.readline()
        self.put(one_vm(1, host={"lost": 5}))
        self.assertEqual(self.ends(run, stderr=r"kvmmem: 2 events were not counted; [^\n]*\n"
                                   r"kvmmem: 3 events were not counted in this interval; "
                                   r"[^\n]*\n").count("\n"), 2)

    def test_module_unloaded_meanwhile(self):
        self.put(one_vm(1))
        run = self.start("-i", "0.2")
        run.stdout.readline()
        (self.proc / "kvmmem").unlink()
        self.ends(run, 1, r"kvmmem: [^\n]*/kvmmem: gone; the module was unloaded[^\n]*\n")

    def test_file_breaks_meanwhile(self):
        self.put(one_vm(1))
        run = self.start("-i", "0.2")
        run.stdout.readline()
        self.put(one_vm("x"))
        self.ends(run, 1, r"kvmmem: [^\n]* line 20 is malformed: [^\n]*\n")

    def test_interrupt(self):
        for number in (signal.SIGINT, signal.SIGPIPE):
            for args in ([], ["--csv"], ["-i", "3600"]):
                with self.subTest(number=number, args=args):
                    self.put(one_vm(1))
                    run = self.start(*args)
                    run.stdout.readline()
                    run.send_signal(number)
                    self.ends(run)

    def test_reader_goes_away(self):
        self.put(one_vm(1))
        for args in ([], ["--csv"]):
            run = self.start("-i", "0.1", *args)
            run.stdout.readline()
            run.stdout.close()
            self.assertEqual((run.stderr.read(), run.wait(30)), ("", 0))

    def test_no_drift(self):
        self.put(one_vm(1))
        rows = list(csv.DictReader(io.StringIO(self.output("stat", "--csv", "-i", "0.1", "-n",
                                                           "15"))))
        total = sum(float(row["interval_s"]) for row in rows)
        # A late reading makes the next interval shorter, so the delays do not add up.
        self.assertAlmostEqual(total * 10 % 1, 0, delta=0.5)
        self.assertGreater(total, 1.49)
        self.assertLess(total, 2.5)

    def test_stopped_for_a_while(self):
        self.put(one_vm(0))
        run = self.start("--csv", "-i", "0.2", "-n", "3")
        titles = next(csv.reader([run.stdout.readline()]))
        run.send_signal(signal.SIGSTOP)
        time.sleep(1.1)
        self.put(one_vm(1000))
        run.send_signal(signal.SIGCONT)
        rows = [dict(zip(titles, row)) for row in csv.reader(io.StringIO(self.ends(run)))]
        # One long interval with the rate of its real length, then no rush to catch up.
        self.assertGreater(float(rows[0]["interval_s"]), 0.9)
        self.assertEqual([self.grew(row) for row in rows], [1000, 0, 0])
        self.assertGreater(float(rows[2]["interval_s"]), 0.1)

    def on_terminal(self, lines, columns, *args):
        """The output of stat on a terminal of this size."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        with subprocess.Popen([TOOL, *args], env=self.env, stdout=theirs, stdin=theirs) as run:
            os.close(theirs)
            text = b""
            try:
                while data := os.read(ours, 4096):
                    text += data
            except OSError:
                pass    # what a terminal says when nobody is left on it
        os.close(ours)
        self.assertEqual(run.returncode, 0)
        return text.decode().replace("\r\n", "\n")

    def test_terminal(self):
        self.put(full())
        text = self.on_terminal(10, 80, "stat", "-i", "0.05", "-n", "12")
        lines = text.splitlines()
        self.assertLessEqual(max(map(len, lines)), 80)
        self.assertIn("Too narrow for: REQS DONE FLUSH", lines[0])
        headers = [at for at, line in enumerate(lines) if line.startswith("TIME")]
        self.assertGreater(len(headers), 3)
        self.assertLessEqual(max(b - a for a, b in zip(headers, headers[1:])), 10)
        self.assertNotIn("Too narrow", self.on_terminal(24, 160, "stat", "-i", "0.05", "-n", "1"))
        text = self.on_terminal(5, 80, "stat", "--csv", "-i", "0.05", "-n", "9")
        self.assertEqual(text.count("interval_s"), 1)
        self.assertLessEqual(max(map(len, self.on_terminal(24, 90).split("\n\n")[1]
                                     .splitlines())), 90)

    def test_header_once_without_a_terminal(self):
        self.put(full())
        self.assertEqual(self.output("stat", "-i", "0.05", "-n", "40").count("TIME"), 1)

    def test_raw_on_a_terminal_is_safe(self):
        self.put(two_vms() + "x\x1b[2J\n")
        self.assertIn("x?[2J\n", self.on_terminal(24, 80, "--raw"))


def main():
    """Run all; the last line is for whoever reads only that."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    result = unittest.TextTestRunner(verbosity=1).run(suite)
    bad = len({str(test).split(" [")[0].split(" (number")[0]
               for test, _why in result.failures + result.errors})
    print(f"{result.testsRun - bad - len(result.skipped)} passed, {bad} failed", flush=True)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
