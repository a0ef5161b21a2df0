# SPDX-License-Identifier: GPL-2.0
"""kvmmem stat from its start to its end: filters, signals, time."""

import csv
import io
import os
import pathlib
import signal
import subprocess
import sys
import time

from case import DB, DB_FAULTS, WEB, Stat, line_of, one_vm, render, row, two_vms


# The alarm's signal stands for SIGINT. Of 5,000 time.sleep() missed some twenty.
FALLS_ASLEEP = """
import random, signal, time
from kvmmem_cli import source
source.ENDS = {signal.SIGALRM}
source.hold_ends()
missed = 0
for _ in range(5000):
    signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 60e-6))
    begun = time.monotonic()
    try:
        source.wait_until(begun + 1)
        missed += 1
    except KeyboardInterrupt:
        missed += time.monotonic() - begun > 0.9
print(missed)
"""
CLI = pathlib.Path(__file__).resolve().parents[1] / "kvmmem_cli"


class Life(Stat):
    """What happens while it runs."""

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
        self.put(render(vm=[{**WEB, "id": "4300-11", "pid": 4300}, DB],
                        fault=[row("4300-11", ept_violations=5, read=5), DB_FAULTS]))
        self.assertRegex(self.ends(run), r"\A\S+,4300-11,web,[^\n]+\n\S+,4300-11,web,[^\n]+\n\Z")

    def test_copy(self):
        one, two = self.put(one_vm(3), "one"), self.put(one_vm(23), "two")
        os.utime(one, (1000, 1000))
        os.utime(two, (1010, 1010))
        files = ["--file", one, "--file", two]
        for args in (["stat", *files], [*files, "stat"], ["stat", *files, "-i", "10"]):
            lines = self.output(*args, "-e", "read").splitlines()
            self.assertEqual([line.split()[-1] for line in lines[-2:]], ["3", "2.0"])
        # All copies in one stream.
        text = one_vm(3) + one_vm(23)
        self.assertIn(" 2.0\n", self.output("stat", "--file", "-", "-i", "10", "-e", "read",
                                              input=text))
        self.fails(1, "2 copies in a file; say with -i", "stat", "--file", "-", input=text)
        self.fails(1, "one copy does not say what happened; give two", "stat", "--file", one)
        self.fails(1, "do not tell when they were saved, .* say with -i",
                   "stat", "--file", two, "--file", one)

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
        text = one_vm("x")
        self.put(text)
        self.ends(run, 1, rf"kvmmem: [^\n]* line {line_of(text, ' x ')} is malformed: [^\n]*\n")

    def test_interrupt(self):
        for number in (signal.SIGINT, signal.SIGPIPE):
            for args in ([], ["--csv"], ["-i", "3600"]):
                with self.subTest(number=number, args=args):
                    self.put(one_vm(1))
                    run = self.start(*args)
                    run.stdout.readline()
                    run.send_signal(number)
                    self.ends(run)

    def test_interrupt_while_it_falls_asleep(self):
        """Of signals that come just when it begins to wait none is missed."""
        run = subprocess.run([sys.executable, "-B", "-c", FALLS_ASLEEP], cwd=CLI.parent,
                             check=True, stdout=subprocess.PIPE, text=True, timeout=100)
        self.assertEqual(run.stdout, "0\n")

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
