# SPDX-License-Identifier: GPL-2.0
"""Debian's Prometheus scrapes the exporter: values, dashboards, load, coming and going."""

import json
import os
import pathlib
import re
import time

import instructions
import prometheus
from case import DB, WEB, vm_row
from exporting import Scraped, of_vms

# Of 500 VMs, long enough for the load to be steady; a minute by --full.
SECONDS = int(os.environ.get("KVMMEM_SCRAPE_SECONDS", "15"))
LIMIT = 0.10        # of a processor
FIELDS = {"__rate_interval": "10s", "instance": ".*"}


def queries(board):
    """(panel, query) of a dashboard, and those of its variables."""
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            query, label = re.fullmatch(r"label_values\((.*), (\w+)\)",
                                        variable["query"]["query"]).groups()
            yield f"variable {variable['name']}", f"count by ({label}) ({query})"


class Host(Scraped):
    """One exporter and one Prometheus."""

    def test_values_and_dashboards(self):
        # One host with several VMs, of which one has a name that wants to be obeyed.
        vms = [WEB, DB, vm_row("7-1", vcpus=2)]
        names = ("web", "db", 'a"} 1\nkvmmem_up 0 \\')
        for vm, name in zip(vms, names):
            self.command_line(vm["pid"], "qemu", "-name", name)
        files = {at: of_vms(vms, at) for at in (1000000, 1000777, 1003000)}
        self.put(files[1000000])
        run, where = self.start()
        self.ready(where)
        server = self.prometheus(where)
        for at in list(files)[1:]:
            scraped = prometheus.wait_for(lambda: server.value("count_over_time(up[1h])")) or 0
            self.put(files[at])
            prometheus.wait_for(lambda was=scraped: server.value("count_over_time(up[1h])") >
                                was + 3)
        # A query has what the file has.
        for query, value in (
                ('kvmmem_vm_ept_violations_total{domain="web",access="read"}', 1003000),
                ('kvmmem_vm_entries_total{domain="web"}', 4 * 9 * 1003000),
                ('sum(kvmmem_vm_backing_bytes{domain="db",layer="ept"})', (1003000 + 2048) * 1024),
                ('kvmmem_vm_time_lost_seconds_total{domain="db",where="kvm"}', 1.003),
                ("kvmmem_vms", 3), ("kvmmem_up", 1), ("kvmmem_lost_total", 0),
                ('kvmmem_vm_vcpus * on (domain, uuid) group_left (vm) '
                 'kvmmem_vm_info{vm="5210-14"}', 16)):
            self.assertEqual(server.value(query), value, query)
        self.assertEqual(set(server.labels("domain")), set(names))
        self.check_dashboards(server, where)
        # Two formats, and what Prometheus itself took.
        self.assertTrue(server.value('scrape_samples_scraped') > 250)
        self.check_module_that_goes(server)
        self.assertIsNone(run.poll())

    def check_dashboards(self, server, where):
        """Each query has data, and names only what is exported or recorded."""
        seen = 0
        for path in sorted((prometheus.DASHBOARDS / "grafana").glob("*.json")):
            board = json.loads(path.read_text())
            for title, query in queries(board):
                fields = {**FIELDS, "domain": "db"}
                if "instance=\"$instance\"" in query:
                    fields["instance"] = where
                query = re.sub(r"\$(\w+)", lambda match, fields=fields: fields[match[1]], query)
                self.assertTrue(server.ask(query), f"{path.name}, {title}: {query}")
                seen += 1
            self.assertEqual(len({panel["id"] for panel in board["panels"]}),
                             len(board["panels"]))
        self.assertGreater(seen, 50)

    def check_module_that_goes(self, server):
        """Unloaded and loaded again under the exporter."""
        (self.proc / "kvmmem").rename(self.proc / "away")
        prometheus.wait_for(lambda: server.value("kvmmem_up") == 0)
        self.assertEqual(server.ask('{__name__=~"kvmmem_vm.*"}'), [])
        self.assertRegex(self.said(), r"\Akvmmem: the module was unloaded[^\n]*\n\Z")
        (self.proc / "away").rename(self.proc / "kvmmem")
        prometheus.wait_for(lambda: server.value("kvmmem_up") == 1)
        self.assertEqual(server.value('kvmmem_vm_vcpus{domain="web"}'), 4)
        # A module of the future is none that can be read.
        self.put("# kvmmem 2\n")
        prometheus.wait_for(lambda: server.value("kvmmem_up") == 0)
        self.assertIn("schema 2, but this tool reads schema 1", self.said())

    def busy(self):
        """500 VMs with 8 vCPUs each, whose counters have come to a number."""
        vms = [vm_row(f"{number}-1", f"vm{number}", vcpus=8) for number in range(1, 501)]
        self.names(*vms)
        return lambda at: self.put(of_vms(vms, 10 ** 6 + 997 * at))

    def test_load(self):
        """Prometheus scrapes them every second, or as fast as the exporter can."""
        come_to = self.busy()
        come_to(0)
        _, where = self.start()
        self.ready(where)
        server = self.prometheus(where)
        begin, at = time.monotonic(), 0
        while time.monotonic() - begin < SECONDS:
            at += 1
            come_to(at)
            time.sleep(0.6)
        prometheus.wait_for(
            lambda: (server.value("count_over_time(kvmmem_up[1h])") or 0) >= 3)
        # The last one may have been late, where others have the machine.
        self.assertGreater(server.value("max_over_time(scrape_samples_scraped[1h])"), 30000)
        self.assertEqual(server.value("max_over_time(up[1h])"), 1)

    def cost(self, come_to, scrapes):
        """What an exporter takes for so many scrapes, of files that are all different."""
        come_to(0)
        run, where = self.start(program=instructions.COUNTED, env=instructions.ENV)
        before = self.said()
        for at in range(scrapes):
            come_to(at)
            time.sleep(0.21)        # after which a reading is none of before
            self.assertGreater(len(prometheus.samples(self.ready(where))), 30000)
        run.terminate()
        run.wait(120)
        return instructions.millions(self.said().removeprefix(before))

    def test_what_a_scrape_costs(self):
        """A scrape a second takes less than a share of a processor."""
        come_to = self.busy()
        few, many = self.cost(come_to, 1), self.cost(come_to, 4)
        share = (many - few) / 3 / instructions.PER_SECOND
        print(f"a scrape of 500 VMs: {(many - few) / 3:.0f} million instructions, "
              f"{share:.1%} of a processor at one a second", flush=True)
        self.assertLess(share, LIMIT)
