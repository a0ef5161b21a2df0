# SPDX-License-Identifier: GPL-2.0
"""PCP's OpenMetrics agent reads the exporter, by the file that comes with it."""

import pcp
import prometheus
from case import DB, WEB
from exporting import Export, of_vms
from kvmmem_cli.columns import CAUSES


class Agent(Export):
    """pmcd, the agent, and pminfo."""

    def test_values(self):
        self.put(of_vms([WEB, DB], 4711))
        self.command_line(4121, "qemu", "-name", 'we"b\nx')
        _run, where = self.start()
        self.ready(where)
        url = (prometheus.DASHBOARDS / "kvmmem.url").read_text("utf-8")
        self.assertIn("127.0.0.1:10477", url)
        agent = pcp.Pcp(self.proc / "pcp", url.replace("127.0.0.1:10477", where))
        self.addCleanup(agent.stop)
        prometheus.wait_for(lambda: "kvmmem_vm_size_bytes" in agent.pminfo("openmetrics"))
        self.assertEqual(agent.values("kvmmem_vm_size_bytes"), {
            'domain:we"b\nx uuid:': str(WEB["mem_kb"] * 1024),
            "domain:qemu-system-x86 uuid:": str(DB["mem_kb"] * 1024)})
        self.assertEqual(agent.values("kvmmem_host_tlb_flushes_total"),
                         {f"cause:{cause}": "4711" for cause in CAUSES})
