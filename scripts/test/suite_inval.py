# SPDX-License-Identifier: GPL-2.0
"""Who takes memory away from a guest: each initiator alone, and all at once.

takeguest (host/takeguest.c) has a VM and lets one of them do its work. What KVM's own
notifier was told meanwhile, by a tracepoint, says how often it was and how much.
"""

import pathlib

import debugkernel
import hostmodule
import image as images
import suite_backing
from host import Scenario
from procfile import ProcFile, table
from suite_backing import KSM, LOOK as WAIT_FILE, equal
from swap import swap_on

HERE = pathlib.Path(__file__).resolve().parent
INITIATORS = ("vmm", "reclaim", "ksm", "thp", "migrate", "numa_scan", "in_run", "fork", "protect",
              "other")
KB = 1024
HOOK = "kvm_mmu_notifier_invalidate_range_start"


def prepare(image, kernel, vendor):
    """The module, modules for swap, and who takes memory away."""
    suite_backing.prepare(image, kernel, vendor)
    program = images.helper_program(HERE / "host/takeguest.c")
    image.add("lab/bin/takeguest", program.read_bytes(), 0o755)
    program = images.program("tenant", HERE.parent / "tenant")
    image.add("lab/bin/tenant", program.read_bytes(), 0o755)
    image.add_file(hostmodule.build(kernel, hostmodule.HOLDLOCK), "lab/holdlock.ko")
    program = images.helper_program(HERE / "host/lastvm.c")
    image.add("lab/bin/lastvm", program.read_bytes(), 0o755)


# A phase of takeguest: what is looked at before and after, and what is done by "act".
LOOK = """
. /lab/lib.sh
known() {
    awk -v id=$KVMGUEST_ID '$1 == "inval" && $2 == id && $3 != "-" { n++ }
        END { exit !n }' /proc/kvmmem
}
case $1 in
before)
    wait_for known
    section release uname -r
    [ ! -d $_tracing/events/kvm/kvm_unmap_hva_range ] || case $(uname -r) in
    5.10.*) ;;
    *) trace_count_start kvm:kvm_unmap_hva_range start,end; echo >/tmp/traced ;;
    esac
    section before cat /proc/kvmmem
    ;;
act) . /tmp/act.sh ;;
merge) . /tmp/merge.sh ;;
after)
    section after cat /proc/kvmmem
    [ ! -e /tmp/traced ] || section trace trace_count_stop kvm:kvm_unmap_hva_range
    ;;
esac
"""


def difference(out, kind):
    """{column: by how much it has grown}, of the one VM."""
    before, after = (ProcFile(out[name]).rows[kind] for name in ("before", "after"))
    equal("VMs", [len(before), len(after)], [1, 1])
    return {column: after[0][column] - value for column, value in before[0].items()
            if column != "vm" and value is not None}


def traced(out):
    """(calls, KiB) that KVM's notifier was told of the slots, by its tracepoint."""
    slots = [(int(str(slot["hva"]), 16), int(str(slot["bytes"]), 16))
             for slot in out.records("guest", "slot ")]
    calls = kib = 0
    for one in out.records("trace", "trace "):
        inside = sum(max(0, min(one["end"], hva + size) - max(one["start"], hva))
                     for hva, size in slots)
        if inside:
            calls += one["count"]
            kib += one["count"] * inside // KB
    return calls, kib


def check_sums(out):
    """The initiators sum to the calls, and these are what KVM's notifier was told."""
    calls, kib = difference(out, "inval"), difference(out, "inval_kb")
    for what, row in (("inval", calls), ("inval_kb", kib)):
        equal(f"{what}: sum", sum(row[who] for who in INITIATORS), row["calls"])
    if "trace" in out:
        equal("calls and KiB", (calls["calls"], kib["calls"]), traced(out))
    return calls, kib


def booked(who, least, kib=0, **more):
    """A check: nearly all of at least so many calls is one initiator's."""
    def check(out):
        calls, sizes = check_sums(out)
        assert calls[who] >= least, f"{who}: only {calls[who]} calls: {calls}"
        assert calls[who] >= 0.99 * calls["calls"], f"{who}: {calls}"
        assert sizes[who] >= 0.99 * sizes["calls"], f"{who}: {sizes}"
        if kib:
            equal(f"{who}: KiB", sizes[who], kib)
        for column, value in more.items():
            equal(column, calls[column], value)
    return check


# Whether compaction moves a guest's pages depends on where they lie. So there are pieces of
# two files in turn; one file goes before the guest comes, and the other before compaction.
# If none has moved another guest may have more luck.
PIECES = """
pieces() {
    local i=0
    while [ $i -lt 8 ]; do
        for file in /tmp/hog.1 /tmp/hog.2; do head -c 1048576 /dev/zero >>$file; done
        i=$((i + 1))
    done
    rm /tmp/hog.1
}
pieces"""
MOVED = """
    ! grep -Eq '^inval +[^ ]+ +[1-9]' guest.out || break
    pieces"""


def taken(name, act, check, before="", shell="", options="", enough="    break", **how):
    """A scenario with one act; @enough: shell lines that say whether it has done something."""
    return Scenario(f"inval_{name}", f"""
{WAIT_FILE}
load_kvm
keep_kvmmem {options}
{before}
cat >/tmp/phase.sh <<'SCRIPT'
{LOOK}
SCRIPT
cat >/tmp/act.sh <<'SCRIPT'
{shell}
SCRIPT
cat >/tmp/merge.sh <<'SCRIPT'
{KSM}
SCRIPT
for attempt in 1 2 3 4 5 6; do
    takeguest {act} 'sh -e /tmp/phase.sh' >guest.out || {{ cat guest.out; exit 1; }}
{enough}
done
rm -f /tmp/hog.*
sed -n '/^@@lab/,$p' guest.out
section guest grep -E '^(guest|slot) ' guest.out
""", check, **how)


def check_numa(out):
    """The scan is told apart from what it leads to."""
    calls, _ = check_sums(out)
    assert calls["numa_scan"] >= 2, f"no scan: {calls}"
    mine = calls["numa_scan"] + calls["in_run"]
    assert mine >= 0.99 * calls["calls"], f"{calls}"


def check_refaults(least, most):
    """What came back is what was taken, but for the sketch's error."""
    def check(out):
        calls, sizes = check_sums(out)
        assert least <= calls["refaults"] <= most, f"{calls['refaults']} refaults"
        equal("refaults in KiB", sizes["refaults"], 4 * calls["refaults"])
    return check


def check_together(out):
    """All at once: the sums are right, and nobody was overlooked."""
    calls, _ = check_sums(out)
    for who in ("vmm", "reclaim", "ksm", "in_run", "fork", "protect"):
        assert calls[who], f"nothing by {who}: {calls}"
    assert calls["other"] <= calls["calls"] // 100, f"other: {calls}"


def check_two(out):
    """VMs of one process: what was dropped in each is booked on each."""
    for name, nr, pages, least in (("two", 2, 64, 2), ("many", 70, 16, 0)):
        proc = ProcFile(out[name])
        rows, sizes = proc.all("inval"), proc.all("inval_kb")
        equal("rows", [len(rows), len(sizes)], [nr, nr])
        for row, size in zip(rows, sizes):
            equal("vmm", row["vmm"], row["calls"])
            assert row["discard"] >= least, row
            equal("KiB", size["discard"], row["discard"] * pages * 4)
        # Of many some are done before they are known.
        assert len([row for row in rows if row["discard"]]) > nr // 2, rows


def check_switch(out):
    """Off: unknown, and no hook; on again: counting goes on where it was."""
    rows = {name: ProcFile(out[name]).rows["inval"][0] for name in ("on", "off", "again")}
    equal("while off", {row for key, row in rows["off"].items() if key != "vm"}, {None})
    equal("again", rows["again"], rows["on"])
    assert rows["on"]["calls"], "nothing was counted"
    for name, state in (("on", "attached"), ("off", "off"), ("again", "attached")):
        hook = next(row for row in table(out[f"hooks {name}"]) if row["name"] == HOOK)
        equal(f"hook when {name}", hook["state"], state)


def check_held(out):
    """Who keeps the kernel from registering notifiers keeps nobody's VM from being counted,
    takes nobody's mmap lock, and kvmmem neither waits nor has others wait."""
    for name in ("held", "on"):
        rows = ProcFile(out[name]).rows["inval"]
        equal(f"{name}: calls", [row["calls"] for row in rows], [0, 0])
    for who in ("mine", "others"):
        for text in out.all(who):
            assert "Rss:" in text, f"{who}: {text}"
    # As long as with nobody in the way, but for the steps of the clock and a busy host.
    for name in ("load", "off", "on", "unload"):
        free, held = (int(text) for text in out.all(f"{name} took"))
        assert held < 2 * free + 1000, f"{name} took {held} ms, and {free} ms before"
    equal("who makes a VM meanwhile waits", out["state"].strip(), "D")


def check_ends(out):
    """A VM and its process end while the kernel would have to wait for their locks."""
    for how in ("vm", "process", "both"):
        row, = ProcFile(out[f"held {how}"]).rows["inval"]
        equal(f"{how}: calls", row["calls"], 0)
        after = ProcFile(out[f"after {how}"])
        equal(f"{how}: VMs afterwards", after.all("vm"), [])
        equal(f"{how}: ended", after.find("total")["vms_ended"], 1)
    row, = ProcFile(out["next"]).rows["inval"]
    equal("calls of the next VM", row["calls"], 0)


def check_slots(out):
    """Too many slots are not counted, and it is said why; few of the same VM are."""
    row, = ProcFile(out["many"]).rows["inval"]
    equal("calls", row["calls"], None)
    hook = next(row for row in table(out["hooks"]) if row["name"] == HOOK)
    equal("why_not", hook["why_not"], "some-vm-in-too-many-slots")


def check_cost(out):
    """Instructions that the hook takes in a call of KVM's notifier, with all that is done."""
    # The least of three: the kernel has work of its own.
    spent = {name: min(one["ns"] for one in out.records(name, "cost ")) / 20000
             for name in ("counted", "uncounted")}
    equal("measured", {len(out.all(name)) for name in spent}, {3})
    cost = spent["counted"] - spent["uncounted"]
    assert 20 < cost < CALL_COST, f"{cost} instructions: {spent}"


CALL_COST = 280                         # it is 240 on 6.1, 270 on 7.3
MEMCG = """
[ -e /cg/cgroup.procs ] || { mkdir -p /cg; mount -t cgroup2 none /cg; }
echo +memory >/cg/cgroup.subtree_control
mkdir -p /cg/guest
echo max >/cg/guest/memory.high
echo $$ >/cg/guest/cgroup.procs
"""
NODES = {"cpus": 2, "nodes": 2}
COLLAPSE = ("6.1", "6.12", "7.3")       # kernels with MADV_COLLAPSE
KHUGEPAGED = """
thp=/sys/kernel/mm/transparent_hugepage
collapsed() { grep -q "AnonHugePages: *4096 kB" /proc/$KVMGUEST_PID/smaps; }
echo 4096 >$thp/khugepaged/pages_to_scan
echo 50 >$thp/khugepaged/scan_sleep_millisecs
wait_for collapsed
echo 600000 >$thp/khugepaged/scan_sleep_millisecs
"""
BALANCING = """
for dir in /sys/kernel/debug/sched/numa_balancing/ /proc/sys/kernel/numa_balancing_; do
    [ ! -e ${dir}scan_delay_ms ] || {
        echo 50 >${dir}scan_delay_ms
        echo 50 >${dir}scan_period_min_ms
        echo 100 >${dir}scan_period_max_ms
    }
done
echo 1 >/proc/sys/kernel/numa_balancing
"""

SCENARIOS = [
    taken("dontneed", "dontneed", booked("vmm", 64, 4096, calls=64, discard=64)),
    taken("free", "free", booked("vmm", 64, 4096, calls=64, discard=64)),
    taken("punch", "punch", booked("vmm", 65)),
    taken("unmap", "unmap", booked("vmm", 81, discard=0)),
    taken("mprotect", "mprotect", booked("protect", 200, 200 * 4096, calls=200)),
    taken("uffd", "uffd", booked("protect", 64)),
    taken("clear_refs", "shell", booked("protect", 1),
          shell="echo 4 >/proc/$KVMGUEST_PID/clear_refs"),
    taken("fork", "fork", booked("fork", 20)),
    taken("cow", "cow", booked("in_run", 1024, 4096)),
    taken("pageout", "pageout", booked("reclaim", 1000), before=swap_on()),
    taken("memcg", "shell", booked("reclaim", 200), before=swap_on() + MEMCG,
          shell="echo 2097152 >/cg/guest/memory.high; echo max >/cg/guest/memory.high"),
    taken("ksm", "ksm", booked("ksm", 1000), shell=KSM, limit=60),
    # Pages are merged, and given back.
    taken("unmerge", "ksm", booked("ksm", 3000), limit=60,
          shell=KSM + "echo 2 >/sys/kernel/mm/ksm/run; echo 0 >/sys/kernel/mm/ksm/run"),
    taken("khugepaged", "khugepaged", booked("thp", 2), shell=KHUGEPAGED, limit=60),
    taken("collapse", "collapse", booked("thp", 2), kernels=COLLAPSE),
    taken("split", "shell-huge", booked("thp", 2),
          shell="echo 1 >/sys/kernel/debug/split_huge_pages"),
    taken("compaction", "shell", booked("migrate", 1),
          before=PIECES, shell="rm /tmp/hog.2; echo 1 >/proc/sys/vm/compact_memory",
          enough=MOVED, limit=100),
    taken("mbind", "mbind", booked("migrate", 100), vendors=("amd",), host=NODES),
    taken("migrate_pages", "migrate", booked("migrate", 100), vendors=("amd",), host=NODES),
    taken("numa", "run", check_numa, shell=BALANCING, vendors=("amd",), host=NODES, limit=60),
    taken("refault", "refault", check_refaults(512, 512 + 8)),
    # Where it takes longer than what was taken is remembered, once more.
    taken("refault_scattered", "refault-scattered", check_refaults(128, 128 + 16), enough="""
    ! awk '$1 == "inval" { if ($2 == "vm") for (i = 3; i <= NF; i++) at[$i] = i
                           else n = $at["refaults"] } END { exit n < 128 }' guest.out || break"""),
    taken("refault_late", "refault-late", check_refaults(0, 0)),
    taken("together", "everything", check_together, before=swap_on() + MEMCG, shell="""
echo 2097152 >/cg/guest/memory.high
echo max >/cg/guest/memory.high
echo 4 >/proc/$KVMGUEST_PID/clear_refs
echo 1 >/proc/sys/vm/compact_memory
""", limit=100),
    Scenario("inval_cost", """
load_kvm
load_kvmmem
for i in 1 2 3; do section counted takeguest cost 'sleep 1; :'; done
echo 0 >/sys/module/kvmmem/parameters/invalidations
for i in 1 2 3; do section uncounted takeguest cost 'sleep 1; :'; done
""", check_cost, vendors=("amd",), host={"icount": True}, limit=60),
    Scenario("inval_two_vms", """
load_kvm
keep_kvmmem
kvmguest --pages 64 --vms 2 --rounds 2 --drop --seconds 1 --then 'section two cat /proc/kvmmem'
kvmguest --pages 16 --vms 70 --rounds 2 --drop --seconds 1 --then 'section many cat /proc/kvmmem'
""", check_two),
    Scenario("inval_switch", """
cat >/tmp/phase.sh <<'SCRIPT'
. /lab/lib.sh
look() {
    section $1 cat /proc/kvmmem
    section "hooks $1" cat /sys/kernel/debug/kvmmem/hooks
}
known() { [ "$(awk '$1 == "inval" && $3 != "-"' /proc/kvmmem)" ]; }
if [ $1 = before ]; then
    wait_for known
    # On 5.10 a VM is met at its first slot; the others are looked at after that.
    sleep 0.5
    exit 0
fi
look on
echo 0 >/sys/module/kvmmem/parameters/invalidations
look off
echo 1 >/sys/module/kvmmem/parameters/invalidations
wait_for known
look again
SCRIPT
load_kvm
load_kvmmem
takeguest dontneed 'sh -e /tmp/phase.sh'
""", check_switch),
    # Somebody holds a lock of a file, as who lets a fault wait for his own FUSE server may,
    # and makes a VM in a process that has mapped it: that waits for all locks of the process,
    # and whoever else registers a notifier on the host waits for it.
    Scenario("inval_held", r"""
cat >/tmp/held.sh <<'SCRIPT'
. /lab/lib.sh
known() { [ $(awk '$1 == "inval" && $3 != "-"' /proc/kvmmem | wc -l) = 2 ]; }
now_ms() { awk '{ printf "%d\n", $1 * 1000 }' /proc/uptime; }
# timed NAME COMMAND...
timed() {
    local name=$1 before=$(now_ms)
    shift
    "$@"
    section "$name took" echo $(($(now_ms) - before))
}
switch() { echo $1 >/sys/module/kvmmem/parameters/invalidations; }
locked() { timeout 5 cat /proc/$1/smaps_rollup || echo "mmap lock of $1 is taken"; }
timed load load_kvmmem
wait_for known
timed off switch 0
timed on switch 1
timed unload unload_kvmmem
insmod /lab/holdlock.ko path=/tmp/memory
mkfifo stuck.fifo
lastvm stuck.fifo /tmp/memory &
stuck=$!
waits() { grep -q '^State:.D' /proc/$stuck/status; }
wait_for waits
timed load load_kvmmem
sleep 0.5
locks() {
    section mine locked ${KVMGUEST_ID%-*}
    section others locked $OTHER
}
locks
section held cat /proc/kvmmem
timed off switch 0
timed on switch 1
locks
section on cat /proc/kvmmem
timed unload unload_kvmmem
section state sh -c "sed -n 's/^State:.\(.\).*/\1/p' /proc/$stuck/status"
rmmod holdlock
exec 7>stuck.fifo
echo >&7; echo >&7
wait $stuck
SCRIPT
truncate -s 1M /tmp/memory
load_kvm
mkfifo other.fifo
kvmguest --pages 32 --hold other.fifo >other.out &
export OTHER=$!
wait_for grep -q ^result other.out
kvmguest --pages 64 --backing file:/tmp/memory --then 'sh -e /tmp/held.sh'
echo >other.fifo
wait $OTHER
""", check_held),
    Scenario("inval_ends", r"""
truncate -s 1M /tmp/memory
load_kvm
mkfifo vm.fifo
vms() { [ $(awk '$1 == "vm"' /proc/kvmmem | wc -l) = $1 ]; }
for how in vm process both; do
    lastvm vm.fifo /tmp/memory &
    pid=$!
    exec 7>vm.fifo
    wait_for grep -q 'VmLck:.*[1-9]' /proc/$pid/status
    insmod /lab/holdlock.ko path=/tmp/memory
    load_kvmmem
    sleep 0.5
    section "held $how" cat /proc/kvmmem
    [ $how = process ] || { echo >&7; wait_for vms 0; }
    [ $how = vm ] || { kill -9 $pid; sleep 0.5; }
    rmmod holdlock
    [ $how != vm ] || { sleep 0.2; echo >&7; }
    wait $pid || :
    exec 7>&-
    wait_for vms 0
    section "after $how" cat /proc/kvmmem
    unload_kvmmem
done
load_kvmmem
known() { [ "$(awk '$1 == "inval" && $3 != "-"' /proc/kvmmem)" ]; }
lastvm vm.fifo /tmp/memory &
exec 7>vm.fifo
wait_for known
section next cat /proc/kvmmem
echo >&7
echo >&7
exec 7>&-
wait $!
""", check_ends, limit=90),
    Scenario("inval_slots", """
load_kvm
keep_kvmmem
mkfifo slots.fifo
tenant slots 1100 1 slots.fifo >slots.out & pid=$!
wait_for grep -q ^tenant slots.out
# Who changes slots all the while is not looked at all the while.
unknown() { grep -q "^inval .* -" /proc/kvmmem; }
wait_for unknown
section many cat /proc/kvmmem
# At first nobody is asked yet.
wait_for grep -q "^hook .*_range_start .*some-vm-in" /sys/kernel/debug/kvmmem/hooks
section hooks cat /sys/kernel/debug/kvmmem/hooks
: >slots.fifo
wait $pid
""", check_slots, kernels=("6.1", "6.12", "7.3", *debugkernel.NAMES)),
]
