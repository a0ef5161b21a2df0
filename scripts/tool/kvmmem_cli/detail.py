# SPDX-License-Identifier: GPL-2.0
"""What is not in /proc/kvmmem: debugfs' files of each VM, and settings of the host."""

import functools
import json
import os

from . import parse

# The files of a VM that are read, and the types of rows that each is read for.
FILES = {"backing": ("slot",), "latency": ("latency", "untimed", "access", "size", "service"),
         "stuck": ("stuck",)}
# The same of vCPUs, where somebody asked for each of them.
VCPU_FILES = {"faults": ("fault",), "latency": ("service",)}
# Of those that take a walk over the guest's tables, for who asks.
WALKS = {"alignment": ("align", "reach")}
# The same of the host.
HOST_FILES = {"hooks": ("hook",), "ended": ("ended",)}

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


def place(ident, file):
    """Where a file of a VM is, below kvmmem's directory in debugfs."""
    return f"vms/{ident}/{file}"


def _tables(data, kinds):
    """{type: rows} of those types in a file of debugfs."""
    if data is None:
        return {}
    try:
        found = parse.debugfs_file(data)
    except ValueError:
        return {}
    return {kind: found[kind] for kind in kinds if kind in found}


def give(snapshot, vms, texts):
    """Put into @snapshot and @vms what @texts, by their places, tell of them."""
    if "settings" in texts:
        snapshot.settings = json.loads(texts["settings"])
    for file, kinds in HOST_FILES.items():
        snapshot.rows |= _tables(texts.get(file), kinds)
    for vm in vms:
        vm.told = functools.partial(_of_vm, vm.id, texts)


def _of_vm(ident, texts):
    found = {}
    for file, kinds in (FILES | WALKS).items():
        found |= _tables(texts.get(place(ident, file)), kinds)
    return found


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

    def texts(self, idents, walks=False):
        """All that there is of these VMs and the host, by place."""
        found = {"settings": json.dumps(self.settings()).encode()}
        # An id is a name of the module's making, but it comes from a file.
        places = [*HOST_FILES, *(place(ident, file) for ident in idents
                                 for file in (FILES | WALKS if walks else FILES)
                                 if "/" not in ident and not ident.startswith("."))]
        for where in places:
            data = _bytes(f"{self.debugfs}/{where}")
            if data is not None:
                found[where] = data
        return found

    def give_vcpus(self, vms):
        """Put into @vms what debugfs tells of their vCPUs; no memory is walked."""
        for vm in vms:
            found = {}
            for file, kinds in VCPU_FILES.items() if "/" not in vm.id else ():
                found |= _tables(_bytes(f"{self.debugfs}/{place(vm.id, file)}"), kinds)
            vm.told = functools.partial(dict, found)

    def give(self, snapshot, vms, walks=False):
        """Put into @snapshot and @vms what debugfs tells of them."""
        give(snapshot, vms, self.texts([vm.id for vm in vms], walks))
