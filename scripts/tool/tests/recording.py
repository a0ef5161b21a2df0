# SPDX-License-Identifier: GPL-2.0
"""A recording of two hours in which something happens, for tests of reports."""

import json

from case import BACKING, DB, HOST, WEB, full, row, vm_row
from kvmmem_cli import store

SPIKE = 80          # the reading in which much happens
READINGS = 120
HEADERS = {"time": "vm served total_us kvm_us asleep_us user_us".split(),
           "inval": "vm calls vmm reclaim ksm thp migrate numa_scan in_run fork protect other "
                    "refaults".split(),
           "dirty": "vm mode since_ms split_2m recovered_2m".split()}
NAMES = json.dumps({WEB["id"]: ["web", None], DB["id"]: ["db", None]}).encode()
EVIL = vm_row("7-1", "<script>window.is_owned=1</script>")


def reading(at):
    """The reading of that number, a minute after the one before."""
    vms = [WEB, DB] + ([EVIL] if 20 <= at < 60 else [])
    # KSM takes much away in one minute, and the guest wants it back.
    much = 600000 if at >= SPIKE else 0
    grown = {WEB["id"]: at * 600, DB["id"]: at * 300 + much, EVIL["id"]: at}
    text = full(
        kinds=("vm", "fault", "flush", "vpid", "backing", "huge", "time", "inval", "dirty"),
        headers=HEADERS, vm=vms, host={"vms": len(vms), "mem_total_kb": HOST["mem_total_kb"]},
        fault=[row(vm, ept_violations=count, read=count) for vm, count in grown.items()],
        flush=[row(vm, vcpu=count // 2) for vm, count in grown.items()],
        vpid=[row(vm, vcpu=0, vpid=1, remote=count // 2, flushes=count // 2, entries=count)
              for vm, count in grown.items()],
        backing=[{**BACKING[0], "ept_2m_kb": at * 256}, BACKING[1]], huge=[],
        time=[row(vm, total_us=count * 100, kvm_us=count * 70) for vm, count in grown.items()],
        inval=[row(vm, calls=count, ksm=count - at * 200 if vm == DB["id"] else 0,
                   vmm=at * 200 if vm == DB["id"] else count) for vm, count in grown.items()],
        dirty=[row(DB["id"], mode="log" if 90 <= at < 100 else "off")])
    return text.encode()


def write(path):
    """The recording."""
    writer = store.Writer(path, 60, "6.1", "0")
    for at in range(READINGS):
        if at == 110:
            writer.nothing(1.79e9 + at * 60 - 30, at * 60 - 30.0, "the module is not loaded")
        writer.add(1.79e9 + at * 60, at * 60.0, reading(at), lambda content: {"names": NAMES})
    writer.close()
