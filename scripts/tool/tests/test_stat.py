# SPDX-License-Identifier: GPL-2.0
"""kvmmem stat --csv."""

import csv
import json
import re

from case import DB, DB_FAULTS, FLUSHES, TAGS, WEB, WEB_FAULTS, Stat, full, one_vm, render, row

NEW = {kind: columns.split() for kind, columns in {
    "time": "vm served total_us kvm_us asleep_us user_us p50_ns p99_ns max_ns async stuck",
    "inval": "vm calls vmm reclaim ksm thp migrate numa_scan in_run fork protect other refaults",
}.items()}


class Csv(Stat):
    """Rates, exactly."""

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

    def test_csv(self):
        [step] = self.csv_steps(full(), full(
            fault=[{**WEB_FAULTS, "ept_violations": 1093441, "read": 203422, "protection": 12289,
                    "shadow": 5}, DB_FAULTS],
            flush=[{**FLUSHES[0], "requests": 40222, "remote": 18333, "vcpu": 51232}, FLUSHES[1]],
            vpid=[{**TAGS[0], "entries": 9100, "flushes": 1130, "remote": 1010, "guest": 120},
                  {**TAGS[1], "entries": 8001}, TAGS[2]]))
        web = step["4121-11"]
        there = {name: self.grew(web, name[:-6]) for name in web
                 if re.match("ept|read|write|exec|prot|page|mmio|shadow|flush_|vpid_", name)}
        self.assertEqual(there, {
            "ept_violations_per_s": 100, "read_per_s": 100, "write_per_s": 0, "exec_per_s": 0,
            "protection_per_s": 1, "page_walk_per_s": 0, "mmio_per_s": None, "shadow_per_s": 5,
            "flush_requests_per_s": 10, "flush_remote_per_s": 2, "flush_vcpu_per_s": 30,
            "vpid_remote_per_s": 10, "vpid_guest_per_s": 20, "vpid_nested_per_s": 0,
            "vpid_tag_per_s": 0, "vpid_other_per_s": 0, "vpid_single_per_s": 0,
            "vpid_entries_per_s": 101, "vpid_range_per_s": 0})
        # What the file does not have is empty.
        self.assertEqual((web["inval_ksm_per_s"], web["time_total_us_per_s"]), ("", ""))
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
        both = {"vm": [WEB, DB], "fault": [row("4121-11", ept_violations=30, read=30), DB_FAULTS]}
        steps = self.csv_steps(one_vm(10), render(**both), one_vm(30), render(**both))
        self.assertEqual([{key: self.grew(row) for key, row in step.items()} for step in steps],
                         [{"4121-11": 20, "5210-14": 500}, {"4121-11": 0},
                          {"4121-11": 0, "5210-14": 500}])

    def test_new_vm_with_an_old_id(self):
        # One counter shrank, so all of them began anew, also the one that grew.
        def text(read, write):
            return render(vm=[WEB], fault=[row("4121-11", read=read, write=write)])

        steps = self.csv_steps(text(1000, 10), text(900, 30), text(905, 30))
        self.assertEqual([(self.grew(step["4121-11"]), self.grew(step["4121-11"], "write"))
                          for step in steps], [(900, 30), (5, 0)])

    def test_tags_come_and_go(self):
        def text(*tags):
            return full(vpid=[row("4121-11", vcpu=vcpu, vpid=tag, remote=remote)
                              for vcpu, tag, remote in tags])

        steps = self.csv_steps(text((0, 1, 50), (1, 2, 1000)), text((0, 1, 60), (0, 9, 7)),
                               text((0, 1, 60), (0, 9, "-")), text((0, 1, 70), (0, 9, 7)),
                               text((0, 1, 71), (0, 9, 8)))
        self.assertEqual([self.grew(step["4121-11"], "vpid_remote") for step in steps],
                         [17, None, None, 2])

    def test_a_tag_that_is_not_kept_any_more(self):
        def text(*tags, unsync=0):
            return full(kinds=("vm", "vpid", "older"), headers={"older": ["vm", "unsync"]},
                        older=[row("4121-11", unsync=unsync)],
                        vpid=[row("4121-11", vcpu=0, vpid=tag, entries=entries, remote=remote)
                              for tag, entries, remote in tags])

        # What it counted goes to the row of the others; its number may come again. How
        # many tables are not in step may fall.
        steps = self.csv_steps(
            text((1, 10, 1), (2, 5000, 70), ("-", 40, 0), unsync=40),
            text((1, 12, 1), (3, 1, 0), ("-", 5040, 71), unsync=12),
            text((2, 3, 1), (3, 1, 0), ("-", 5052, 72), unsync=30))
        self.assertEqual([(self.grew(step["4121-11"], "vpid_entries"),
                           self.grew(step["4121-11"], "vpid_remote")) for step in steps],
                         [(3, 1), (3, 1)])

    def test_unknown_that_becomes_known_is_no_rate(self):
        steps = self.csv_steps(one_vm("-"), one_vm(5), one_vm(6), one_vm("-"))
        self.assertEqual([self.grew(step["4121-11"]) for step in steps], [None, 1, None])

    def test_json(self):
        self.put(full())
        lines = self.output("stat", "--json", "-i", "0.05", "-n", "2").splitlines()
        rows = [json.loads(line) for line in lines]
        self.assertEqual([got["id"] for got in rows], ["4121-11", "5210-14"] * 2)
        self.assertEqual((rows[0]["read_per_s"], rows[0]["mmio_per_s"]), (0, None))
        self.assertRegex(rows[0]["time"], r"Z$")

    def test_time_lost_and_who_takes_memory(self):
        def text(at):
            return full(kinds=("vm", "fault", "time", "inval"), headers=NEW,
                        time=[row("4121-11", total_us=at, kvm_us=at // 2)],
                        inval=[row("4121-11", calls=at, ksm=at)])

        self.put(text(0))
        run = self.start("-i", "0.4", "-n", "1", "-e", "lost,in-kvm,inval,merged")
        for _ in range(5):
            run.stdout.readline()
        self.put(text(160000))
        # 160 ms of about 400 ms on each of four vCPUs.
        lost, kvm, calls, ksm = self.ends(run).split("\n")[0].split()[2:]
        self.assertAlmostEqual(float(lost[:-1]), 10, delta=3)
        self.assertAlmostEqual(float(kvm[:-1]), float(lost[:-1]) / 2, delta=0.2)
        self.assertEqual(calls, ksm)
