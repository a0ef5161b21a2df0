# SPDX-License-Identifier: GPL-2.0
"""kvmmem --wide, --json and --raw."""

import json
import re
import shutil

from case import (DB, DB_FAULTS, HOST, WEB, WEB_FAULTS, Tool, full, records, render, row,
                  two_vms, vm_row)
from kvmmem_cli.options import sort_column


class Table(Tool):
    """kvmmem --wide, --json and --raw."""

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
        self.assertIn("overcommit -", self.output("--wide"))

    def test_lost_is_loud_and_only_when_it_is(self):
        self.put(two_vms())
        self.assertNotIn("LOST", self.output())
        self.put(two_vms(host={"lost": 17}))
        self.assertRegex(self.output(), r"(?m)^LOST +!!! 17 events were not counted.*!!!$")

    def test_rows(self):
        self.put(two_vms())
        self.assertEqual(records(self.output("--wide")), {
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
        vms = records(self.output("--wide"))
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
        self.put(full(vpid=[row("4121-11", vcpu=0, vpid=1, remote="-", guest=1),
                            row("4121-11", vcpu=1, vpid="-", remote=7, guest=1),
                            row("5210-14", vcpu=0, vpid=1, remote=8, guest=1)]))
        vms = records(self.output("--wide"))
        self.assertEqual(vms["4121-11"]["REMOTE"], "-")
        self.assertEqual(vms["4121-11"]["GUEST"], "2")
        self.assertEqual(vms["5210-14"]["REMOTE"], "8")

    def test_unknown_columns_go_to_a_footnote(self):
        self.put(two_vms())
        text = self.output("--wide")
        self.assertNotRegex(text, r"NAME.*MMIO")
        self.assertIn("Unknown for all VMs above, not shown: MMIO.", text)
        self.put(two_vms(fault=[WEB_FAULTS, {**DB_FAULTS, "mmio": 3}]))
        text = self.output("--wide")
        self.assertEqual(records(text)["4121-11"]["MMIO"], "-")
        self.assertIn("-: unknown on this kernel or host, not 0.", text)
        self.assertNotIn("not shown", text)

    def test_rows_that_are_not_in_the_file_are_not_mentioned(self):
        self.put(two_vms(kinds=("vm",)))
        self.assertNotRegex(self.output("--wide"), "VIOLATIONS|FLUSHES|HUGE|not shown")

    def test_vm_without_counters_yet(self):
        self.put(two_vms(fault=[WEB_FAULTS]))
        self.assertEqual(records(self.output("--wide"))["5210-14"]["VIOLATIONS"], "-")

    def test_rows_of_a_vm_that_has_gone(self):
        self.put(two_vms(vm=[WEB]))
        self.assertEqual(list(records(self.output("--wide"))), ["4121-11"])

    def test_no_vm(self):
        self.put(render(host={"vms": 0, "guest_kb": 0}))
        self.assertTrue(self.output("--wide").endswith("\n\nNo VM is known to the module.\n"))

    def test_width(self):
        self.put(full())
        self.command_line(4121, "qemu", "-name", "instance-of-someone-with-a-long-name")
        for columns in (None, 80, 100, 120, 250):
            with self.subTest(columns=columns):
                text = self.output("--wide", env={"COLUMNS": str(columns)} if columns else {})
                self.assertLessEqual(max(map(len, text.splitlines())), columns or 120)
                self.assertIn("instance-of-someone-wit+ ", text)
                self.assertEqual(len(records(text)["4121-11"]), 29)
        self.assertEqual(len(re.findall("(?m)^NAME", text)), 1)

    def test_columns_are_found_by_name(self):
        headers = {"vm": ["comm", "future", "mem_kb", "id", "pid"],
                   "fault": ["read", "vm", "news", "ept_violations"]}
        self.put(render(headers=headers, vm=[vm_row("9-1", "qemu", mem_kb=1024, future="soon")],
                        fault=[row("9-1", read=5, ept_violations=6, news="a\\040b")])
                 + "mystery without a header\n\n# note\n#\n")
        self.assertEqual(records(self.output("--wide"))["9-1"],
                         {"NAME": "qemu", "ID": "9-1", "PID": "9", "MEM": "1.0M",
                          "VIOLATIONS": "6", "READ": "5"})

    def test_names(self):
        self.put(two_vms())
        self.command_line(4121, "/usr/bin/qemu", "-name", "guest=web1,debug-threads=on")
        vms = records(self.output("--wide"))
        self.assertEqual(vms["4121-11"]["NAME"], "web1")
        self.assertEqual(vms["5210-14"]["NAME"], "qemu-system-x86")

    def test_names_of_a_copy_are_not_looked_up_here(self):
        self.command_line(4121, "/usr/bin/qemu", "-name", "stranger")
        copy = self.put(two_vms(), "copy")
        self.assertEqual(records(self.output("--wide", "--file", copy))["4121-11"]["NAME"],
                         "qemu-system-x86")

    def test_control_characters_never_get_out(self):
        vm = vm_row("4121-11", "x\\033[2J\\012y", mode="e\\007t")
        self.put(two_vms(vm=[vm, DB], host={"thp": "a\\033b"}))
        self.command_line(5210, "qemu", "-name", "\x1b]0;owned\x07\n")
        for args in ((), ("--wide",), ("--json",), ("stat", "-i", "0.05", "-n", "1"),
                     ("stat", "--csv", "-i", "0.05", "-n", "1")):
            with self.subTest(args=args):
                self.assertNotRegex(self.output(*args), r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
        self.assertIn("\\x1b]0;owned\\x07\\x0a", self.output())

    def test_filter(self):
        self.put(two_vms(vm=[WEB, DB, vm_row("99-3", "lkvm")]))
        self.command_line(4121, "qemu", "-name", "web 1")
        for wishes, ids in ((["4121-11"], ["4121-11"]), (["5210"], ["5210-14"]),
                            (["web 1"], ["4121-11"]), (["lkvm"], ["99-3"]),
                            (["99", "web 1"], ["4121-11", "99-3"])):
            args = [arg for wish in wishes for arg in ("--vm", wish)]
            found = json.loads(self.output("--json", *args))["vms"]
            self.assertEqual([vm["id"] for vm in found], ids)

    def test_filter_not_found(self):
        self.put(two_vms())
        self.fails(1, r"no VM has the id, name, pid or UUID 'no\\x1bne'; .* lists them",
                   "--vm", "4121", "--vm", "no\x1bne")
        self.fails(1, "no VM has", "stat", "--vm", "None")

    def test_sort(self):
        self.put(full(vm=[WEB, DB, vm_row("99-3", "a", mode="-", mem_kb="-")]))
        for column, ids in (("mem", "5210-14 4121-11 99-3"), ("mem_kb", "5210-14 4121-11 99-3"),
                            ("VIOLATIONS", "4121-11 5210-14 99-3"), ("id", "99-3 4121-11 5210-14"),
                            ("name", "99-3 4121-11 5210-14"), ("pid", "99-3 4121-11 5210-14"),
                            ("mode", "4121-11 5210-14 99-3"), ("age", "5210-14 4121-11 99-3"),
                            ("entries", "4121-11 5210-14 99-3")):
            with self.subTest(column=column):
                _status, text, _errors = self.inside("--wide", "--sort", column)
                self.assertEqual(list(records(text)), ids.split())
        self.assertEqual(sort_column("remote").title, "REMOTE")

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

    def test_json_has_all_that_the_file_has(self):
        headers = {"later": ["vm", "node", "text", "kb"], "overall": ["vms", "word"],
                   "fault": ["vm", "read", "news", "ept_violations"]}
        self.put(full(
            kinds=("vm", "fault", "huge", "later", "overall"), headers=headers,
            fault=[row("4121-11", read=1, news="x1", ept_violations=1),
                   row("5210-14", read=1, news="-", ept_violations=1)],
            huge=[row("5210-14", installed=7, nx_split="-")],
            later=[row("4121-11", node=0, text="12", kb=5), row("4121-11", node=1, text="a\\040b"),
                   row("-", node=2), row("gone", node=3)],
            overall=[{"vms": 3, "word": "all"}]))
        data = json.loads(self.output("--json"))
        web, database = data["vms"]
        self.assertEqual((web["fault"]["news"], database["fault"]["news"]), ("x1", None))
        self.assertEqual((web["huge"], database["huge"]["installed"],
                          database["huge"]["nx_split"]), (None, 7, None))
        # What looks like a number in a column that nobody knows is taken for one.
        self.assertEqual([{name: got[name] for name in ("node", "text")} for got in web["later"]],
                         [{"node": 0, "text": 12}, {"node": 1, "text": "a b"}])
        self.assertEqual(database["later"], [])
        self.assertEqual(data["rows"]["overall"], [{"vms": 3, "word": "all"}])
        self.assertEqual([got["node"] for got in data["rows"]["later"]], [2])
        # Rows of one more than there should be are not left out.
        self.put(two_vms(fault=[WEB_FAULTS, WEB_FAULTS]))
        self.assertEqual(len(json.loads(self.output("--json"))["vms"][0]["fault"]), 2)

    def test_raw(self):
        text = two_vms(schema=7) + "anything \x1b[2J\n"
        self.put(text)
        self.assertEqual(self.output("--raw"), text)
        self.assertEqual(self.output("--raw", "--file", self.put("x", "copy")), "x")

    def test_installed(self):
        tool = self.install(self.proc)
        self.put(two_vms())
        self.assertEqual(self.output(tool=tool, cwd="/"), self.output())
        (self.proc / "link").symlink_to(tool)
        self.assertEqual(self.output(tool=self.proc / "link"), self.output())
        self.assertEqual(list(self.proc.rglob("__pycache__")), [])
        shutil.rmtree(self.proc / "share")
        self.fails(1, "its modules are neither in .*/share/kvmmem; install it again", tool=tool)
