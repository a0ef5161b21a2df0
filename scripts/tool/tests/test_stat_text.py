# SPDX-License-Identifier: GPL-2.0
"""kvmmem stat for people, on terminals and off."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

from case import DB, TOOL, WEB, Stat, full, one_vm, render, row, two_vms, vm_row


class Text(Stat):
    """Lines like vmstat's."""

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
        for _ in range(3):
            run.stdout.readline()
        # What has been shown once stays, so that the columns do not jump.
        self.put(one_vm(9))
        self.assertRegex(run.stdout.readline(), "4121-11 .* - +- +- +-$")
        self.assertRegex(run.stdout.readline(), "5210-14 +gone$")
        self.assertEqual(self.ends(run), "")

    def test_text_tells_vms_of_one_name_apart(self):
        self.put(two_vms(vm=[WEB, DB, vm_row("7-1", "lkvm")]))
        text = self.output("stat", "-i", "0.05", "-n", "1")
        self.assertEqual(re.findall(r"(?m)^total +(\S+)", text), ["4121-11", "5210-14",
                                                                        "lkvm", "3"])

    def test_header_once_without_a_terminal(self):
        self.put(full())
        self.assertEqual(self.output("stat", "-i", "0.05", "-n", "40").count("TIME"), 1)

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
        self.assertIn("Too narrow for (-e chooses): EXEC WALK SHADOW REQS", lines[0])
        # What matters most of each group is there.
        titles = next(line for line in lines if line.startswith("TIME"))
        self.assertEqual(titles.split()[4:], "VIOL READ WRITE PROT FLUSH REMOTE GUEST".split())
        headers = [at for at, line in enumerate(lines) if line.startswith("TIME")]
        self.assertGreater(len(headers), 3)
        self.assertEqual(text.count("Too narrow"), 1)
        self.assertLessEqual(max(b - a for a, b in zip(headers, headers[1:])), 10)
        self.assertNotIn("Too narrow", self.on_terminal(24, 160, "stat", "-i", "0.05", "-n", "1"))
        text = self.on_terminal(5, 80, "stat", "--csv", "-i", "0.05", "-n", "9")
        self.assertEqual(text.count("interval_s"), 1)
        self.assertLessEqual(max(map(len, self.on_terminal(24, 90).split("\n\n")[1]
                                     .splitlines())), 90)

    def many(self, count):
        """So many VMs, of which three do something."""
        return render(vm=[vm_row(f"{at}-1", f"vm{at}") for at in range(1, count + 1)],
                      fault=[row(f"{at}-1", read=9 * at if at in (7, 70, 170) else 0)
                             for at in range(1, count + 1)])

    def test_many_vms(self):
        self.put(self.many(200))
        lines = self.on_terminal(24, 80, "stat", "-i", "0.05", "-n", "1").splitlines()
        self.assertLess(len(lines), 24)
        # Those that do something, most first, and one line for the others.
        busy = [line.split() for line in lines if line.startswith("total")]
        self.assertEqual([words[1] for words in busy[:3]], ["vm170", "vm70", "vm7"])
        self.assertEqual(busy[3][1:3], ["200", "VMs,197"])
        text = self.output("stat", "-i", "0.05", "-n", "1", "--top", "2", "--sort", "read")
        self.assertEqual(re.findall(r"(?m)^total +(\S+)", text), ["vm170", "vm70", "200"])
        self.assertRegex(text, r"(?m)^[\d:]{8} 200 VMs,200 idle")

    def test_columns_by_wish(self):
        self.put(full())
        text = self.output("stat", "-i", "0.05", "-n", "1", "-e", "viol,vpid.remote,swap,host-huge")
        self.assertRegex(text, r"(?m)^TIME .* VIOL REMOTE +SWAP HOST-\+$")
        self.assertRegex(text, r"(?m)^total +4121-11 +1.09M +1.50k +0 +75%$")
        text = self.output("stat", "-i", "0.05", "-n", "1", "--exact", "--rows", "flush")
        self.assertRegex(text, r"(?m)^TIME .* REQS +DONE +FLUSH")
        self.assertRegex(text, r"(?m)^total +4121-11 .*40212 +18331 +51202")

    def test_raw_on_a_terminal_is_safe(self):
        self.put(two_vms() + "x\x1b[2J\n")
        self.assertIn("x?[2J\n", self.on_terminal(24, 80, "--raw"))
