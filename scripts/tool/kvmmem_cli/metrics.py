# SPDX-License-Identifier: GPL-2.0
"""What is exported to Prometheus: the families of metrics, and where their values are.

Base units, _total on what only grows, and a label where parts sum to a whole. A value
that is unknown has no sample: never a 0.
"""

import collections
import re

from .columns import CAUSES, INITIATORS, SIZES, SINGLE

# kind is Prometheus's type. Of each member: what its own label says, the suffix of its
# name if it has one, and the type of row and the column where its value is.
Family = collections.namedtuple("Family", "name kind help unit label members")
Member = collections.namedtuple("Member", "value suffix row column")

UNITS = {"_kb": 1024, "_us": 1e-6, "_ms": 1e-3, "_ns": 1e-9, "_pct": 1e-2}


def factor(row, column):
    """What a column is to be multiplied by for the base unit."""
    if row == "inval_kb":
        return 1024
    return next((number for end, number in UNITS.items() if column.endswith(end)), 1)


def _one(name, kind, where, text, unit=""):
    row, column = where.split(".")
    return Family(f"kvmmem_{name}", kind, text, unit, "", (Member("", "", row, column),))


def _parts(name, kind, label, row, columns, text, unit=""):
    """@columns are {value of the label: column}, or names that are both."""
    if not isinstance(columns, dict):
        columns = {column: column for column in columns}
    return Family(f"kvmmem_{name}", kind, text, unit, label,
                  tuple(Member(value, "", row, column) for value, column in columns.items()))


ACCESSES = ("read", "write", "exec")
WHERE = {"kvm": "kvm_us", "asleep": "asleep_us", "user": "user_us"}
OUTCOMES = ("fixed", "spurious", "emulated", "retried")

# Of each VM, labelled with its domain and uuid. "made" rows are computed in made().
VM = (
    _one("vm_vcpus", "gauge", "vm.vcpus", "vCPUs that are online."),
    _one("vm_size_bytes", "gauge", "vm.mem_kb", "Size of the VM's memory slots.", "bytes"),
    _parts("vm_memory_bytes", "gauge", "state", "made", ("resident", "swapped", "absent"),
           "The VM's memory slots by where their content is; with vm_private the sum is vm_size.",
           "bytes"),
    _one("vm_ksm_bytes", "gauge", "vm.ksm_kb", "Resident memory that KSM has merged.", "bytes"),
    _one("vm_device_bytes", "gauge", "vm.device_kb",
         "Device memory in the VM's slots, which is not in vm_size.", "bytes"),
    _one("vm_private_bytes", "gauge", "vm.private_kb", "Memory in the VM's guest_memfds.", "bytes"),
    Family("kvmmem_vm_backing_bytes", "gauge",
           "Memory by the page size that maps it: by the host, and by KVM for the guest.", "bytes",
           ("layer", "page_size"),
           tuple(Member((layer, size), "", "backing", f"{layer}_{size}_kb")
                 for layer in ("host", "ept") for size in SIZES)),
    _one("vm_ept_table_bytes", "gauge", "backing.ept_table_kb",
         "Memory that KVM's tables for the VM take.", "bytes"),
    _one("vm_walk_age_seconds", "gauge", "backing.age_ms",
         "Age of the walk that resident, swapped and host backing are from.", "seconds"),
    _parts("vm_ept_violations", "counter", "access", "fault", ACCESSES,
           "EPT violations (nested page faults) by access."),
    _one("vm_protection_violations", "counter", "fault.protection",
         "Of ept_violations: accesses that an entry did not allow."),
    _one("vm_page_walk_violations", "counter", "fault.page_walk",
         "Of ept_violations: by the guest's own page-table walk."),
    _one("vm_mmio_accesses", "counter", "fault.mmio",
         "Accesses that no memory slot backs, to emulated devices."),
    _one("vm_shadow_faults", "counter", "fault.shadow",
         "Page faults of the guest that shadow paging intercepted."),
    _parts("vm_fault_outcomes", "counter", "outcome", "outcome", OUTCOMES,
           "Faults by what KVM's MMU made of them."),
    _one("vm_fast_faults", "counter", "outcome.fast",
         "Of fault_outcomes: served without KVM's lock."),
    _one("vm_nested_violations", "counter", "outcome.l2",
         "Of ept_violations: those of nested guests."),
    _one("vm_reflected_violations", "counter", "outcome.reflected",
         "Of nested_violations: those that the nested hypervisor was given to serve."),
    _parts("vm_time_lost_seconds", "counter", "where", "time", WHERE,
           "Time of vCPUs that faults took, by where it was spent.", "seconds"),
    Family("kvmmem_vm_fault_service_seconds", "summary",
           "Service time of faults; quantiles, of all faults so far, are right to a factor of 2.",
           "seconds", "quantile",
           (Member("0.5", "", "time", "p50_ns"), Member("0.99", "", "time", "p99_ns"),
            Member("", "_sum", "time", "total_us"), Member("", "_count", "time", "served"))),
    _one("vm_fault_service_max_seconds", "gauge", "time.max_ns",
         "The longest fault so far.", "seconds"),
    _one("vm_async_faults", "counter", "time.async",
         "Faults whose page a worker of KVM's fetched."),
    _one("vm_stuck_vcpus", "gauge", "time.stuck", "vCPUs that fault without getting on, now."),
    _parts("vm_invalidations", "counter", "initiator", "inval", INITIATORS,
           "How often memory was taken away from the guest, by whom."),
    _parts("vm_invalidated_bytes", "counter", "initiator", "inval_kb", INITIATORS,
           "Memory slots that those invalidations covered.", "bytes"),
    _one("vm_refaults", "counter", "inval.refaults",
         "Violations on pages that were taken away shortly before; an estimate."),
    _one("vm_remote_flush_requests", "counter", "flush.requests",
         "How often a flush of the VM's vCPUs was asked for."),
    _one("vm_remote_flushes", "counter", "flush.remote",
         "How often such a request interrupted a running vCPU."),
    _one("vm_vcpu_flushes", "counter", "flush.vcpu",
         "TLB flushes of all causes, by KVM's own count."),
    _one("vm_entries", "counter", "vpid.entries", "VM entries."),
    _parts("vm_tlb_flushes", "counter", "cause", "vpid", CAUSES,
           "Full TLB flushes of a hardware tag, by cause."),
    _one("vm_single_flushes", "counter", "vpid.single", "TLB flushes of one address."),
    _one("vm_range_flushes", "counter", "vpid.range", "TLB flushes of address ranges."),
    _parts("vm_huge_mappings", "counter", "event", "huge",
           ("installed", "nx_split", "dirty_log_split", "recovered", "zapped", "table_zapped"),
           "Huge mappings of KVM's that came and went."),
    _parts("vm_dirty_logging", "gauge", "mode", "made", ("off", "log", "ring"),
           "1 at how the VM's writes are logged; only of VMs that are or were."),
    _one("vm_dirty_bytes", "gauge", "dirty.dirty_kb",
         "Memory that is dirty and was not fetched yet.", "bytes"),
    _one("vm_dirty_write_faults", "counter", "dirty.write_faults",
         "Violations by writes to pages protected for dirty logging."),
    _one("vm_dirty_fault_seconds", "counter", "dirty.time_us",
         "Service time of dirty_write_faults.", "seconds"),
    _one("vm_dirty_split_mappings", "counter", "dirty.split_2m",
         "2M mappings that were split for dirty logging."),
    _one("vm_dirty_recovered_mappings", "counter", "dirty.recovered_2m",
         "Of dirty_split_mappings: huge again."),
    _one("vm_dirty_ring_full", "counter", "dirty.ring_full",
         "Exits since a ring of dirty pages was full."),
    _one("vm_unsync_tables", "gauge", "older.unsync",
         "Tables of KVM's older MMU that the guest may have changed."),
    _one("vm_zapped_tables", "counter", "older.zapped",
         "Tables of KVM's older MMU that were removed."),
    _one("vm_rmap_bytes", "gauge", "older.rmap_kb",
         "Memory of the slots' reverse mappings.", "bytes"),
)

# Of each VM and NUMA node; the label is "node".
NODE = (
    _one("vm_node_memory_bytes", "gauge", "numa.mem_kb",
         "Resident memory by NUMA node.", "bytes"),
    _one("vm_node_table_bytes", "gauge", "numa.table_kb",
         "Memory of KVM's tables by NUMA node.", "bytes"),
    _one("vm_node_vcpus_ratio", "gauge", "numa.vcpu_pct",
         "Share of the VM's vCPUs that run on the NUMA node or ran there last.", "ratio"),
)

# Of each vCPU, on request; the label is "vcpu".
VCPU = (
    _parts("vcpu_ept_violations", "counter", "access", "fault", ACCESSES,
           "EPT violations by access."),
    _parts("vcpu_time_lost_seconds", "counter", "where", "service",
           {"kvm": "kvm_ns", "asleep": "asleep_ns", "user": "user_ns"},
           "Time that faults took, by where it was spent.", "seconds"),
    _one("vcpu_entries", "counter", "vpid.entries", "VM entries."),
    _parts("vcpu_tlb_flushes", "counter", "cause", "vpid", CAUSES,
           "Full TLB flushes of a hardware tag, by cause."),
)

INFO = Family("kvmmem_vm", "info", "Which VM has this domain and uuid at the moment.", "", "", ())
HOST_INFO = Family("kvmmem_host", "info", "Facts about the host.", "", "", ())

# Of the host; "total" counts VMs that ended, too, so that none is lost between scrapes.
UP = _one("up", "gauge", "self.up", "1 if the module could be read, 0 otherwise.")
SCRAPE = _one("scrape_seconds", "gauge", "self.seconds", "Time that reading the module took.",
              "seconds")
HOST = (
    _one("lost", "counter", "host.lost",
         "Events that were not counted; the counts are right while it is 0."),
    _one("vms", "gauge", "host.vms", "VMs that live."),
    _one("host_guest_bytes", "gauge", "host.guest_kb", "Memory slots of all VMs.", "bytes"),
    _parts("host_memory_bytes", "gauge", "state", "mem", ("available", "used"),
           "The host's memory; the sum is all of it.", "bytes"),
    _parts("host_swap_bytes", "gauge", "state", "swap", ("used", "free"),
           "The host's swap space; the sum is all of it.", "bytes"),
    _one("vms_ended", "counter", "total.vms_ended", "VMs that have ended since load."),
    _one("vcpus_ended", "counter", "total.vcpus_ended", "vCPUs that those had."),
    _parts("host_ept_violations", "counter", "access", "total", ACCESSES,
           "EPT violations of all VMs since load, by access."),
    _one("host_mmio_accesses", "counter", "total.mmio", "The same of accesses to MMIO."),
    _one("host_shadow_faults", "counter", "total.shadow", "The same of faults of shadow paging."),
    _one("host_entries", "counter", "total.entries", "VM entries of all VMs since load."),
    _parts("host_tlb_flushes", "counter", "cause", "total", CAUSES,
           "Full TLB flushes of all VMs since load, by cause."),
    _one("host_faults_served", "counter", "total.served",
         "Faults of all VMs since load that are over."),
    _one("host_time_lost_seconds", "counter", "total.time_us",
         "Time that those took.", "seconds"),
)
HUGETLB = Family("kvmmem_host_hugetlb_bytes", "gauge",
                 "Pools of hugetlb pages; used and free are all of each.", "bytes",
                 ("page_size", "state"), ())
POOLS = {2048: "2m", 1048576: "1g"}


def made_of_vm(vm):
    """The row "made" of a VM."""
    row, size = {}, vm.one("vm", "mem_kb")
    resident, swapped = vm.one("vm", "resident_kb"), vm.one("vm", "swap_kb")
    if None not in (size, resident, swapped):
        # The walk is older than the size: a slot may be gone by now.
        row = {"resident": resident * 1024, "swapped": swapped * 1024,
               "absent": max(0, size - resident - swapped -
                             (vm.one("vm", "private_kb") or 0)) * 1024}
    mode = vm.one("dirty", "mode")
    if mode is not None:
        row |= {one: int(one == mode) for one in ("off", "log", "ring")}
    return row


def rows_of_vm(vm):
    """{type: its only row, or the sums of several}."""
    rows = {kind: vm.rows[kind][0] for kind in ("vm", *SINGLE) if vm.rows[kind]}
    if vm.rows["vpid"]:
        rows["vpid"] = {column: vm.total("vpid", column)
                        for column in ("entries", *CAUSES, "single", "range")}
    rows["made"] = made_of_vm(vm)
    return rows


def rows_of_vcpus(vm):
    """{vcpu: {type: row}}."""
    found = collections.defaultdict(dict)
    for kind in ("fault", "service"):
        for row in vm.detail.get(kind, ()):
            found[row.get("vcpu")][kind] = row
    for row in vm.tags:
        found[row.get("vcpu")]["vpid"] = row
    return found


def rows_of_host(snapshot):
    """{type: row} of the host."""
    host = snapshot.host
    rows = {"host": host, "total": (snapshot.rows.get("total") or [{}])[0]}
    for what, part, rest in (("mem", "available", "used"), ("swap", "used", "free")):
        total, known = host.get(f"{what}_total_kb"), host.get(f"{what}_{part}_kb")
        if None not in (total, known):
            rows[what] = {part: known * 1024, rest: max(0, total - known) * 1024}
    return rows


def pools(host):
    """((page size, state), bytes) of the pools of hugetlb pages."""
    for key, total in host.items():
        size = re.fullmatch(r"hugepages_(\d+)kB_total", key)
        free = size and host.get(f"hugepages_{size[1]}kB_free")
        if free is not None and total is not None:
            kb = int(size[1])
            name = POOLS.get(kb, f"{kb}k")
            yield (name, "free"), free * kb * 1024
            # The pool may have grown between the two.
            yield (name, "used"), max(0, total - free) * kb * 1024
