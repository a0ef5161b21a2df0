# SPDX-License-Identifier: GPL-2.0
"""500 VMs with 8 vCPUs each: what reading, printing and recording cost."""

import pathlib

import instructions
from case import TOOL, Tool, full, row, vm_row
from kvmmem_cli.columns import INITIATORS

HEADERS = {"outcome": "vm fixed fast spurious emulated mmio retried l2 reflected".split(),
           "time": "vm served total_us kvm_us asleep_us user_us p50_ns p99_ns max_ns async "
                   "stuck".split(),
           "inval": ["vm", "calls", *INITIATORS, "refaults"], "inval_kb": ["vm", *INITIATORS],
           "dirty": "vm mode since_ms write_faults split_2m dirty_kb recovered_2m".split(),
           "numa": "vm node mem_kb table_kb vcpu_pct".split()}
KINDS = ("vm", "fault", "flush", "vpid", "backing", "huge", *HEADERS)


def text(vms, at):
    """A file in which all that can grow has grown."""
    ids = [f"{number}-1" for number in range(1, vms + 1)]
    return full(vm=[vm_row(vm, f"vm{vm}", vcpus=8) for vm in ids], host={"vms": vms},
                fault=[row(vm, ept_violations=at, read=at) for vm in ids],
                flush=[row(vm, requests=at, remote=at, vcpu=at) for vm in ids],
                vpid=[row(vm, vcpu=vcpu, vpid=vcpu + 1, remote=at, flushes=at, entries=at * 9)
                      for vm in ids for vcpu in range(8)],
                backing=[row(vm, host_4k_kb=1, ept_4k_kb=at) for vm in ids],
                huge=[row(vm) for vm in ids], kinds=KINDS, headers=HEADERS,
                **{kind: [row(vm, **{**dict.fromkeys(HEADERS[kind][1:], at), "mode": "off",
                                     "stuck": 0}) for vm in ids] for kind in HEADERS})


RECORDER = pathlib.Path(__file__).with_name("recorder.py")


class Speed(Tool):
    """In millions of instructions."""

    def millions(self, *argv):
        """What a run takes."""
        return instructions.of_run(self.env, *argv)

    def test_reading_and_printing(self):
        self.put(text(500, 1))
        python = self.millions("-c", "pass")
        for limit, args in ((1000, ["--wide"]), (900, ["--json"]), (1200, ["--sample", "0.05"])):
            self.assertLess(self.millions(TOOL, *args) - python, limit, args)

    def test_an_interval_of_stat(self):
        self.put(text(500, 1))
        few, many = (self.millions(TOOL, "stat", "-i", "0.05", "-n", count)
                     for count in ("1", "3"))
        self.assertLess((many - few) / 2, 950, "an interval")

    def test_recording(self):
        """500 VMs whose every counter grows, once a second: under 2 % of a processor."""
        for at in range(7):
            self.put(text(500, 10**6 + at * 997), f"reading{at}")
        few, many = (self.millions(RECORDER, self.proc, count) for count in ("2", "7"))
        self.assertLess((many - few) / 5, 0.02 * instructions.PER_SECOND,
                        "a reading of 500 busy VMs")
