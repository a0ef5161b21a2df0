# SPDX-License-Identifier: GPL-2.0
"""Storms: kvmmem comes and goes, is read and told to change, while KVM, VMs, their
memory, processors and tracers do the same. In the end nothing may be left.

A storm is one act of scripts/storm, done so many times, and winds: others that
blow beside it until it is done. Figures are bounds below and above: what is not
done in its time fails. make storm runs these; a minute of them is in make check
(suite_gust.py).
"""

import dataclasses
import pathlib

import debugkernel
import features
import image
import kmod
import leaks
import procfile
import suite_backing
import suite_life
import suite_time
from host import Scenario
from suite_lab import equal, same

SOURCES = pathlib.Path(__file__).resolve().parents[1] / "storm"
# Two processors on two nodes; a dead worker makes rmmod hang, a host that is gone says more.
HOST = {"cpus": 2, "cmdline": f"oops=panic numa=fake=2 {leaks.ON}"}


def prepare(picture, kernel, vendor):
    """Add kvmmem.ko, what can be swapped to, and the program."""
    suite_backing.prepare(picture, kernel, vendor)
    picture.add("lab/bin/storm", image.program("storm", SOURCES).read_bytes(), 0o755)


@dataclasses.dataclass(frozen=True)
class Storm:
    """What blows."""

    name: str
    act: str                            # of scripts/storm, with its arguments
    winds: tuple                        # the same; "guest": a guest that never rests
    figure: int                         # acts of a full storm; on a slow kernel a tenth
    seconds: int                        # that it may take, by the emulated clock

    @property
    def outlived(self):
        """Can a guest be there all the while, with kvmmem and KVM loaded?"""
        return self.act.split()[0] not in ("load", "reload")


STORMS = (
    # A birth or a death may queue the worker while the last one is waited for.
    Storm("births", "load", ("vms kids=3",), 300, 900),
    # A parameter's set function may run when all it walks is freed.
    Storm("toggle", "load pause_ms=80", ("toggle", "toggle"), 300, 900),
    # Processes die while kvmmem comes to their notifiers and goes.
    Storm("notifier", "load pause_ms=60",
          ("guest", "vms kids=2 live_ms=20 rest_ms=5", "kill", "fork", "toggle only=3"), 300, 1500),
    Storm("load", "load", ("guest", "guest", "read", "toggle", "vms kids=1"), 1000, 4500),
    Storm("reload", "reload", ("read", "toggle", "vms kids=1 rest_ms=400"), 200, 2400),
    Storm("vms", "vms kids=4 live_ms=20 rest_ms=5", ("read", "toggle", "kill"), 2000, 1200),
    # More at once than the reserve holds; each vCPU is entered, so what is missed shows.
    Storm("rush", "vms kids=1 vcpus=2 live_ms=0 rest_ms=0 run=1", (), 1000, 900),
    Storm("crowd", "vms kids=1 vcpus=1000 live_ms=0 rest_ms=0 run=1", (), 10, 900),
    Storm("hotplug", "hotplug", ("guest", "guest", "read", "toggle", "vms kids=1"), 200, 900),
    Storm("memory", "memory kids=2", ("read", "kill", "squeeze", "fork"), 5000, 1200),
    # The kernels that look for mistakes have no PARAVIRT, so page tables are freed there
    # without waiting for RCU.
    Storm("share", "share", ("read", "read", "kill"), 20000, 900),
    Storm("tracer", "load pause_ms=400", ("tracer", "bpf", "toggle", "guest", "vms kids=1"), 100,
          1500),
    Storm("perf", "load", ("perf",), 50, 900),
    Storm("scribble", "scribble", ("guest", "read", "peek"), 100000, 3000),
    Storm("peek", "peek", ("guest", "peek", "peek", "toggle"), 100000, 3000),
)

# Files that take input; the others are offered it, too, and refuse.
WRITABLE = ("backing_max_age_ms", "flush_accounting", "huge_flows", "invalidations", "service_time",
            "stuck_log", "stuck_ms", "translate", "user_share", "walk_share")

# What must be there first.
BEFORE = {
    "memory": "echo 10 >/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs\n"
              "swaps; moved unmoved; all_walks",
    "share": "echo 16 >/proc/sys/vm/nr_hugepages; all_walks",
}

SCRIPT = r"""
registry() { cat /sys/kernel/debug/kvmmem/registry; }
# exact NAME: a guest whose numbers are known.
exact() {
    section "guest $1" kvmguest --pages 64 --rounds 2 --drop --then "
        section 'counted $1' cat /proc/kvmmem
        section 'stats $1' kvmstat \$KVMGUEST_ID pf_taken
        section 'audit $1' cat /sys/kernel/debug/kvmmem/audit"
}
# outlives: a guest that ran before, and runs again when all is over.
outlives() {
    mkfifo outlives.fifo
    kvmguest --pages 64 --rounds 2 --drop --each "
        [ \$KVMGUEST_ROUND = 2 ] || cat $PWD/outlives.fifo" --then "
        section outlived cat /proc/kvmmem
        section 'outlived stats' kvmstat \$KVMGUEST_ID pf_taken" >outlives.out & outlives=$!
    wait_for grep -q "^fault " /proc/kvmmem
}
outlived() {
    : >outlives.fifo
    wait $outlives
    cat outlives.out
}
winds= number=0
wind() {
    number=$((number + 1))
    case $1 in
    guest) kvmguest --pages 64 --rounds 2 --drop --forever >/dev/null 2>&1 & ;;
    *) storm "$@" seconds=36000 >wind.$number 2>&1 & ;;
    esac
    winds="$winds $!"
}
calm() {
    # shellcheck disable=SC2086
    kill -TERM $winds
    for wind in $winds; do
        wait $wind || echo "process $wind ended with $?"
    done
    cat wind.* 2>/dev/null || true
}
# moved SECTION: what the kernel has moved of all memory by now.
moved() {
    section "$1" sh -c 'sed "s/ /=/" /proc/vmstat |
        grep -E "^(pswpout|pgmigrate_success|thp_collapse_alloc|cow_ksm)="
        echo khugepaged=$(cat /sys/kernel/mm/transparent_hugepage/khugepaged/pages_collapsed)'
}
swaps() {
    # Those that the kernel does not have built in.
    for module in virtio_pci virtio_blk "brd rd_nr=1 rd_size=65536"; do insert $module || :; done
    sleep 1
    for disk in /dev/vda /dev/ram0; do
        ! [ -b $disk ] || { mkswap $disk && swapon $disk; }
    done
} >/dev/null 2>&1
# Readers walk as often as they read.
all_walks() {
    echo 0 >/sys/module/kvmmem/parameters/backing_max_age_ms
    echo 100 >/sys/module/kvmmem/parameters/walk_share
}
load_kvm
load_kvmmem
"""

AFTER = r"""
section winds calm
[ ! -e outlives.fifo ] || section "guest outlived" outlived
section fprobes sh -c "grep -c '^[[:space:]]*f\[:' /sys/kernel/tracing/README || true"
moved moved
for name in flush_accounting=1 service_time=1 huge_flows=0 backing_max_age_ms=1000 \
            walk_share=2 invalidations=1 stuck_log=0 stuck_ms=5000 user_share=75; do
    [ ! -d /sys/module/kvmmem ] ||
        echo ${name#*=} >/sys/module/kvmmem/parameters/${name%=*}
done
load_kvm
[ -d /sys/module/kvmmem ] || load_kvmmem
exact after
section registry registry
unload_kvmmem
section slabs sh -c 'grep ^kvmmem /proc/slabinfo || true'
"""


def check_exact(out, when):
    """The guest whose numbers are known."""
    suite_life.check_counted(out, f"guest {when}", f"counted {when}", f"stats {when}")
    ident = out.values(f"guest {when}")["id"]
    rows = [row for row in procfile.table(out[f"audit {when}"]) if row["vm"] == ident]
    assert rows, f"nothing is audited {when}"
    for row in rows:
        equal(f"audit of {row['counter']} {when}", row["difference"], 0)


def check_outlived(out):
    """The guest that was there all the while; its memory may have been taken away."""
    row = procfile.ProcFile(out["outlived"]).find("fault", vm=out.values("guest outlived")["id"])
    same("violations of who outlived the storm", row["ept_violations"],
         out.values("outlived stats")["pf_taken"])
    assert row["ept_violations"] >= 2 * 64, f"hardly ran: {row}"


def check_inputs(files, figure):
    """Each file was given so many, and what takes any took some."""
    equal("files without input", set(WRITABLE) - {one["name"] for one in files}, set())
    for one in files:
        assert one["inputs"] >= figure, f"not offered enough: {one}"
        if one["name"] not in WRITABLE:
            equal(f"accepted by {one['name']}", one["accepted"], 0)
        elif figure >= 1000:
            assert one["accepted"], f"took nothing: {one}"


def check(storm, figure):
    """What must be true when it is over."""
    def judge(out):
        act = out.records("storm", "storm ")
        equal("acts reported", len(act), 1)
        assert act[0]["did"] >= figure, f"{act[0]['did']} of {figure} done: {out['storm']}"
        equal("stuck", act[0].get("stuck", 0), 0)
        winds = out.records("winds", "storm ")
        equal("winds", len(winds), len([one for one in storm.winds if one != "guest"]))
        if storm.name == "scribble":
            check_inputs(out.records("storm", "file "), figure)
        # On a slow host KVM may be away whenever a VM is to be made.
        away = storm.name == "reload" and figure < 100
        assert all(one["did"] or (away and one["failed"]) for one in winds), \
            f"a wind did nothing: {out['winds']}"
        # Of writes some are accepted, and of readers that are killed some have read something;
        # some hear functions, by fprobes, too, where there are any (6.5 on). A gust has a few
        # acts only, on a kernel that is slow.
        words = ["events", "tracepoints", "functions"] if figure >= 10 else []
        words += ["fprobes"] if words and int(out["fprobes"]) else []
        words += ["accepted", "reads", "killed"] if figure >= 100 else []
        for word in words:
            assert all(one.get(word, 1) for one in (*act, *winds)), f"{word}: {out['winds']}"
        for one in winds if not away else ():
            assert one["did"] >= min(figure // 20, 50), f"hardly anything was done: {one}"
            assert one.get("worst_ms", 0) < 10000, f"could not be killed: {one}"
        # Of ten rounds kvm.ko goes in one, if nobody holds it just then.
        assert figure < 20 or act[0].get("core", 1), f"kvm.ko never went: {out['storm']}"
        assert "ended with" not in out["winds"], out["winds"]
        if storm.outlived:
            check_outlived(out)
        for when in ("before", "after"):
            if f"guest {when}" in out or when == "after":
                check_exact(out, when)
        suite_life.check_registry_empty(out)
        equal("slabs", out["slabs"], "")
        if storm.name == "memory" and figure >= 100:
            before, after = out.values("unmoved"), out.values("moved")
            equal("what is moved", len(after), 5)
            for what, number in after.items():
                assert number > before[what], f"{what} was {before[what]} and is {number}"
        # Debian's kernels have no kmemleak.
        if "leaks" in out and out["leaks"].strip():
            leaks.check(out)
    return judge


def script(storm, bounds, whole=True, look=True):
    """A storm's script; whole: with a look at how things are before it."""
    return "\n".join([
        SCRIPT, "exact before" if whole else "", BEFORE.get(storm.name, ""),
        "outlives" if storm.outlived else "",
        *(f"wind {one}" for one in storm.winds), f"section storm storm {storm.act} {bounds}",
        AFTER, "section leaks find_leaks" if look else ""])


def scenario(storm, part, kernels, vendors=("amd",)):
    """A storm, or a part of it, on some kernels."""
    figure = storm.figure // part
    return Scenario(f"storm_{storm.name}",
                    script(storm, f"count={figure} seconds={storm.seconds}"),
                    check(storm, figure), limit=storm.seconds + 120, kernels=kernels,
                    vendors=vendors, host=HOST)


SCENARIOS = [scenario(one, part, kernels)
             for kernels, part in ((features.KERNELS, 1), (debugkernel.NAMES, 10))
             for one in STORMS]
# The other vendor's module; a processor that is slower to emulate.
SCENARIOS += [scenario(one, part, kernels, ("intel",)) for one in STORMS if one.name == "reload"
              for kernels, part in ((features.KERNELS, 1), (debugkernel.NAMES, 20))]
SCENARIOS.append(suite_time.busy("storm_busy", 180, kernels=features.KERNELS))
