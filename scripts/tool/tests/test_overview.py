# SPDX-License-Identifier: GPL-2.0
"""kvmmem without a command: one screen; and copies that are not whole."""

import time
import types
from unittest import mock

from case import DB, WEB, WEB_FAULTS, Tool, full, render, row, table, two_vms, vm_row
from kvmmem_cli import names
from kvmmem_cli.snapshot import Vm


class Overview(Tool):
    """A line for each VM."""

    def test_screen(self):
        self.put(full())
        self.command_line(4121, "qemu", "-name", "web")
        for columns in (80, 100, 250):
            text = self.output("--sample", "0.05", env={"COLUMNS": str(columns)})
            lines = text.splitlines()
            self.assertLessEqual(max(map(len, lines)), columns)
            titles = lines[4].split()
            self.assertEqual(titles[0], "NAME")
            self.assertIn("FAULTS/s", titles)
            self.assertIn("EPT-HUGE", titles)
            self.assertEqual(lines[5].split()[0], "web")
            self.assertEqual(lines[7].split()[:2], ["all", "2"])

    def test_one_copy_has_no_rates(self):
        copy = self.put(full(), "copy")
        text = self.output("--file", copy)
        self.assertRegex(text, r"(?m)^NAME .* FAULTS  FLUSHES")
        self.assertIn("1.09M", text)
        self.assertIn("one copy has no rates", text)

    def test_what_is_wrong_has_a_word(self):
        self.put(two_vms(host={"lost": 3, "swap_used_kb": 4000000}))
        text = self.output("--sample", "0.05")
        self.assertIn("lost: 3 events were not counted", text)
        self.assertIn("swap: 95% of the swap space is in use: the OOM killer is near", text)
        self.assertIn("kvmmem explain", text)

    def test_ended(self):
        self.env["KVMMEM_SYS"] = str(self.proc / "sys")
        self.put(full(kinds=("vm", "fault", "total"), headers={"total": ["vms", "vms_ended"]},
                      total=[{"vms": 2, "vms_ended": 7}]))
        self.assertRegex(self.output("--wide"), r"(?m)^VMs .*; 7 ended$")
        self.fails(1, "VMs that ended are not told here", "--ended")
        place = self.proc / "sys/kernel/debug/kvmmem"
        place.mkdir(parents=True)
        self.put("# ended vm comm\n", "sys/kernel/debug/kvmmem/ended")
        self.assertEqual(self.output("--ended"), "No VM has ended.\n")
        ended = table("ended", {"vm": "9-1", "comm": "x\\033y", "read": 1500, "mem_kb": 2048,
                                "mmio": 0, "ago_ms": None},
                      {"vm": "10-1", "comm": "qemu", "read": 0, "mem_kb": 1024, "mmio": 0,
                       "ago_ms": 90000})
        self.put(ended, "sys/kernel/debug/kvmmem/ended")
        wanted = ("VM    COMM     READ   MEM  AGO-MS\n"
                  "9-1   x\\x1by  1.50k  2.0M       -\n"
                  "10-1  qemu        0  1.0M      1m\n")
        self.assertEqual(self.output("--ended"), wanted)
        self.assertEqual(self.output("--ended", env={"COLUMNS": "28"}),
                         "VM    COMM     READ   MEM\n9-1   x\\x1by  1.50k  2.0M\n"
                         "10-1  qemu        0  1.0M\n\nToo narrow for: AGO-MS\n")
        path = str(self.proc / "recording")
        self.output("record", "-o", path, "-n", "1")
        self.assertEqual(self.output("--ended", "--from", path), wanted)
        hidden = str(self.proc / "hidden")
        self.output("record", "--from", path, "--anonymize", "-o", hidden)
        self.assertRegex(self.output("--ended", "--from", hidden),
                         r"(?m)^9-1 +vmm +1.50k.*\n10-1 +vmm +0 ")

    def test_order(self):
        self.put(two_vms(fault=[{**WEB_FAULTS, "ept_violations": 1}, row("5210-14",
                                                                        ept_violations=2)]))
        copy = str(self.proc / "kvmmem")
        lines = self.output("--file", copy, "--sort", "mem").splitlines()
        self.assertIn(" 8.0G ", lines[5])

    def test_cut_short(self):
        whole = full()
        self.fails(1, "cut short in line ", "--file", self.put(whole[:-20], "copy"))
        self.fails(1, "cut short in line 2;", "--wide", "--file", self.put(whole[:30], "copy"))
        end = whole.index("# vpid")
        for args in ((), ("--wide",)):
            text = self.output(*args, "--file", self.put(whole[:end], "copy"))
            self.assertIn("THE COPY IS CUT SHORT: it has no rows of type backing, huge, vpid",
                          " ".join(text.split()))
            self.assertNotIn("Unknown for all", text)
        copy = self.put(render(vm=[WEB], kinds=("vm",)), "copy")
        self.assertIn("it has 1 of 2 VMs", self.output("--file", copy))

    def test_standard_input(self):
        self.assertIn("1.09M", self.output("--file", "-", input=full()))
        self.fails(1, "the first line is not", "--file", "-", input="nothing\n")


class Names(Tool):
    """Names from libvirt, from its files and from command lines."""

    UUID = "6dd6bda1-1c15-4b17-a76b-5f3c12a10a3e"

    def setUp(self):
        super().setUp()
        (self.proc / "run").mkdir()
        self.env["KVMMEM_LIBVIRT"] = str(self.proc / "run")
        self.put(two_vms(vm=[WEB, DB, vm_row("99-3", "lkvm")]))

    def names(self):
        """The first words of the lines of the table."""
        text = self.output("--wide", "--sort", "id")
        return [line.split()[0] for line in text.split("\n\n")[1].splitlines()[2:]]

    def test_run_files(self):
        self.put(f"<domstatus state='running' pid='4121'>\n<domain type='kvm'>\n<name>web</name>\n"
                 f"<uuid>{self.UUID}</uuid></domain></domstatus>\n", "run/web.xml")
        self.put("<domain/>", "run/old db.xml")
        self.put("5210\n", "run/old db.pid")
        self.put("broken", "run/broken.xml")
        self.assertEqual(self.names(), ["lkvm", "web", "old"])
        for wish in ("web", "4121", "4121-11", self.UUID, self.UUID.upper()):
            self.assertIn('"name": "web"', self.output("--json", "--vm", wish))

    def test_uuid_of_the_command_line(self):
        self.command_line(5210, "qemu", "-name", "guest=db", "-uuid", self.UUID)
        self.assertIn('"name": "db"', self.output("--json", "--vm", self.UUID))

    def test_bindings_know_best(self):
        domain = mock.Mock(**{"UUIDString.return_value": self.UUID,
                              "name.return_value": "the real one"})
        connection = mock.Mock(**{"listAllDomains.return_value": [domain]})
        libvirt = types.SimpleNamespace(openReadOnly=lambda uri: connection,
                                        registerErrorHandler=lambda handler, context: None,
                                        VIR_CONNECT_LIST_DOMAINS_ACTIVE=1)
        self.command_line(4121, "qemu", "-name", "web", "-uuid", self.UUID)
        with mock.patch.dict("sys.modules", libvirt=libvirt):
            self.assertIn('"name": "the real one"', self.inside("--json")[1])

    def test_bindings_that_hang_or_fail(self):
        self.command_line(4121, "qemu", "-name", "web")
        for call in (lambda uri: time.sleep(2), mock.Mock(side_effect=OSError)):
            libvirt = types.SimpleNamespace(openReadOnly=call, registerErrorHandler=mock.Mock())
            with mock.patch.object(names, "PATIENCE", 0.1), \
                    mock.patch.dict("sys.modules", libvirt=libvirt):
                self.assertIn("web", self.inside("--json")[1])

    def test_looked_at_once(self):
        looked = mock.Mock(return_value=["qemu", "-name", "web"])
        vms = [Vm({"id": "1-1", "pid": 1, "comm": "qemu"})]
        known = names.Names(str(self.proc), str(self.proc / "run"))
        with mock.patch.object(known, "_command_line", looked):
            for _ in range(3):
                vms[0].name = "qemu"
                known.give(vms)
        self.assertEqual((looked.call_count, vms[0].name), (1, "web"))
