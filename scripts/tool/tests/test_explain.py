# SPDX-License-Identifier: GPL-2.0
"""kvmmem explain: each rule on what provokes it, and silence where nothing is wrong."""

import json
import re

from case import (BACKING, DB_FAULTS, FLUSHES, HUGE, TAGS, WEB, WEB_FAULTS, Tool, full, row,
                  table)
from kvmmem_cli import rules, store

NEW = {kind: columns.split() for kind, columns in {
    "vm": "id pid comm vcpus mode mem_kb resident_kb swap_kb ksm_kb device_kb",
    "time": "vm served total_us kvm_us asleep_us user_us p50_ns p99_ns max_ns async stuck",
    "inval": "vm calls vmm reclaim ksm thp migrate numa_scan in_run fork protect other refaults",
    "dirty": "vm mode since_ms write_faults split_2m ring_full pml_full dirty_kb time_us "
             "recovered_2m",
    "numa": "vm node mem_kb table_kb vcpu_pct"}.items()}
ID = "4121-11"
SLOT = {"slot": 1, "gpa": "0x100000000", "size_kb": 4194304, "flags": None, "gap_kb": 0,
        "gap_misaligned_kb": 0, "gap_dirty_log_kb": 0, "gap_nx_split_kb": 0,
        "gap_write_tracked_kb": 0, "gap_unknown_kb": 0}
HEALTHY = {"host": {"thp": "always", "swap_used_kb": 0, "vms": 1}, "vm": [WEB],
           "fault": [WEB_FAULTS], "flush": FLUSHES[:1], "vpid": TAGS[:2], "huge": HUGE[:1],
           "backing": [{**BACKING[0], "host_2m_kb": 2097152}], "time": [row(ID)],
           "inval": [row(ID)], "dirty": [row(ID, mode="off")],
           "numa": [row(ID, node=0, mem_kb=2097152, vcpu_pct=90),
                    row(ID, node=1, mem_kb=4096, vcpu_pct=10)]}


class Explain(Tool):
    """What a host of one VM is said to have."""

    def explain(self, slot=None, before=None, settings=None, reach=None, **more):
        """{rule: finding} of two readings, ten seconds apart, of a host with these rows."""
        path = str(self.proc / "recording")
        for name in self.proc.glob("recording*"):
            name.unlink()
        writer = store.Writer(path, 10, "", "")
        for at, rows in enumerate(({**HEALTHY, **more, **(before or {})}, {**HEALTHY, **more})):
            host = {**HEALTHY["host"], **rows.pop("host", {})}
            text = full(**{"kinds": tuple(HEALTHY)[1:], "headers": NEW, **rows, "host": host})
            texts = {f"vms/{ID}/backing": table("slot", {**SLOT, **(slot or {})},
                                                {**SLOT, "slot": "total"}).encode(),
                     "settings": json.dumps({"cpus": 8, **(settings or {})}).encode()}
            if reach:
                texts[f"vms/{ID}/alignment"] = table("reach", reach).encode()
            writer.add(1e9 + at * 10, at * 10.0, text.encode(),
                       lambda content, texts=texts: texts)
        writer.close()
        status, out, errors = self.inside("explain", "--from", path, "--json")
        self.assertEqual((status, errors), (0, ""))
        told = json.loads(out)
        self.text = self.inside("explain", "--from", path)[1]
        return {one["rule"]: one for some in (told["host"], *(vm["findings"]
                                                              for vm in told["vms"]))
                for one in some}

    def test_healthy(self):
        self.assertEqual(self.explain(), {})
        self.assertEqual(self.text, "Nothing is wrong with the VM that could be seen.\n")

    def rule(self, rule, evidence, **more):
        """That rule, and no other, finds something, by these numbers."""
        found = self.explain(**more)
        self.assertEqual(list(found), [rule])
        self.assertRegex(" | ".join(found[rule]["evidence"]), evidence)
        self.assertIn("What to do: ", self.text)

    def test_lost(self):
        self.rule("lost_events", "lost is 7", host={"lost": 7})

    def test_swap(self):
        self.rule("swap", "1300000 of 4194304", host={"swap_used_kb": 1300000})
        self.assertEqual(self.explain(host={"swap_used_kb": 1200000}), {})
        self.assertEqual(self.explain(host={"swap_total_kb": 0}), {})

    def test_stuck(self):
        self.rule("stuck", "time.stuck is 1", time=[row(ID, stuck=1)])
        self.assertIn("1 of its vCPUs does not get on", self.text)
        self.put(full(kinds=("vm", "time"), headers=NEW, vm=[WEB], time=[row(ID, stuck=2)]))
        self.put_debugfs("stuck", table("stuck", {"vcpu": 1, "gpa": "0x7000", "repeats": 5000,
                                                  "since_ms": 6100},
                                        {"vcpu": 3, "gpa": None, "repeats": 0, "since_ms": 9000}))
        text = self.output("explain", "--sample", "0.05")
        self.assertIn("2 of its vCPUs do not get on", text)
        self.assertIn("- vCPU 1 at 0x7000: 5000 faults in 6.1 s", text)
        self.assertIn("- vCPU 3 at -: one fault that has not ended for 9.0 s", text)

    def test_time_lost(self):
        # 4 s of 40 s that four vCPUs have.
        self.rule("time_lost", "10.0% of its vCPUs' time.*7.5% in user space",
                  time=[row(ID, total_us=4000000, user_us=3000000, kvm_us=1000000)],
                  before={"time": [row(ID)]})
        self.assertIn("most of it in user space", self.text)

    def test_misaligned(self):
        self.rule("misaligned_slot", "8192 KiB huge", slot={"gap_misaligned_kb": 8192})
        # What the edges of a slot lose is nobody's fault.
        self.assertEqual(self.explain(slot={"gap_misaligned_kb": 4096}), {})

    def test_dirty_logging(self):
        self.rule("dirty_logging", "since_ms is 1900000",
                  dirty=[row(ID, mode="log", since_ms=1900000)])
        self.assertEqual(self.explain(dirty=[row(ID, mode="log", since_ms=60000)]), {})
        old = {"kinds": tuple(kind for kind in HEALTHY if kind not in ("host", "dirty"))}
        self.rule("dirty_logging", "flags readonly,dirty", slot={"flags": "readonly,dirty"}, **old)
        # A frame buffer is always logged.
        self.assertEqual(self.explain(slot={"flags": "dirty", "size_kb": 16384}, **old), {})

    def test_huge_pages_that_did_not_come_back(self):
        self.rule("huge_gone", "split_2m is 100, recovered_2m is 20",
                  dirty=[row(ID, mode="off", split_2m=100, recovered_2m=20)])
        self.assertEqual(self.explain(dirty=[row(ID, mode="off", split_2m=100,
                                                 recovered_2m=95)]), {})

    def test_nx_splits(self):
        self.rule("nx_splits", "204800 of .*nx_huge_pages is Y", slot={"gap_nx_split_kb": 204800},
                  settings={"nx_huge_pages": "Y"})

    def test_gap(self):
        self.rule("gap", "ept_4k_kb is 40960.*gap_unknown_kb is 30720",
                  slot={"gap_unknown_kb": 30720})
        # A migration that is under way, and what other rules tell.
        self.assertEqual(self.explain(slot={"gap_unknown_kb": 30720},
                                      dirty=[row(ID, mode="log", since_ms=60000)]), {})
        self.assertEqual(self.explain(slot={"gap_unknown_kb": 3072}), {})
        # More than is huge in the host, as that is so in KVM's tables, too.
        self.assertEqual(self.explain(slot={"gap_unknown_kb": 30720},
                                      backing=[{**BACKING[0], "ept_4k_kb": 8388608}]), {})
        self.assertEqual(self.explain(slot={"gap_unknown_kb": 30720},
                                      vm=[{**WEB, "device_kb": 8388608}]), {})

    def test_thp(self):
        for thp in ("never", "madvise"):
            self.rule("thp", f"thp is {thp}", host={"thp": thp},
                      backing=[{**BACKING[0], "host_4k_kb": 2097152}])

    def test_hugetlb_pool(self):
        self.rule("hugetlb_pool", "on small pages: qemu", host={"hugepages_2048kB_free": 0},
                  backing=[{**BACKING[0], "host_4k_kb": 2097152}])
        self.assertEqual(self.explain(host={"hugepages_2048kB_free": 0}), {})

    def test_taken_away(self):
        for name in ("ksm", "numa_scan", "in_run", "reclaim", "thp", "migrate", "vmm"):
            self.rule("taken_away", f"200 invalidations a second by {name}",
                      inval=[row(ID, **{name: 2000, "calls": 2000, "refaults": 500})],
                      before={"inval": [row(ID)]})
        # What the guest does not want back nobody misses.
        self.assertEqual(self.explain(inval=[row(ID, ksm=2000)], before={"inval": [row(ID)]}), {})

    def test_flush_storms(self):
        before = {"vpid": [row(ID, vcpu=0, vpid=1)]}
        self.rule("remote_flushes", "5.00k remote flushes", before=before,
                  vpid=[row(ID, vcpu=0, vpid=1, remote=50000)])
        storm = {"before": before, "vpid": [row(ID, vcpu=0, vpid=1, guest=50000)]}
        self.rule("guest_flushes", "4 vCPUs on 3 processors", settings={"cpus": 3}, **storm)
        self.assertEqual(self.explain(settings={"cpus": 4}, **storm), {})

    def test_guest_huge_lost(self):
        reach = {"vcpu": 1, "mapped_kb": 1000000, "lost_kb": 300000, "why": "-"}
        self.rule("guest_huge_lost", "vCPU 1: lost_kb is 300000 of mapped_kb 1000000",
                  reach=reach)
        self.assertEqual(self.explain(reach={**reach, "lost_kb": 200000}), {})
        self.assertEqual(self.explain(reach={**reach, "lost_kb": "-"}), {})

    def test_remote_memory(self):
        self.rule("remote_memory", "node 0: 10% of the memory, 90%",
                  numa=[row(ID, node=0, mem_kb=10000, vcpu_pct=90),
                        row(ID, node=1, mem_kb=90000, vcpu_pct=10)])

    def test_every_rule_is_tested_and_has_a_source(self):
        with open(__file__, encoding="utf-8") as file:
            tested = set(re.findall(r'self\.rule\("(\w+)"', file.read()))
        self.assertEqual(tested, set(rules.NAMES))
        text = self.output("explain", "--rules")
        for rule in rules.RULES:
            self.assertGreater(len(rule.SOURCE), 20)
            self.assertIn(f"{rule.__name__.rpartition('.')[2]} ({rule.SCOPE}): {rule.ABOUT}\n",
                          text)

    def test_what_could_not_be_seen(self):
        self.put(full())
        text = " ".join(self.output("explain", "--sample", "0.05").split())
        self.assertIn("Not seen:", text)
        self.assertIn("stuck vCPUs, time lost to faults: unknown without 'time' rows", text)
        self.assertIn("memory slots (debugfs)", text)
        self.put(full(fault=[WEB_FAULTS, DB_FAULTS],
                      vpid=[row("4121-11", vcpu=0, vpid=1, remote="-"), *TAGS[1:]]))
        text = " ".join(self.output("explain", "--sample", "0.05").split())
        self.assertIn("(of qemu-system-x86): unknown without vpid.remote, which is '-' here", text)

    def test_debugfs(self):
        self.put(full())
        self.put_debugfs("backing",
                         "# slot slot gpa size_kb kind flags gap_kb gap_misaligned_kb\n"
                         "slot 1 0x1000 65536 anon - 65536 65536\n"
                         "slot total - 65536 - - 65536 65536\n")
        self.put_debugfs("latency", b"\xff\x00 not a table\n# x\n")
        self.put_debugfs("../../hooks", "# hook name state events why_not purpose\n"
                         "hook kvm_exit failed 0 no-memory to know when\n")
        text = self.output("explain", "--sample", "0.05", "4121")
        self.assertIn("- slot 1 at 0x1000: 65536 KiB huge in the host", text)
        self.put(full(host={"lost": 1}))
        self.assertIn("hook kvm_exit is failed: no-memory",
                      self.output("explain", "--sample", "0.05"))

    def test_errors(self):
        self.put(full())
        self.fails(1, "no VM has the id, name, pid or UUID 'none'", "explain", "none")
        copy = self.put(full(), "copy")
        self.assertIn("rates, which take two readings",
                      " ".join(self.output("explain", "--file", copy).split()))
