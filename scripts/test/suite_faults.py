# SPDX-License-Identifier: GPL-2.0
"""Faults are counted exactly.

For each guest, the numbers computed beforehand, KVM's own pf_taken, the count of
the kvm_page_fault tracepoint and what kvmmem says are the same; the first three
are compared by suite_lab's checks.
"""

import debugkernel
import kmod
import procfile
import suite_lab
from suite_lab import equal

prepare = kmod.prepare


def ids_of(out, guest):
    """The VMs of a guest's section, in order."""
    return [record["id"] for record in out.records(f"guest {guest}", "guest ")]


def check_fault_row(what, row, expect, total):
    """One VM's row of type fault."""
    if expect["shadow"]:
        for column in ("ept_violations", "read", "write", "exec", "protection", "page_walk"):
            equal(f"{what}: {column}", row[column], None)
        equal(f"{what}: shadow + mmio", row["shadow"] + row["mmio"], total)
        return
    for column, word in (("ept_violations", "violations"), ("read", "read"),
                         ("write", "write"), ("exec", "exec"),
                         ("protection", "protection"), ("page_walk", "walk"),
                         ("mmio", "mmio")):
        equal(f"{what}: {column}", row[column], expect[word])
    equal(f"{what}: shadow", row["shadow"], 0)


def check_vm_row(what, row, expect, amd):
    """One VM's row of type vm."""
    mode = "shadow" if expect["shadow"] else "npt" if amd else "ept"
    equal(f"{what}: mode", row["mode"], mode)
    equal(f"{what}: comm", row["comm"], "kvmguest")
    equal(f"{what}: id", row["id"].split("-")[0], str(row["pid"]))


def check_details(what, row, faults):
    """The vCPUs' rows in debugfs sum to the VM's."""
    if row["ept_violations"] is None:
        return
    for column in ("read", "write", "exec", "protection", "page_walk"):
        equal(f"{what}: sum of {column}", sum(one[column] for one in faults), row[column])
    for one in faults:
        equal(f"{what}: accesses and causes of vCPU {one['vcpu']}",
              one["read"] + one["write"] + one["exec"],
              one["not_present"] + one["protection"])


def check_kvmmem(out):
    """Every VM of every guest."""
    suite_lab.check_guests(out)
    amd = "kvm-amd" in out["vendor"]
    for name in out.sections:
        if not name.startswith("guest "):
            continue
        guest = name[len("guest "):]
        proc = procfile.ProcFile(out[f"proc {guest}"])
        equal("lost", proc.host["lost"], 0)
        audit = procfile.table(out[f"audit {guest}"])
        for ident, expect, result in zip(ids_of(out, guest),
                                         out.records(name, "expect "),
                                         out.records(name, "result "), strict=True):
            tids = [int(tid) for tid in str(result["tids"]).split(",")]
            row = proc.find("fault", vm=ident)
            check_fault_row(guest, row, expect, suite_lab.traced(out, tids, amd)[0])
            check_vm_row(guest, proc.find("vm", id=ident), expect, amd)
            check_details(guest, row, procfile.table(out[f"faults {ident}"]))
            counters = [one for one in audit if one["vm"] == ident]
            assert counters, f"{guest}: nothing in audit"
            for one in counters:
                equal(f"{guest}: audit of {one['counter']}", one["difference"], 0)
        equal("vms", proc.host["vms"], len(proc.all("vm")))
        equal("guest_kb", proc.host["guest_kb"], sum(vm["mem_kb"] for vm in proc.all("vm")))


def with_kvmmem(scenario):
    """A scenario of suite_lab's guests, with kvmmem loaded and asked."""
    lines = scenario.script.split("\n")
    lines.insert(1, "keep_kvmmem")
    script = "\n".join(lines).replace("--then '", """--then '
    cat /sys/kernel/debug/kvmmem/registry >/dev/null # its directories are made
    section "proc $GUEST" cat /proc/kvmmem
    section "audit $GUEST" cat /sys/kernel/debug/kvmmem/audit
    for id in $KVMGUEST_IDS; do
        section "faults $id" cat /sys/kernel/debug/kvmmem/vms/$id/faults
    done""")
    fixed = []
    for line in script.split("\n"):
        if line.startswith('section "guest '):
            fixed.append("export GUEST=" + line.split('"')[1][len("guest "):])
        fixed.append(line)
    return suite_lab.Scenario(f"faults_{scenario.name}", "\n".join(fixed), check_kvmmem,
                              host=scenario.host)


def check_plugged(out):
    """KVM's entry still says that there is a device; what is there now is memory."""
    for caching in "YN":
        expect, = out.records(f"guest {caching}", "expect ")
        proc = procfile.ProcFile(out[f"proc {caching}"])
        row = proc.find("fault", vm=expect["id"])
        for column, word in (("ept_violations", "violations"), ("read", "read")):
            equal(f"{caching}: {column}", row[column], expect[word] + 2)
        for column in ("write", "exec", "protection"):
            equal(f"{caching}: {column}", row[column], expect[column])
        equal(f"{caching}: mmio", row["mmio"], 8)
        equal(f"{caching}: served", proc.find("time", vm=expect["id"])["served"],
              row["ept_violations"])
        for one in procfile.table(out[f"audit {caching}"]):
            equal(f"{caching}: audit of {one['counter']}", one["difference"], 0)
        equal(f"{caching}: lost", proc.host["lost"], 0)


PLUGGED = """
for caching in Y N; do
    load_kvm kvm.mmio_caching=$caching
    keep_kvmmem
    section "guest $caching" kvmguest --pages 8 --mmio 8 --mmio-pages 2 --rounds 2 --plug --then "
        section 'proc $caching' cat /proc/kvmmem
        section 'audit $caching' cat /sys/kernel/debug/kvmmem/audit"
done
"""

SCENARIOS = [with_kvmmem(one) for one in suite_lab.SCENARIOS
             if one.check is suite_lab.check_guests]


def check_devices(out):
    """Devices behind eventfds and slow ones: MMIO, and no part of the time of faults."""
    for guest in ("eventfd", "slow"):
        expect, = out.records(f"guest {guest}", "expect ")
        result, = out.records(f"guest {guest}", "result ")
        proc = procfile.ProcFile(out[f"proc {guest}"])
        row = proc.find("fault", vm=expect["id"])
        equal(f"{guest}: ept_violations", row["ept_violations"], expect["violations"])
        equal(f"{guest}: mmio", row["mmio"], 32)
        equal(f"{guest}: exits to the VMM", result["mmio_exits"], 32 if guest == "slow" else 0)
        time = proc.find("time", vm=expect["id"])
        equal(f"{guest}: served", time["served"], row["ept_violations"])
        assert time["total_us"] < 32 * 40 * 1000 / 2, f"{guest}: {time}"
        for one in procfile.table(out[f"audit {guest}"]):
            equal(f"{guest}: audit of {one['counter']}", one["difference"], 0)
    hooks = {row["name"]: row["events"] for row in procfile.table(out["hooks"])}
    # The first access to a page is a fault; on AMD each has the instruction emulated.
    equal("seen without an instruction", hooks["kvm_fast_mmio"],
          0 if "amd" in out["vendor"] else 28)


DEVICES = """
load_kvm
load_kvmmem
section vendor kvm_vendor
device() {
    local name=$1
    shift
    section "guest $name" kvmguest --pages 8 --mmio 32 --mmio-pages 4 "$@" --then "
        section 'proc $name' cat /proc/kvmmem
        section 'audit $name' cat /sys/kernel/debug/kvmmem/audit"
}
device eventfd --ioeventfd
section hooks cat /sys/kernel/debug/kvmmem/hooks
device slow --mmio-ms 40
"""


def check_busy(out):
    """Slots change all the while: KVM makes its entries for MMIO once more, and counts it.

    Older KVM has the guest try once more when it may not keep what it knows of an address."""
    for caching in "YN":
        expect, = out.records(f"guest {caching}", "expect ")
        result, = out.records(f"guest {caching}", "result ")
        equal(f"{caching}: exits to the VMM", result["mmio_exits"], 500)
        proc = procfile.ProcFile(out[f"proc {caching}"])
        row = proc.find("fault", vm=expect["id"])
        assert result["toggles"] > 100, f"{caching}: nothing changed meanwhile: {result}"
        assert 500 <= row["mmio"] <= 1000, f"{caching}: {row}"
        exits = sum(one["count"] for one in out.records(f"trace {caching}", "trace ")
                    if one["exit_reason"] in EXITS)
        if not out["release"].startswith("5.10."):      # which traces reasons by name
            equal(f"{caching}: exits for faults", exits, row["ept_violations"] + row["mmio"])
        for column in ("ept_violations", "read", "write", "exec", "protection"):
            word = "violations" if column == "ept_violations" else column
            equal(f"{caching}: {column}", row[column], expect[word])
        for one in procfile.table(out[f"audit {caching}"]):
            equal(f"{caching}: audit of {one['counter']}", one["difference"], 0)


# SVM_EXIT_NPF, EXIT_REASON_EPT_VIOLATION, EXIT_REASON_EPT_MISCONFIG
EXITS = (0x400, 48, 49)
BUSY = """
section release uname -r
for caching in Y N; do
    load_kvm kvm.mmio_caching=$caching
    keep_kvmmem
    trace_count_start kvm:kvm_exit exit_reason
    section "guest $caching" kvmguest --pages 64 --mmio 500 --mmio-pages 2 --toggle-display --then "
        section 'proc $caching' cat /proc/kvmmem
        section 'audit $caching' cat /sys/kernel/debug/kvmmem/audit"
    section "trace $caching" trace_count_stop kvm:kvm_exit
done
"""
SCENARIOS.append(suite_lab.Scenario("faults_busy_slots", BUSY, check_busy, limit=60))
SCENARIOS.append(suite_lab.Scenario("faults_devices", DEVICES, check_devices, limit=60))
# On 5.10 nothing tells of an entry that is too old.
SCENARIOS.append(suite_lab.Scenario("faults_plugged", PLUGGED, check_plugged, limit=60,
                                    kernels=("6.1", "6.12", "7.3", *debugkernel.NAMES)))
