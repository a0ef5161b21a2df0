# SPDX-License-Identifier: GPL-2.0
"""VMs come and go under the exporter and Prometheus."""

import pathlib
import re
import time

import prometheus
from case import vm_row
from exporting import Scraped, of_vms


def resident_kb(pid):
    """Its memory."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1])


class Life(Scraped):
    """Nothing is left of a VM that ended."""

    def test_coming_and_going(self):
        """10,000 VMs, 100 at a time: no more series than those have, and no more memory."""
        def scrape(first):
            vms = [vm_row(f"{number}-1", f"vm{number}") for number in range(first, first + 100)]
            self.put(of_vms(vms, first))
            return vms

        scrape(1)
        run, where = self.start()
        found = prometheus.samples(self.ready(where))
        series, memory = len(found), []
        server = self.prometheus(where)
        for first in range(101, 10001, 100):
            vms = scrape(first)
            time.sleep(0.21)        # after which a reading is none of before
            found = prometheus.samples(prometheus.get(f"http://{where}/metrics"))
            names = set(re.findall(r'domain="(\w+)"', "\n".join(found)))
            self.assertEqual(names, {vm["comm"] for vm in vms})
            self.assertEqual(len(found), series)
            if first % 1000 == 101:
                memory.append(resident_kb(run.pid))
        # Prometheus has seen those of a second only, and dropped those that went away.
        prometheus.wait_for(lambda: server.value(
            'count({__name__=~"kvmmem_vm_vcpus", domain=~"vm99.*|vm10000"})') == 100)
        self.assertEqual(server.value("count(kvmmem_vm_vcpus)"), 100)
        live = server.value('count({__name__=~"kvmmem.*"})')
        self.assertLessEqual(live, series)
        print(f"memory after each 1000 VMs, KiB: {memory}", flush=True)
        # What it took for a VM that went away would be 100 KiB in each 1000 at least.
        self.assertLess(min(memory[5:]) - min(memory[1:4]), 700)
