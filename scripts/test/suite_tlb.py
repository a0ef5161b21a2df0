# SPDX-License-Identifier: GPL-2.0
"""Flushes are counted by tag and cause.

Each guest drives one cause. The sum over causes and tags is what KVM counts in
tlb_flush, for each vCPU; the cause that was driven shows, and others do not.
"""

import dataclasses

import debugkernel
import features
import kmod
import procfile
from host import Scenario
from suite_lab import equal, same

prepare = kmod.prepare

CAUSES = ("remote", "guest", "nested", "tag", "other")

ASK = """
    cat /sys/kernel/debug/kvmmem/registry >/dev/null
    section "proc $GUEST" cat /proc/kvmmem
    section "audit $GUEST" cat /sys/kernel/debug/kvmmem/audit
    section "hooks $GUEST" cat /sys/kernel/debug/kvmmem/hooks
    for id in $KVMGUEST_IDS; do
        section "tlb $id" cat /sys/kernel/debug/kvmmem/vms/$id/tlb
        section "kvm $id" kvmstat $id tlb_flush invlpg remote_tlb_flush \\
            remote_tlb_flush_requests
    done"""


class Seen:
    """What was seen of one VM."""

    def __init__(self, out, guest, ident):
        self.amd = "kvm-amd" in out["vendor"]
        self.what = f"{guest} {ident}"
        self.queues_ranges = features.ranges_are_queued(out["release"])
        self.has_ranges = features.ranges_are_flushed(out["release"], self.amd)
        self.pge_is_counted = features.pge_is_counted(out["release"])
        self.invpcid_is_counted = features.invpcid_is_counted(out["release"])
        self.proc = procfile.ProcFile(out[f"proc {guest}"])
        self.rows = self.proc.all("vpid", vm=ident)
        self.flush = self.proc.find("flush", vm=ident)
        self.audit = {row["counter"]: row for row in procfile.table(out[f"audit {guest}"])
                      if row["vm"] == ident}
        self.details = procfile.table(out[f"tlb {ident}"])
        self.kvm = out.values(f"kvm {ident}")

    def sum(self, column):
        """Over all tags of all vCPUs."""
        return sum(row[column] for row in self.rows)

    def tags(self):
        """The tags that are known by number."""
        return [row["vpid"] for row in self.rows if row["vpid"] is not None]

    def check_sums(self):
        """What is true of every guest."""
        equal("lost", self.proc.host["lost"], 0)
        assert self.rows, f"{self.what}: no vpid rows"
        for row in self.rows:
            equal(f"{self.what}: causes of vCPU {row['vcpu']} tag {row['vpid']}",
                  sum(row[cause] for cause in CAUSES), row["flushes"])
        equal(f"{self.what}: flushes, ranges and KVM's tlb_flush",
              self.sum("flushes") + self.sum("range"), self.kvm["tlb_flush"])
        equal(f"{self.what}: difference in audit", self.audit["flushes"]["difference"], 0)
        equal(f"{self.what}: vCPUs that differ", self.audit["flushes"]["vcpus_off"], 0)
        equal(f"{self.what}: single and KVM's invlpg", self.sum("single"), self.kvm["invlpg"])
        for column, field in (("requests", "remote_tlb_flush_requests"),
                              ("remote", "remote_tlb_flush"), ("vcpu", "tlb_flush")):
            same(f"{self.what}: {column}", self.flush[column], self.kvm[field])
        for one, row in zip(self.details, self.rows, strict=True):
            for column in ("vcpu", "vpid", "entries", "flushes", "single", "range", *CAUSES):
                equal(f"{self.what}: debugfs {column}", one[column], row[column])

    def at_least(self, **least):
        """Causes that were driven."""
        for column, number in least.items():
            assert self.sum(column) >= number, \
                f"{self.what}: {column} is {self.sum(column)}, at least {number} were driven"

    def none(self, *columns):
        """Causes that were not."""
        for column in columns:
            equal(f"{self.what}: {column}", self.sum(column), 0)


def flushes(name, load="load_kvm; keep_kvmmem", before="", after="", limit=60, cpus=1, **guests):
    """A scenario: NAME=(kvmguest's arguments, check of what is seen of each VM)."""
    lines = [load, "section vendor kvm_vendor", "section release uname -r", before]
    for guest, (arguments, _) in guests.items():
        lines.append(f"export GUEST={guest}\n"
                     f"section \"guest {guest}\" kvmguest {arguments} --then '{ASK}'")
    lines.append(after)

    def check(out):
        for guest, (_, look) in guests.items():
            for record in out.records(f"guest {guest}", "guest "):
                seen = Seen(out, guest, record["id"])
                seen.check_sums()
                look(seen)

    return Scenario(f"tlb_{name}", "\n".join(lines), check, limit=limit, host={"cpus": cpus})


def quiet(seen):
    """A guest that asks nobody: with EPT and NPT its own flushes stay its own."""
    seen.none("remote", "guest", "nested", "single")


def pge(seen):
    """AMD intercepts writes of CR4, Intel lets the guest have PGE."""
    seen.none("remote", "nested")
    if seen.amd and seen.pge_is_counted:
        seen.at_least(guest=100)
    else:
        seen.none("guest")


def paravirtual(seen):
    """Each flush that the guest asked for while a vCPU was preempted."""
    seen.none("remote", "nested")
    equal(f"{seen.what}: guest", seen.sum("guest"), 100)


def hyperv(seen, in_ranges=0):
    """Each of two vCPUs asks seven times for both. What the first wants of the second
    waits for its first entry, what the second wants of the first until that goes on:
    one flush more for each. Newer kernels begin a vCPU with a flush, in which the former is."""
    seen.none("remote", "nested", "single", "other")
    equal(f"{seen.what}: range", seen.sum("range"), in_ranges)
    equal(f"{seen.what}: guest", seen.sum("guest"),
          2 if in_ranges else 7 + 1 + 7 + 1 + seen.queues_ranges)


def ranges(seen):
    """The same of two ranges, of one page and of four. KVM has room for 15 that wait.
    Some flush everything instead."""
    hyperv(seen, 14 + 14 + 14 if seen.has_ranges else 0)


def dropped(seen):
    """Another thread takes memory away."""
    seen.none("guest", "nested")
    seen.at_least(remote=10)
    assert seen.flush["requests"] >= 20, f"{seen.flush['requests']} requests"
    # One request asks each vCPU for at most one flush; several may share one.
    vcpus = len({row["vcpu"] for row in seen.rows})
    assert seen.sum("remote") <= seen.flush["requests"] * vcpus, "more flushes than were asked for"


def logged(seen):
    """Dirty logging write-protects what the guest has."""
    seen.none("guest", "nested")
    seen.at_least(remote=1)


def moved(seen):
    """The vCPU went to another processor and back."""
    seen.none("guest", "nested", "remote")
    if seen.amd:
        # A new ASID has no translations: nothing to flush, but another tag, unless
        # the other processor happens to give out the same number.
        assert seen.sum("moves") >= 5, f"{seen.sum('moves')} moves"
    else:
        seen.at_least(tag=20)
        equal(f"{seen.what}: VPIDs", len(set(seen.tags())), 1)


def came_back(seen):
    """To another processor, where KVM loads it, and back, without having run there."""
    seen.none("guest", "nested", "remote")
    if not seen.amd:
        seen.at_least(tag=20)
        assert seen.sum("other") <= 1, f"{seen.what}: other is {seen.sum('other')}"


def nested(seen):
    """A guest of the guest runs, without a tag of its own: each switch flushes."""
    seen.none("remote", "guest")
    seen.at_least(nested=100)
    # Before its first entry, when the VMM sets CR4 or EFER.
    assert seen.sum("other") <= 1, f"{seen.what}: other is {seen.sum('other')}"


def nested_tag(seen):
    """The same with a VPID: Intel's KVM runs it under one of its own."""
    seen.none("remote", "guest")
    if seen.amd:
        seen.at_least(nested=100)
        return
    entries = {row["vpid"]: row["entries"] for row in seen.rows}
    equal(f"{seen.what}: VPIDs", len(entries), 2)
    assert seen.sum("other") <= 1, f"{seen.what}: other is {seen.sum('other')}"
    assert min(entries.values()) >= 50, f"entries by VPID: {entries}"


def shadow_asks(column, number):
    """Under shadow paging the guest's own flushes reach KVM."""
    def look(seen):
        seen.none("remote", "nested")
        seen.at_least(**{column: number})
    return look


def shadow_invpcid(seen):
    """INVPCID of all contexts."""
    shadow_asks("guest", 100 if seen.invpcid_is_counted else 0)(seen)


def shadow_pge(seen):
    """The same of a change of CR4.PGE."""
    if seen.pge_is_counted:
        shadow_asks("guest", 100)(seen)
    else:
        seen.none("remote", "nested", "guest")


def recycled(seen):
    """More vCPUs than ASIDs: tags are used again."""
    if not seen.amd:
        equal(f"{seen.what}: distinct VPIDs", len(set(seen.tags())), 20)
        return
    tags = seen.tags()
    assert all(0 < tag < 16 for tag in tags), f"ASIDs {sorted(set(tags))}"
    assert seen.sum("moves") > 20, "no vCPU needed a second ASID"
    assert len(tags) > len(set(tags)), "no ASID was used twice"


def distinct(seen):
    """VPIDs are fixed and a vCPU's own."""
    if not seen.amd:
        equal(f"{seen.what}: VPIDs", len(set(seen.tags())), 3)
        assert 0 not in seen.tags(), "VPID 0"
        for row in seen.rows:
            equal(f"{seen.what}: moves", row["moves"], 1)


def check_vmcs(out):
    """Of two VMs with three vCPUs no two share a VPID, and KVM's dump of each VMCS
    has the VPID that kvmmem has read from it."""
    proc = procfile.ProcFile(out["proc three"])
    used = [row["vpid"] for record in out.records("guest three", "guest ")
            for row in proc.all("vpid", vm=record["id"])]
    equal("distinct VPIDs of 2 VMs with 3 vCPUs", len(set(used)), 6)
    dumped = [int(line.split()[-1], 16) for line in out["dumps"].splitlines()]
    equal("VPIDs by KVM's dump of the VMCS", dumped, used)


def tag_zero(seen):
    """vpid=0: the processor flushes at every entry; KVM's count is what it asks for."""
    if not seen.amd:
        equal(f"{seen.what}: VPIDs", set(seen.tags()), {0})
        seen.at_least(entries=100)


def check_switched(out):
    """Off: hooks are not attached; on again: counting goes on where it should."""
    attached = {row["name"]: row["state"] for row in procfile.table(out["hooks off"])}
    run = "kvm_exit" if "kvm-amd" in out["vendor"] else "kvm_entry"
    for name in (run, "kvm_pv_tlb_flush"):
        equal(f"state of {name}", attached[name], "off")
    assert "flush_tlb" not in out["functions off"], out["functions off"]
    assert "kvmmem" in out["functions off"], "the other hooks are gone too"
    equal("rows while off", procfile.ProcFile(out["proc off"]).all("vpid"), [])
    seen = Seen(out, "on", out.records("guest on", "guest ")[0]["id"])
    seen.check_sums()
    assert "flush_tlb" in out["functions on"], "not attached again"
    # A VM that flushed while nobody counted: what is counted since agrees.
    for row in procfile.table(out["audit later"]):
        equal(f"later difference of {row['counter']}", row["difference"], 0)
    # Nor were flushes booked as nobody's while the hooks came and went.
    rows = procfile.ProcFile(out["proc later"]).all("vpid")
    assert sum(row["remote"] for row in rows) > 0, f"{rows}"
    equal("other, of the VM that was flushed all the while", sum(row["other"] for row in rows), 0)


def check_late(out):
    """Of a guest that is flushed all the while nothing is booked before all hooks are there."""
    rows = procfile.ProcFile(out["proc later"]).all("vpid")
    assert sum(row["remote"] for row in rows) > 0, f"{rows}"
    equal("other", sum(row["other"] for row in rows), 0)


# ftrace is off as kvmmem loads, and the guest is met when it is back.
LATE = """
load_kvm
kvmguest --pages 32 --vcpus 2 --drop --rounds 2 --forever >busy.out & busy=$!
wait_for grep -q expect busy.out
late() {
    echo 0 >/proc/sys/kernel/ftrace_enabled
    load_kvmmem
    echo 1 >/proc/sys/kernel/ftrace_enabled
    wait_for grep -q "^vpid " /proc/kvmmem
    sleep 0.3
}
late; unload_kvmmem; late
kill -STOP $busy
section "proc later" cat /proc/kvmmem
kill -KILL $busy
wait $busy || true
unload_kvmmem
"""

SWITCH = """
load_kvm
section vendor kvm_vendor
section release uname -r
functions() { cat /sys/kernel/tracing/enabled_functions; }
switch() { echo $1 >/sys/module/kvmmem/parameters/flush_accounting; }
kvmguest --pages 32 --vcpus 2 --drop --rounds 2 --forever >busy.out & busy=$!
wait_for grep -q expect busy.out
load_kvmmem service_time=0
for i in 1 2 3 4 5; do switch 0; switch 1; sleep 0.1; done
switch 0
section "hooks off" cat /sys/kernel/debug/kvmmem/hooks
section "functions off" functions
section "proc off" cat /proc/kvmmem
sleep 0.3
switch 1
section "functions on" functions
sleep 0.3
kill -STOP $busy
sleep 0.2
section "audit later" cat /sys/kernel/debug/kvmmem/audit
section "proc later" cat /proc/kvmmem
kill -KILL $busy
wait $busy || true
export GUEST=on
section "guest on" kvmguest --pages 16 --then '""" + ASK + "'\n"

# Root clears KVM's statistics while a guest rests: of one VM, then of all.
CLEARED = """
load_kvm; keep_kvmmem
section vendor kvm_vendor
section release uname -r
look() {
    section "proc $1" cat /proc/kvmmem
    section "audit $1" cat /sys/kernel/debug/kvmmem/audit
    section "kvm $1" kvmstat $id tlb_flush
}
clear() {
    for field in tlb_flush invlpg pf_taken remote_tlb_flush remote_tlb_flush_requests; do
        [ ! -e $1/$field ] || echo 0 >$1/$field
    done
}
kvmguest --pages 32 --vcpus 2 --drop --rounds 2 --forever >busy.out & busy=$!
wait_for grep -q expect busy.out
id=$(sed -n 's/^guest id=\\([^ ]*\\).*/\\1/p' busy.out)
for of in one all; do
    sleep 0.5
    kill -STOP $busy
    sleep 0.2
    look "before $of"
    if [ $of = one ]; then clear /sys/kernel/debug/kvm/$id; else clear /sys/kernel/debug/kvm; fi
    look "cleared $of"
    kill -CONT $busy
    sleep 0.5
    kill -STOP $busy
    sleep 0.2
    look "after $of"
    kill -CONT $busy
done
kill -KILL $busy
wait $busy || true
"""


def sums(rows):
    """Of each column that is a number, over all rows."""
    return {column: sum(row[column] for row in rows if row[column] is not None)
            for column in rows[0] if isinstance(rows[0][column], int)}


def check_cleared(out):
    """Nothing shrinks, nothing comes from nowhere, audit says what happened."""
    for name in ("one", "all"):
        before, cleared, after = (procfile.ProcFile(out[f"proc {when} {name}"]).rows
                                  for when in ("before", "cleared", "after"))
        for kind in ("fault", "flush", "vpid"):
            equal(f"{kind} rows when {name} was cleared", cleared[kind], before[kind])
            old, new = sums(before[kind]), sums(after[kind])
            for column in set(old) - {"vpid", "vcpu" if kind == "vpid" else ""}:
                assert new[column] >= old[column], \
                    f"{name}: {kind} {column} fell from {old[column]} to {new[column]}"
        old, new = sums(before["vpid"]), sums(after["vpid"])
        equal(f"{name}: flushes since", new["flushes"] - old["flushes"],
              out.values(f"kvm after {name}")["tlb_flush"])
        # What was asked for before and is done after has no cause.
        assert new["other"] - old["other"] <= 2, after["vpid"]
        for when in ("cleared", "after"):
            for row in procfile.table(out[f"audit {when} {name}"]):
                equal(f"{when} {name}: difference of {row['counter']}", row["difference"], 0)
                equal(f"{when} {name}: note on {row['counter']}", row["note"], "cleared")
    for row in procfile.table(out["audit before one"]):
        equal(f"first note on {row['counter']}", row["note"], None)


VMCS = """
load_kvm dump_invalid_vmcs=1
keep_kvmmem
section vendor kvm_vendor
section release uname -r
dmesg -c >/dev/null
export GUEST=three
section "guest three" kvmguest --pages 30 --vcpus 3 --vms 2 --turns --fail-entry --then '""" + ASK + """'
section dumps sh -c 'dmesg | grep "Virtual processor ID"'
"""

SCENARIOS = [
    flushes("quiet",
            cr3=("--pages 8 --op cr3 --ops 100", quiet),
            invlpg=("--pages 8 --op invlpg --ops 100", quiet),
            io=("--pages 8 --op io --ops 100", quiet)),
    flushes("guest",
            pge=("--pages 8 --op cr4pge --ops 50", pge),
            paravirtual=("--pages 8 --steal-time --op pvflush --ops 100", paravirtual)),
    flushes("hyperv",
            full=("--pages 8 --vcpus 2 --turns --rounds 2 --op hvflush --ops 7", hyperv),
            ranges=("--pages 8 --vcpus 2 --turns --rounds 2 --op hvrange --ops 7", ranges)),
    flushes("remote",
            dropped=("--pages 32 --vcpus 2 --drop-thread 20", dropped),
            logged=("--pages 64 --rounds 4 --dirty-log=1 --dirty-log-off=2", logged)),
    flushes("nested",
            nested=("--pages 8 --op nested --ops 51", nested),
            tagged=("--pages 8 --op nested-vpid --ops 51", nested_tag)),
    flushes("shadow", load="load_kvm_shadow; keep_kvmmem",
            cr3=("--pages 8 --op cr3 --ops 100", shadow_asks("guest", 100)),
            invlpg=("--pages 8 --op invlpg --ops 100", shadow_asks("single", 100)),
            pge=("--pages 8 --op cr4pge --ops 50", shadow_pge)),
    flushes("tags",
            three=("--pages 30 --vcpus 3 --vms 2 --turns", distinct),
            twenty=("--pages 40 --vcpus 20 --turns --rounds 3", recycled)),
    Scenario("tlb_vmcs", VMCS, check_vmcs, limit=60, vendors=("intel",)),
    # No AMD processor that is emulated here has INVPCID.
    dataclasses.replace(
        flushes("invpcid", load="load_kvm_shadow; keep_kvmmem",
                invpcid=("--pages 8 --op invpcid --ops 100", shadow_invpcid)),
        vendors=("intel",)),
    Scenario("tlb_cleared", CLEARED, check_cleared, limit=60),
    Scenario("tlb_late", LATE, check_late, limit=120,
             kernels=(*features.KERNELS[:3], *debugkernel.NAMES[:-1])),
    Scenario("tlb_switch", SWITCH, check_switched, limit=60),
    flushes("two_processors", cpus=2, limit=100,
            moved=("--pages 8 --migrate 20 --op io --ops 40", moved),
            back=("--pages 8 --migrate 20 --come-back --op io --ops 40", came_back),
            dropped=("--pages 32 --vcpus 2 --pin 0,1 --drop-thread 20", dropped),
            pge=("--pages 8 --vcpus 2 --op cr4pge --ops 50", pge),
            all=("--pages 66 --vcpus 3 --migrate 10 --rounds 4 --dirty-log=1 --dirty-log-off=2"
                 " --op cr4pge --ops 20", lambda seen: None)),
    flushes("no_vpid", load="""
case $(kvm_vendor) in
kvm-intel) load_kvm vpid=0 ;;
*) load_kvm ;;
esac
keep_kvmmem""", zero=("--pages 8 --op io --ops 100", tag_zero)),
]
