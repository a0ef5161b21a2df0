# SPDX-License-Identifier: GPL-2.0
"""Most of a VM's memory is on another node than its vCPUs."""

from . import Found

WORD, WEIGHT, SCOPE = "remote memory", 3, "vm"
ABOUT = "memory on the wrong NUMA node"
THRESHOLD = 0.5
LEAST = 4096                # KiB
SOURCE = "more than half of all accesses leave the node, if the guest touches all alike"


def check(seen):
    """The chance that an access is local."""
    if "numa" not in seen.snapshot.headers:
        seen.need(None, "'numa' rows, which this kvmmem does not print")
    rows = [row for row in seen.vm.rows["numa"]
            if row.get("mem_kb") is not None and row.get("vcpu_pct") is not None]
    memory = sum(row["mem_kb"] for row in rows)
    running = sum(row["vcpu_pct"] for row in rows)
    if len(rows) < 2 or memory < LEAST or not running:
        return
    local = sum(row["mem_kb"] / memory * row["vcpu_pct"] / running for row in rows)
    if local < 1 - THRESHOLD:
        yield Found(
            f"on average a vCPU has {1 - local:.0%} of the memory on another NUMA node.",
            [f"node {row.get('node')}: {row['mem_kb'] / memory:.0%} of the memory, "
             f"{row['vcpu_pct'] / running:.0%} of the vCPUs" for row in rows],
            "pin vCPUs and memory to one node (libvirt: numatune and vcpupin), or move its "
            "memory: migratepages")
