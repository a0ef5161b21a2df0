# SPDX-License-Identifier: GPL-2.0
"""Text in both formats: what promtool and the library say of it, and what is in it."""

import json
import math
import re

from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

import prometheus
from case import BACKING, DB, FLUSHES, TAGS, Tool, WEB, WEB_FAULTS, full, row, table, vm_row
from exporting import ALL, of_vms
from test_speed import INITIATORS
from kvmmem_cli import exposition, metrics, parse, store
from kvmmem_cli.snapshot import Snapshot

EVIL = 'a "b" \\ c\nkvmmem_up 0\r # {x="y"} é'


def reading(text):
    """A reading of a file, its VMs with names."""
    return Snapshot(parse.proc_file(text.encode()))


def written(snapshot, form=exposition.TEXT, per_vcpu=False):
    """What is made of a reading."""
    return exposition.Writer(per_vcpu).text(form, snapshot, list(snapshot.vms.values()),
                                            0.5).decode()


class Format(Tool):
    """Without a server."""

    def lint(self, text):
        """promtool has nothing to say."""
        self.assertEqual(prometheus.promtool("check", "metrics", text=text), (0, ""))

    def test_promtool_is_silent(self):
        self.put(full())
        self.lint(self.output("export"))
        self.put(of_vms([WEB, DB], 5))
        self.lint(self.output("export", "--per-vcpu"))

    def test_promtool_would_not_be(self):
        status, said = prometheus.promtool("check", "metrics", text="# TYPE a counter\na 1\n")
        self.assertNotEqual((status, said), (0, ""))

    def test_as_the_library_has_it(self):
        """Each sample that we write is what the library writes and reads."""
        snapshot = reading(of_vms([WEB, DB, vm_row("9-9", "é")], 123456789))
        vms = list(snapshot.vms.values())
        for vm, name in zip(vms, ("web", EVIL, "")):
            vm.name, vm.uuid = name, "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
        read = {family.name: family for family in
                openmetrics(written(snapshot, exposition.OPENMETRICS, True))}
        page = {family.name: family for family in plain(written(snapshot, per_vcpu=True))}
        seen = 0
        for family, lines in exposition.families(
                snapshot, exposition.Domains().give(vms), 0.5, True):
            if not lines:
                self.assertNotIn(family.name, read)
                continue
            name = family.name
            self.assertEqual((read[name].type, read[name].documentation, read[name].unit),
                             (family.kind, family.help, family.unit))
            self.assertEqual(len(read[name].samples), len(lines))
            metric = Metric(family.name, family.help, family.kind, family.unit)
            metric.samples = read[name].samples
            heads = exposition.Heads()
            for form, parser in ((exposition.TEXT, plain), (exposition.OPENMETRICS, openmetrics)):
                theirs = heads.writers[form](
                    exposition._One(metric)).decode()   # pylint: disable=protected-access
                ours = heads.of(family, form) + "".join(lines) + \
                    ("# EOF\n" if form == exposition.OPENMETRICS else "")
                self.assertEqual([(one.name, one.labels, one.value)
                                  for one in next(iter(parser(ours))).samples],
                                 [(one.name, one.labels, one.value)
                                  for one in next(iter(parser(theirs))).samples])
                self.assertEqual(theirs.split("\n")[:2], ours.split("\n")[:2])
            seen += len(lines)
        self.assertEqual(seen, sum(len(family.samples) for family in page.values()))
        names = {sample.labels["domain"] for sample in page["kvmmem_vm_vcpus"].samples}
        self.assertEqual(names, {"web", EVIL, "9-9"})
        self.lint(written(snapshot))

    def test_values(self):
        self.put(full(fault=[WEB_FAULTS, row("5210-14", read="-", write="-", exec="-", shadow=7)],
                      vm=[WEB, {**DB, "resident_kb": 8200000}], **{
                          key: value for key, value in ALL.items() if key == "headers"}))
        self.command_line(4121, "qemu", "-name", "web", "-uuid",
                          "F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6")
        self.command_line(5210, "qemu", "-name", "db")
        found = prometheus.samples(self.output("export"))
        web = 'domain="web",uuid="f81d4fae-7dec-11d0-a765-00a0c91e6bf6"'
        for series, value in {
                "kvmmem_up": 1, "kvmmem_lost_total": 0, "kvmmem_vms": 2,
                'kvmmem_host_swap_bytes{state="used"}': 1 << 30,
                'kvmmem_host_swap_bytes{state="free"}': 3 << 30,
                'kvmmem_host_hugetlb_bytes{page_size="2m",state="free"}': 256 << 20,
                f'kvmmem_vm_info{{{web},vm="4121-11",pid="4121",mode="ept"}}': 1,
                f'kvmmem_vm_ept_violations_total{{access="write",{web}}}': 880017,
                'kvmmem_vm_shadow_faults_total{domain="db",uuid=""}': 7,
                'kvmmem_vm_memory_bytes{state="resident",domain="db",uuid=""}': 8200000 * 1024,
                'kvmmem_vm_memory_bytes{state="swapped",domain="db",uuid=""}': 100 << 20,
                'kvmmem_vm_memory_bytes{state="absent",domain="db",uuid=""}': 86208 * 1024,
                'kvmmem_vm_size_bytes{domain="db",uuid=""}': 8 << 30,
                f'kvmmem_vm_backing_bytes{{layer="host",page_size="2m",{web}}}': 30720 * 1024,
                f'kvmmem_vm_walk_age_seconds{{{web}}}': 0.35,
                f'kvmmem_vm_tlb_flushes_total{{cause="remote",{web}}}': 1500,
                f'kvmmem_vm_entries_total{{{web}}}': 17000}.items():
            self.assertEqual(found.get(series), value, series)
        self.assertEqual((BACKING[0]["host_2m_kb"], FLUSHES[0]["vcpu"], TAGS[0]["remote"]),
                         (30720, 51202, 1000))
        # What is unknown has no series at all.
        self.assertNotIn("kvmmem_vm_ept_violations_total{access=\"read\",domain=\"db\",uuid=\"\"}",
                         found)
        self.assertFalse([series for series in found if "huge_map" in series or
                          "mmio" in series and "web" in series])
        # The id is in one place only.
        self.assertEqual([series for series in found if "4121-11" in series],
                         [f'kvmmem_vm_info{{{web},vm="4121-11",pid="4121",mode="ept"}}'])

    def test_parts_sum_to_the_whole(self):
        vms = [vm_row(f"{at}-1", f"vm{at}", mem_kb=1000 + at, resident_kb=400, swap_kb=at)
               for at in range(1, 9)]
        found = prometheus.samples(written(reading(of_vms(vms, 77))))
        for vm in vms:
            end = f'domain="{vm["comm"]}",uuid=""}}'
            self.assertEqual(sum(value for series, value in found.items() if
                                 series.startswith("kvmmem_vm_memory_bytes") and end in series),
                             found[f"kvmmem_vm_size_bytes{{{end}"])

    def test_closed_sets(self):
        sets = {("fault", "ept_violations", "ept_violations_total", "access"):
                ("read", "write", "exec"),
                ("vpid", "flushes", "tlb_flushes_total", "cause"):
                ("remote", "guest", "nested", "tag", "other"),
                ("inval", "calls", "invalidations_total", "initiator"): INITIATORS,
                ("time", "total_us", "time_lost_seconds_total", "where"):
                ("kvm_us", "asleep_us", "user_us"),
                ("outcome", "taken", "fault_outcomes_total", "outcome"):
                ("fixed", "spurious", "emulated", "retried")}
        rows, whole = {}, {}
        for kind, total, metric, label in sets:
            parts = {part: 7 * 10 ** at for at, part in enumerate(sets[kind, total, metric, label])}
            whole[metric, label] = sum(parts.values())
            rows[kind] = [row("1-1", vcpu=0, **{total: whole[metric, label]}, **parts)]
        found = prometheus.samples(written(reading(full(
            **{**ALL, "vm": [vm_row("1-1", "one")], "flush": [], "backing": [], "huge": [],
               **rows}))))
        for (metric, label), value in whole.items():
            parts = [found[series] for series in found
                     if re.match(f"kvmmem_vm_{metric}{{.*{label}=", series)]
            self.assertEqual(sum(parts) * (10 ** 6 if "seconds" in metric else 1), value, metric)

    def test_no_two_are_called_alike(self):
        same = [vm_row("1-1", "qemu"), vm_row("2-1", "qemu"), vm_row("3-1", "one")]
        found = prometheus.samples(written(reading(full(vm=same, fault=[], flush=[], vpid=[],
                                                        backing=[], huge=[]))))
        self.assertEqual({series for series in found if "vcpus" in series},
                         {f'kvmmem_vm_vcpus{{domain="{name}",uuid=""}}'
                          for name in ("qemu (1-1)", "qemu (2-1)", "one")})
        # Who was called so before keeps the name.
        domains, called = exposition.Domains(), []
        for ids in ((1,), (1, 2), (1, 2, 3), (2, 3)):
            rows = [vm_row(f"{number}-1", "qemu") for number in ids]
            called.append(sorted(domains.give(list(reading(full(vm=rows)).vms.values())).values()))
        self.assertEqual(called, [["qemu"], ["qemu", "qemu (2-1)"],
                                  ["qemu", "qemu (2-1)", "qemu (3-1)"],
                                  ["qemu (2-1)", "qemu (3-1)"]])
        # Nor who calls himself like another with his id.
        rows = [vm_row("1-1", "qemu"), vm_row("2-1", "qemu"), vm_row("3-1", "qemu\\040(1-1)")]
        given = exposition.Domains().give(list(reading(full(vm=rows)).vms.values()))
        self.assertEqual(sorted(given.values()),
                         ["qemu (1-1)", "qemu (1-1) (3-1)", "qemu (2-1)"])

    def test_every_vcpu(self):
        self.put(full())
        self.put_debugfs("faults", table("fault", {"vcpu": 0, "read": 5, "write": 2, "exec": 1},
                                         {"vcpu": 1, "read": 7, "write": None, "exec": 1}))
        self.put_debugfs("latency", table("service", {"vcpu": 0, "kvm_ns": 1500, "user_ns": 7}))
        self.assertNotIn("vcpu=", self.output("export"))
        found = prometheus.samples(self.output("export", "--per-vcpu", "--vm", "4121-11"))
        self.assertEqual({series: value for series, value in found.items() if "vcpu=" in series and
                          ("violations" in series or "lost" in series or "remote" in series)}, {
            f'kvmmem_vcpu_{name}{{{label},domain="qemu-system-x86",uuid="",vcpu="{vcpu}"}}': value
            for name, label, vcpu, value in (
                ("ept_violations_total", 'access="read"', 0, 5),
                ("ept_violations_total", 'access="read"', 1, 7),
                ("ept_violations_total", 'access="write"', 0, 2),
                ("ept_violations_total", 'access="exec"', 0, 1),
                ("ept_violations_total", 'access="exec"', 1, 1),
                ("time_lost_seconds_total", 'where="kvm"', 0, 1.5e-6),
                ("time_lost_seconds_total", 'where="user"', 0, 7e-9),
                ("tlb_flushes_total", 'cause="remote"', 0, 1000),
                ("tlb_flushes_total", 'cause="remote"', 1, 500))})

    def test_the_table_of_metrics(self):
        """Names are used once, and every column is one that the module has."""
        families = (*metrics.HOST, *metrics.VM, *metrics.NODE, *metrics.VCPU, metrics.UP,
                    metrics.SCRAPE, metrics.INFO, metrics.HOST_INFO, metrics.HUGETLB)
        self.assertEqual(len({family.name for family in families}), len(families))
        for family in families:
            self.assertRegex(family.help, r"^[A-Z12v][^\n]*\.$")
            self.assertTrue(not family.unit or family.name.endswith(f"_{family.unit}"))
        text, told = ((prometheus.SCRIPTS.parent / f"Documentation/{name}.rst").read_text("utf-8")
                      for name in ("columns", "prometheus"))
        for family in families:
            end = {"counter": "_total", "info": "_info"}.get(family.kind, "")
            self.assertTrue(f"\n``{family.name}{end}``" in told, family.name)
            for member in family.members:
                if member.row not in ("made", "mem", "swap", "self"):
                    self.assertIn(f"\n   * - ``{member.column}``", text)

    def test_a_recording(self):
        path = str(self.proc / "recording")
        writer = store.Writer(path, 60, "", "")
        names = json.dumps({WEB["id"]: ["web", None]}).encode()
        for at in range(20):
            vms = [WEB] + ([DB] if 5 <= at < 9 else [])
            writer.add(1.79e9 + at * 60, at * 60.0, of_vms(vms, at).encode(),
                       lambda content: {"names": names})
        writer.close()
        text = self.output("export", "--from", path)
        web = [sample for family in openmetrics(text) for sample in family.samples
               if sample.name == "kvmmem_vm_mmio_accesses_total" and
               sample.labels["domain"] == "web"]
        self.assertEqual([sample.value for sample in web], list(range(20)))
        self.assertTrue(math.isclose(float(web[3].timestamp), 1.79e9 + 180))
        blocks = self.proc / "blocks"
        (self.proc / "om").write_text(text)
        status, said = prometheus.promtool("tsdb", "create-blocks-from", "openmetrics",
                                           str(self.proc / "om"), str(blocks))
        self.assertEqual(status, 0, said)
        self.assertTrue(list(blocks.iterdir()))
        # A part of it, and one VM.
        text = self.output("export", "--from", path, "--begin", "2m", "--vm", "web")
        self.assertEqual(text.count("\nkvmmem_vm_vcpus{"), 3)
        self.assertNotIn("5210", text)


class Rules(Tool):
    """Recording rules and alerts, on series of their own."""

    TESTS = prometheus.DASHBOARDS / "kvmmem.test.yml"
    ALERTS = ("TimeLost", "Swap", "GapGrows", "VcpuStuck", "LostEvents", "Overcommitted")

    def test_promtool(self):
        for args in (("check", "rules", prometheus.RULES), ("test", "rules", self.TESTS)):
            status, said = prometheus.promtool(*map(str, args))
            self.assertEqual(status, 0, said)
            self.assertIn("SUCCESS", said)
        rules, tests = (path.read_text("utf-8") for path in (prometheus.RULES, self.TESTS))
        self.assertEqual(re.findall(r"- alert: Kvmmem(\w+)", rules), list(self.ALERTS))
        for alert in self.ALERTS:
            self.assertRegex(tests, rf"alertname: Kvmmem{alert}\n +eval_time: \w+\n +exp_alerts:\n")

    def test_the_tests_would_see_it(self):
        """A rule that never fires, or always, fails its test."""
        rules = prometheus.RULES.read_text("utf-8")
        (self.proc / "kvmmem.test.yml").write_bytes(self.TESTS.read_bytes())
        for line in re.findall(r"(?m)^        expr: [^|\n]+$", rules):
            for wrong in ("vector(0) > 1", "vector(1)"):
                self.put(rules.replace(line, f"        expr: {wrong}"), "kvmmem.rules.yml")
                status, said = prometheus.promtool("test", "rules",
                                                   str(self.proc / "kvmmem.test.yml"))
                self.assertNotEqual(status, 0, f"{line} {wrong}: {said}")

    def test_names(self):
        """They are about what is exported."""
        known = {family.name + end for family in (*metrics.HOST, *metrics.VM, metrics.HUGETLB)
                 for end in ("", "_total")}
        used = set(re.findall(r"(?<![\w:])kvmmem_\w+", prometheus.RULES.read_text("utf-8")))
        self.assertEqual(used - known, set())
        self.assertGreater(len(used), 7)
