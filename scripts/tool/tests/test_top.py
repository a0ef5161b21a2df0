# SPDX-License-Identifier: GPL-2.0
"""kvmmem top, in a real terminal: tmux's."""

import re
import shlex
import subprocess
import sys
import time

from case import (BACKING, DB, DB_FAULTS, TOOL, WEB, WEB_FAULTS, Tool, full, render, row, table,
                  vm_row)
from kvmmem_cli import store


class Top(Tool):
    """Screens and keys."""

    def setUp(self):
        super().setUp()
        self.socket = str(self.proc / "tmux")
        self.env["KVMMEM_SYS"] = str(self.proc / "sys")
        self.addCleanup(self.tmux, "kill-server", check=False)

    def tmux(self, *args, check=True):
        """A command of tmux's; its output."""
        return subprocess.run(["tmux", "-S", self.socket, "-f", "/dev/null", *args], text=True,
                              env={**self.env, "TERM": "xterm"}, check=check, timeout=30,
                              capture_output=True).stdout

    def start(self, width, height, *args, **env):
        """top on a terminal of that size; its status is printed when it ends."""
        words = " ".join(shlex.quote(str(word)) for word in (
            "env", *(f"{name}={value}" for name, value in {**self.env, **env}.items()),
            sys.executable, TOOL, "top", "-i", "0.2", *args))
        self.tmux("new-session", "-d", "-x", str(width), "-y", str(height),
                  f"{words}; echo ended with $?; stty -a | grep -o ' echo ' ; sleep 60")

    def screen(self, *options):
        """What is to be seen."""
        return self.tmux("capture-pane", "-p", *options)

    def wait(self, pattern, *options):
        """Until the screen has it; returns the screen."""
        for _ in range(150):
            text = self.screen(*options)
            if re.search(pattern, text):
                return text
            time.sleep(0.1)
        raise AssertionError(f"{pattern!r} does not come:\n{text}")

    def keys(self, *keys):
        """Press keys."""
        self.tmux("send-keys", *keys)

    def test_three_sizes(self):
        self.put(full())
        self.command_line(4121, "qemu", "-name", "web")
        first = "NAME VCPUS MEM SWAP HOST-HUGE EPT-HUGE VIOL FLUSH "
        wanted = {(80, 24): first + "WRITE",
                  (100, 30): first + "WRITE REMOTE GUEST",
                  (200, 50): first + "WRITE REMOTE GUEST MMIO ID WRONG"}
        for (width, height), titles in wanted.items():
            self.start(width, height, "--sort", "name")
            lines = self.wait(r"(?m)^[! ]web .*\n(.*\n)*2 of 2 VMs").splitlines()
            self.assertLessEqual(max(map(len, lines)), width)
            self.assertRegex(lines[0], r"^kvmmem \d\d:\d\d:\d\d every 0.2 s  2 VMs  8.0G of 16.0G "
                                       r"available")
            self.assertEqual(lines[3].replace(">", "").split(), titles.split())
            self.assertRegex(lines[4], r"^ qemu-system-x86 +16 +8.0G +100M +>99% +-")
            self.assertRegex(lines[5], r"^!web +4 +4.0G +0 +75% +0%")
            self.assertEqual(lines[height - 2], "2 of 2 VMs")
            self.assertRegex(lines[height - 1], r"^\?: help .* q: quit")
            self.keys("q")
            self.wait(r"ended with 0\n +echo")      # and the terminal is in order
            self.tmux("kill-server")
            time.sleep(0.1)

    def test_keys(self):
        self.put(render(vm=[vm_row(f"{at}-1", f"vm{at:02}", mem_kb=at * 1024)
                            for at in range(1, 41)]))
        self.start(80, 24, "--sort", "mem")
        text = self.wait("40 of 40")
        self.assertRegex(text.splitlines()[4], "^ vm40")
        self.keys("r")
        self.wait(r"(?m)^ vm01.*\n^ vm02")
        self.keys("/", "v", "m", "3", "Enter")
        self.wait(r"10 of 40 VMs, names with 'vm3'")
        self.keys("Escape")
        self.wait("40 of 40")
        self.keys("NPage", "NPage")
        self.wait(r"(?m)^ vm37")
        self.keys("?")
        self.wait("the page of that VM")
        self.keys("?", "i")
        self.wait(r"no VM of those is shown\n(.*\n)*0 of 40")
        self.keys("i", "<")
        self.wait(">VCPUS")
        self.keys("Space")
        self.wait("paused")
        self.keys("Space", "+", "+")
        self.wait("every 0.1 s")
        self.keys("q")
        self.wait("ended with 0")

    def test_page(self):
        self.put_debugfs("backing", table(
            "slot", {"slot": 1, "gpa": "0x1000", "size_kb": 65536, "kind": "anon", "flags": None,
                     "gap_kb": 65536, "gap_misaligned_kb": 65536, "cause": "misaligned-slot"}))
        self.put_debugfs("latency", table("latency", {"from_ns": 256, "to_ns": 512, "count": 10},
                                          {"from_ns": 512, "to_ns": 1024, "count": 1000}) +
                         table("access", {"access": "read", "total_ns": 2000000},
                               {"access": "write", "total_ns": 3000000}) +
                         table("service", {"vcpu": 0, "total_ns": 0},
                               {"vcpu": 1, "total_ns": 5000000}))
        headers = {"inval": "vm calls vmm reclaim ksm refaults".split(),
                   "time": "vm total_us kvm_us asleep_us user_us p50_ns p99_ns max_ns".split(),
                   "numa": "vm node mem_kb table_kb vcpu_pct".split()}
        self.put(full(kinds=("vm", "fault", "flush", "vpid", "backing", "inval", "time", "numa"),
                      numa=[row("4121-11", node=0, mem_kb=3 << 20, vcpu_pct=75),
                            row("4121-11", node=1, mem_kb=1 << 20, vcpu_pct=25)],
                      headers=headers, inval=[row("4121-11", calls=10, ksm=8, vmm=2)],
                      backing=[{**BACKING[0], "ept_2m_kb": 40960}, BACKING[1]],
                      time=[row("4121-11", p50_ns=700)]))
        self.start(80, 60, "--sort", "vcpus", "--vm", "4121")
        self.wait("1 of 1")
        self.keys("Enter")
        text = self.wait(r"slot 1 at 0x1000: 64.0M, misaligned-slot(.*\n)*.*Memory taken away")
        self.assertRegex(text, r"host +\[\.+=+\] 4K 10.0M  2M 30.0M  1G 0")
        # 3 of 4 accesses are to 3G that are there, one to 1G that is.
        self.assertIn("0:75% 1:25%  2.5G local, 1.5G remote", text)
        self.assertRegex(text, r"KVM +\[\.+=+\] 4K 40.0M  2M 40.0M")
        self.assertIn("! KVM can never map 64.0M of its memory by huge pages", text)
        self.assertRegex(text, r"from 256ns +10 #\n +from 512ns +1.00k #####")
        self.assertRegex(text, r" +vCPU +remote +guest +nested +tag +other +single\n +0 ")
        self.assertRegex(text, r"(?m)^  by access +write 3.0ms  read 2.0ms$\n"
                               r"  by vCPU +vCPU 1 5.0ms$")
        self.assertIn("p50 ", text)
        self.keys("Escape")
        self.wait("1 of 1")
        self.keys("q")
        self.wait("ended with 0")

    def test_resize_and_what_comes_and_goes(self):
        self.put(full())
        self.start(120, 30)
        self.wait(">VIOL(.*\n)*2 of 2")     # as there are no times
        self.tmux("resize-window", "-x", "60", "-y", "12")
        self.wait(r"(?m)^2 of 2 VMs\n\?: help")
        self.assertLessEqual(max(map(len, self.screen().splitlines())), 60)
        self.tmux("resize-window", "-x", "9", "-y", "2")
        time.sleep(0.5)
        self.tmux("resize-window", "-x", "100", "-y", "30")
        self.put(render(vm=[WEB]))
        self.wait("1 of 1")
        (self.proc / "kvmmem").unlink()
        self.wait("gone; the module was unloaded")
        self.put(full(vm=[WEB, DB]))
        self.wait("2 of 2")
        self.put("nonsense\n")
        self.wait("the first line is not")
        self.put(render())
        self.wait("no VM")
        self.keys("Enter", "Up", "Down", "r")
        self.keys("C-c")
        self.wait(r"ended with 0\n +echo")

    def test_colours(self):
        self.put(full(host={"lost": 3}))
        for env, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
            self.start(80, 24, **env)
            text = self.wait("3 events were not counted", "-e")
            self.assertEqual("\x1b[31m" in text or "\x1b[1m\x1b[31m" in text, coloured)
            # No background of its own.
            self.assertNotRegex(text, r"\x1b\[(\d+;)*4[0-7]m")
            self.tmux("kill-server")
            time.sleep(0.1)

    def test_what_is_wrong(self):
        """By a mark, and in words where there is room."""
        self.put(full(host={"thp": "never"}, backing=[
            {**BACKING[0], "host_4k_kb": 24576, "host_2m_kb": 16384}, BACKING[1]]))
        self.command_line(4121, "qemu", "-name", "web")
        self.start(120, 24, "--sort", "name")
        self.wait(r"(?m)^ qemu-system-x86 .*[^s]$(.*\n)*!web .*  gap, small pages$")
        self.tmux("resize-window", "-x", "70", "-y", "24")
        self.wait(r"(?m)^!web .*\d$")
        self.keys("q")

    def test_names_with_escapes(self):
        self.put(full(vm=[vm_row("4121-11", "x\\033[2Jy"), DB]))
        self.start(80, 24)
        self.wait(r"x\\x1b\[2Jy")

    def test_replay(self):
        path = str(self.proc / "recording")
        writer = store.Writer(path, 60, "", "")
        for at in range(40):
            text = full(fault=[{**WEB_FAULTS, "read": at * 6000, "ept_violations": at * 6000},
                               DB_FAULTS], vm=[WEB, DB][:1 + at % 2])
            writer.add(1e9 + at * 60, at * 60.0, text.encode())
        writer.close()
        self.start(100, 24, "--from", path)
        self.wait(r"kvmmem 2001-09-09 01:4\d:40 \d+/40")
        self.keys("Home")
        self.wait(r"01:46:40 1/40 paused")
        self.keys("Right")
        self.wait(r"01:47:40 2/40 paused .*viol 125/s")
        self.keys("]")
        self.wait(r"12/40 paused")
        self.keys("[", "Left")
        self.wait(r" 1/40 paused")
        self.keys("End", "Enter")
        self.wait(r"40/40 paused(.*\n)*Faults \(a second\)")
        self.keys("q")
        self.wait("ended with 0")

    def test_usage(self):
        self.put(full())
        self.fails(1, "top wants a terminal; 'kvmmem stat' does without", "top")
        self.fails_inside(2, "--file does not go with 'top'", "--file", "x", "top")
