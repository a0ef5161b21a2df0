# SPDX-License-Identifier: GPL-2.0
"""What is not in /proc/kvmmem: debugfs' files of each VM, and settings of the host."""

import os

from . import parse

# The files of a VM that are read, and the type of row that each is read for.
FILES = {"backing": ("slot",), "latency": ("latency", "untimed"), "stuck": ("stuck",)}

# What the host is set to, besides the facts that the module tells: where it stands.
SETTINGS = {
    "numa_balancing": "{proc}/sys/kernel/numa_balancing",
    "overcommit_memory": "{proc}/sys/vm/overcommit_memory",
    "swappiness": "{proc}/sys/vm/swappiness",
    "nx_huge_pages": "{sys}/module/kvm/parameters/nx_huge_pages",
    "khugepaged_sleep_ms": "{sys}/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs",
    "ksm_pages_to_scan": "{sys}/kernel/mm/ksm/pages_to_scan",
    "service_time": "{sys}/module/kvmmem/parameters/service_time",
    "huge_flows": "{sys}/module/kvmmem/parameters/huge_flows",
    "flush_accounting": "{sys}/module/kvmmem/parameters/flush_accounting",
}


def _bytes(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def _in_list(text):
    """How many there are in a list like 0-3,8; None if it is none."""
    try:
        bounds = [part.split("-") for part in text.split(",")]
        return sum(int(part[-1]) - int(part[0]) + 1 for part in bounds)
    except ValueError:
        return None


class Detail:
    """Reads them, where they can be read."""

    def __init__(self, proc):
        self.proc = proc
        # The tests put a directory in the place of /sys.
        self.sys = os.environ.get("KVMMEM_SYS", "/sys")
        self.debugfs = f"{self.sys}/kernel/debug/kvmmem"

    def settings(self):
        """{name: word}; what cannot be read is left out."""
        found = {}
        for name, path in SETTINGS.items():
            data = _bytes(path.format(proc=self.proc, sys=self.sys))
            if data is not None:
                found[name] = parse.unescape(data.strip())
        cpus = _bytes(f"{self.sys}/devices/system/cpu/online")
        if cpus is not None:
            found["cpus"] = _in_list(parse.unescape(cpus.strip()))
        return found

    def give(self, snapshot, vms, files=tuple(FILES)):
        """Put into @snapshot and @vms what debugfs tells of them."""
        snapshot.settings = self.settings()
        for vm in vms:
            # An id is a name of the module's making, but it comes from a file.
            if "/" in vm.id or vm.id.startswith("."):
                continue
            for name in files:
                vm.detail |= self._tables(f"{self.debugfs}/vms/{vm.id}/{name}", FILES[name])
        snapshot.rows |= self._tables(f"{self.debugfs}/hooks", ("hook",))

    @staticmethod
    def _tables(path, kinds):
        data = _bytes(path)
        if data is None:
            return {}
        try:
            found = parse.debugfs_file(data)
        except ValueError:
            return {}
        return {kind: found.get(kind, []) for kind in kinds if kind in found}
