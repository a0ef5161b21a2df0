# SPDX-License-Identifier: GPL-2.0
"""The perf PMU, by the distribution's perf stat.

What it counts is what the rows of /proc/kvmmem grow by: of all VMs, of a process, of a
thread and of a VM.
"""

import re

import features
import procfile
import suite_perf
from host import Scenario
from suite_lab import equal

prepare = suite_perf.prepare

PAGES = 200
HOST = suite_perf.HOST

# What perf stat is asked for, all that the PMU counts: the row of /proc/kvmmem, and the
# column.
COUNTED = {
    "ept_violations": ("fault", "ept_violations"),
    "ept_violations_read": ("fault", "read"),
    "ept_violations_write": ("fault", "write"),
    "ept_violations_exec": ("fault", "exec"),
    "ept_violations_protection": ("fault", "protection"),
    "ept_violations_page_walk": ("fault", "page_walk"),
    "ept_violations_l2": ("outcome", "l2"),
    "ept_violations_reflected": ("outcome", "reflected"),
    "mmio": ("fault", "mmio"),
    "shadow": ("fault", "shadow"),
    "served": ("time", "served"),
    "tlb_flushes": ("vpid", "flushes"),
    "tlb_flushes_range": ("vpid", "range"),
    **{f"tlb_flushes_{cause}": ("vpid", cause)
       for cause in ("remote", "guest", "nested", "tag", "other")},
    "refaults": ("inval", "refaults"),
    "invalidations": ("inval", "calls"),
    **{f"invalidations_{who}": ("inval", who)
       for who in ("vmm", "discard", "reclaim", "ksm", "thp", "migrate", "numa_scan",
                   "in_run", "fork", "protect", "other")},
    "invalidated": ("inval_kb", "calls"),
}
# And in nanoseconds, where the column has microseconds.
TIMED = {"service_time": "total_us", "service_time_kvm": "kvm_us",
         "service_time_asleep": "asleep_us", "service_time_user": "user_us"}
GAUGES = ("ept_4k", "ept_2m", "ept_1g", "ept_tables", "host_4k", "host_2m", "host_1g", "swap",
          "ksm")
ALL = ",".join(f"kvmmem/{name}/" for name in (*COUNTED, *TIMED))

# Guests that wait after a round, and perf stat beside them. One guest's id is in the
# file NAME.id; perf's result in the section that "counting" names.
COUNTING = f"""
export SECOND=:
waiting() {{
    mkfifo $1.go $1.end
    export NAME=$1
    shift
    kvmguest --pages {PAGES} --access read,write,exec --mmio 4 --rounds 4 --drop "$@" \\
        --each '[ $KVMGUEST_ROUND != 1 ] || {{
            echo ${{KVMGUEST_ID%-*}} >$NAME.pid; echo $KVMGUEST_ID >$NAME.id
            read line <$NAME.go || :; }}
            [ $KVMGUEST_ROUND != 2 ] || eval "$SECOND"' --hold $NAME.end >$NAME.out &
    set -- $NAME
    wait_for [ -s $1.id ]
    # Invalidations are counted from some milliseconds after its birth.
    wait_for awk -v id=$(cat $1.id) '$1 == "inval" && $2 == id && $3 != "-" {{ n++ }}
        END {{ exit !n }}' /proc/kvmmem
}}
go() {{
    : >$1.go
    wait_for grep -q ^result $1.out
    section "guest $1" cat $1.out
}}
gone() {{
    : >$1.end
    wait_for [ ! -d /proc/$(cat $1.pid) ]
}}
perfs=
counting() {{
    local name=$1 events={ALL}
    shift
    [ $name != vm ] ||
        events=$(echo $events, | sed "s|/,|,vm=$(cat one.pid)/,|g; s|,$||")
    perf stat -x, -o $name -e $events "$@" sh -c "echo \\$\\$ >$name.ready; exec sleep 600" &
    perfs="$perfs $!"
    wait_for [ -s $name.ready ]
    sleep 0.2
}}
counted() {{
    local name
    kill $(cat *.ready)
    wait $perfs || :
    for name in *.ready; do
        section ${{name%.ready}} cat ${{name%.ready}}
    done
}}
"""


def counts(text):
    """{event: value} of perf stat -x, None for what is not supported."""
    found = {}
    for line in text.splitlines():
        words = line.split(",")
        for number, word in enumerate(words):
            name = re.fullmatch(r"kvmmem/(\w+).*", word)
            if name:
                value = words[number - 2]
                found[name[1]] = None if value.startswith("<") else float(value)
                break
    return found


def grown(out, ident, kind, column):
    """By how much a column has grown, of one VM or of all; None if it is not known."""
    sums = []
    for section in ("before", "after"):
        values = [row[column] for row in procfile.ProcFile(out[section]).rows[kind]
                  if not ident or row["vm"] == ident]
        if None in values:
            return None
        sums.append(sum(values))
    return sums[1] - sums[0]


def check_counts(out, what, seen, ident="", without=()):
    """perf's counts are those of the rows."""
    for name, (kind, column) in COUNTED.items():
        if kind in without:
            continue
        row = grown(out, ident, kind, column)
        # Of pages, in bytes; the row is in KiB.
        equal(f"{what}: {name}", seen[name], row and row * 1024 if kind == "inval_kb" else row)
    for name, column in TIMED.items():
        row_us = grown(out, ident, "time", column)
        if row_us is None:
            equal(f"{what}: {name}", seen[name], None)
            continue
        assert abs(seen[name] / 1000 - row_us) <= seen["served"] / 1000 + 4, \
            f"{what}: {name} is {seen[name]} ns, by the row {row_us} us"


def foretold(out, names):
    """The violations that guests had from here on, by what they computed beforehand."""
    proc = procfile.ProcFile(out["before"])
    wanted = 0
    for name in names:
        expect, = out.records(f"guest {name}", "expect ")
        wanted += expect["violations"] - proc.find("fault", vm=expect["id"])["ept_violations"]
    return wanted


def check_thread(out, ident):
    """One vCPU of two, against its own row."""
    seen = counts(out["thread"])
    first = out.records("guest one", "result ")[0]["tids"].split(",")[0]
    equal("thread", out["tid"], first)
    before, after = (procfile.table(out[f"{when} faults"])[0] for when in ("before", "after"))
    equal("vCPU", after["vcpu"], 0)
    for name in ("read", "write", "exec", "protection", "page_walk"):
        equal(f"thread: {name}", seen[f"ept_violations_{name}"], after[name] - before[name])
    assert 0 < seen["ept_violations"] < grown(out, ident, "fault", "ept_violations"), f"{seen}"


def check_stat(out):
    """System-wide, by process, thread and VM; and 0 off."""
    one, two = (re.search(r"^guest .*\bid=(\S+)", out[f"guest {name}"], re.M)[1]
                for name in ("one", "two"))
    check_counts(out, "wide", counts(out["wide"]))
    equal("wide: foretold", counts(out["wide"])["ept_violations"], foretold(out, ("one", "two")))
    for name in ("process", "vm", "threads"):
        check_counts(out, name, counts(out[name]), one)
        equal(f"{name}: foretold", counts(out[name])["ept_violations"], foretold(out, ("one",)))
    check_thread(out, one)
    assert grown(out, two, "fault", "ept_violations") >= 3 * PAGES
    off = counts(out["off"])
    equal("events off", len(off), len(COUNTED) + len(TIMED))
    equal("off", {name: value for name, value in off.items() if value}, {})


def check_refused(out):
    """What cannot be done says so, in perf's own words."""
    assert "doesn't support sampling" in out["sampling"], out["sampling"]
    assert out.status("sampling") != 0
    assert "not supported" in out["gauge of a thread"], out["gauge of a thread"]
    assert "No such process" in out["no such vm"], out["no such vm"]
    assert "not supported" in out["untimed"], out["untimed"]


def check_gauges(out):
    """What is there now, in bytes, of a VM and of all."""
    proc = procfile.ProcFile(out["proc"])
    row = proc.find("backing", vm=out["vm"].strip())
    equal("VMs", len(proc.rows["backing"]), 2)
    told = features.mappings_are_told(out["release"])
    for name in ("host_4k", "host_2m", "ept_4k", "ept_2m", "ept_tables"):
        section = f"gauge {name}"
        if name.startswith("ept") and not told:
            equal(name, counts(out[section]).get(name), None)
            continue
        column = {"ept_tables": "ept_table_kb"}.get(name, f"{name}_kb")
        equal(name, counts(out[section])[name], row[column] * 1024)
        equal(f"{name} of all", counts(out[f"all {name}"])[name],
              sum(one[column] for one in proc.rows["backing"]) * 1024)
    assert row["host_2m_kb"] >= 2048, f"{row}"


def check_cgroup(out):
    """VMs are not a control group's: what all have is not what a tenant has."""
    assert procfile.ProcFile(out["proc"]).rows["backing"][0]["host_4k_kb"] > 0, out["proc"]
    assert "not counted" in out["host_4k"], out["host_4k"]
    equal("violations of a tenant without a VM",
          counts(out["ept_violations"])["ept_violations"], 0)


def names(out):
    """Those of sysfs that this kernel should have."""
    told = features.mappings_are_told(out["release"])
    return sorted(name for name in (*COUNTED, *TIMED, *GAUGES)
                  if told or not name.startswith("ept_") or name.startswith("ept_viol"))


def check_listed(out):
    """perf list has them all, and no other; and each interval has its own part."""
    equal("events in sysfs", out["sysfs"].split(), names(out))
    equal("events of perf list", sorted(set(re.findall(r"kvmmem/(\w+)/", out["list"]))), names(out))
    parts = [float(value) for value in
             re.findall(r"^ *[\d.]+,([\d.]+),.*kvmmem/ept_violations/", out["intervals"], re.M)]
    assert len(parts) > 2 and sum(part > 0 for part in parts) > 1, out["intervals"]
    expect, = out.records("guest", "expect ")
    equal("sum of the intervals", sum(parts), expect["violations"])


def check_kinds(out):
    """What a guest of each kind has, in one go and while nothing else runs."""
    for kind, wanted in KINDS.items():
        seen = counts(out[f"stat {kind}"])
        proc = procfile.ProcFile(out[f"proc {kind}"])
        for name, (row, column) in COUNTED.items():
            # Its birth and death take memory away, too; shadow paging has no violations.
            values = [one[column] for one in proc.rows[row]]
            if row.startswith("inval") or name == "refaults" or None in values:
                continue
            equal(f"{kind}: {name}", seen[name], sum(values))
        for name in wanted:
            if name == "tlb_flushes_range" and not seen[name]:
                equal(f"{kind}: ranges", proc.rows["vpid"][0]["range"], 0)
                continue
            assert seen[name], f"{kind}: no {name}: {seen}"


def check_ends(out):
    """What was counted stays when a VM and its process end."""
    for name in ("wide", "process", "vm"):
        # Its end takes memory away, too, and then there is no row.
        check_counts(out, name, counts(out[name]), without=("inval", "inval_kb"))
    assert out.status("rmmod") != 0, "rmmod under perf stat succeeded"


def check_offline(out):
    """A processor that leaves takes nothing along."""
    equal("processors", out["processors"], "0")
    seen = counts(out["wide"])
    check_counts(out, "wide", seen)
    equal("foretold", seen["ept_violations"], foretold(out, ("one",)))


# Guests, and what they have some of.
KINDS = {
    "nested": ("--pages 8 --op nested-missing --ops 40", ("ept_violations_l2",
               "ept_violations_reflected", "tlb_flushes_nested")),
    "range": ("--pages 8 --vcpus 2 --turns --rounds 2 --op hvrange --ops 7",
              ("tlb_flushes_range",)),
    "paravirtual": ("--pages 8 --steal-time --op pvflush --ops 100", ("tlb_flushes_guest",)),
    "shadow": ("--pages 8 --op cr3 --ops 100", ("shadow", "tlb_flushes_guest")),
}
_KINDS = "".join(f"""
{"load_kvm_shadow; keep_kvmmem" if kind == "shadow" else ""}
kind {kind} {options}
""" for kind, (options, _) in KINDS.items())
KINDS = {kind: wanted for kind, (_, wanted) in KINDS.items()}

SCENARIOS = [
    Scenario("pmu_list", """
load_kvm
load_kvmmem
section release uname -r
section sysfs sh -c 'ls /sys/bus/event_source/devices/kvmmem/events | grep -v "[.]" | sort'
section list perf list --no-desc kvmmem
perf stat -x, -o intervals -I 200 -a -e kvmmem/ept_violations/ \\
    kvmguest --pages 64 --rounds 4 --drop --each 'sleep 0.4' >guest.out
section guest cat guest.out
section intervals cat intervals
""", check_listed, limit=60, host=HOST),
    Scenario("pmu_kinds", f"""
load_kvm
keep_kvmmem
kind() {{
    local kind=$1
    shift
    rm -f perf.pid
    perf stat -x, -o stat -a -e {ALL} sh -c 'echo $$ >perf.pid; exec sleep 600' & perf=$!
    wait_for [ -s perf.pid ]
    sleep 0.2
    kvmguest "$@" --then "
        kill \\$(cat perf.pid)
        while kill -0 $perf 2>/dev/null && ! grep -q invalidated stat; do sleep 0.1; done
        section 'proc $kind' cat /proc/kvmmem" >guest.out || {{ cat guest.out; exit 1; }}
    sed -n '/^@@lab/,$p' guest.out
    wait $perf || :
    section "stat $kind" cat stat
    rm stat
}}
{_KINDS}
""", check_kinds, limit=120, host=HOST),
    Scenario("pmu_stat", f"""
load_kvm
load_kvmmem
{COUNTING}
waiting one --vcpus 2 --turns
waiting two
pid=$(cat one.pid)
tid=$(ls /proc/$pid/task | grep -v "^$pid$" | sort -n | head -n 1)
section tid echo $tid
section before cat /proc/kvmmem
section "before faults" cat /sys/kernel/debug/kvmmem/vms/$(cat one.id)/faults
counting wide -a
counting process -p $pid
counting vm -a
counting threads -t $(ls /proc/$pid/task | grep -v "^$pid$" | paste -sd,)
counting thread -t $tid
go one
go two
section after cat /proc/kvmmem
section "after faults" cat /sys/kernel/debug/kvmmem/vms/$(cat one.id)/faults
counted
section off perf stat -x, -a -e {ALL} true
gone one
gone two
""", check_stat, limit=120, host={**HOST, "cpus": 2}),
    Scenario("pmu_refused", """
load_kvm
load_kvmmem service_time=0
kvmguest --pages 8 >guest.out
section sampling perf record -q -o data -e kvmmem/ept_violations/ -a true || :
section "gauge of a thread" perf stat -x, -e kvmmem/host_4k/ true || :
section "no such vm" perf stat -x, -e kvmmem/ept_violations,vm=1/ -a true || :
section untimed perf stat -x, -e kvmmem/service_time/ -a true || :
""", check_refused, host=HOST),
    Scenario("pmu_gauges", """
load_kvm
load_kvmmem backing_max_age_ms=0
section release uname -r
mkfifo other.fifo
kvmguest --pages 256 --hold other.fifo >other.out &
other=$!
exec 9>other.fifo
wait_for grep -q ^result other.out
kvmguest --pages 1024 --page-size 2m --backing thp --then '
    section vm echo $KVMGUEST_ID
    section proc cat /proc/kvmmem
    for name in host_4k host_2m ept_4k ept_2m ept_tables; do
        section "all $name" perf stat -x, -a -e kvmmem/$name/ true || :
        section "gauge $name" perf stat -x, -a -e kvmmem/$name,vm=${KVMGUEST_ID%-*}/ true || :
    done'
echo >&9
wait $other
""", check_gauges, host=HOST),
    Scenario("pmu_cgroup", """
load_kvm
load_kvmmem backing_max_age_ms=0
mount -t cgroup -o perf_event none /sys/fs/cgroup
mkdir /sys/fs/cgroup/tenant
kvmguest --pages 256 --then '
    section proc cat /proc/kvmmem
    for name in host_4k ept_violations; do
        section $name perf stat -x, -a -e kvmmem/$name/ -G tenant sh -c "
            echo \\$\\$ >/sys/fs/cgroup/tenant/cgroup.procs
            timeout 0.5 sh -c \\"while :; do :; done\\"" || :
    done'
umount /sys/fs/cgroup
""", check_cgroup, host=HOST),
    Scenario("pmu_ends", f"""
load_kvm
load_kvmmem
{COUNTING}
waiting one
section before cat /proc/kvmmem
counting wide -a
counting process -p $(cat one.pid)
counting vm -a
go one
section after cat /proc/kvmmem
gone one
wait_for grep -q "^total *0 *1 " /proc/kvmmem
section "rmmod" rmmod kvmmem || :
counted
""", check_ends, limit=60, host=HOST),
    Scenario("pmu_offline", f"""
load_kvm
load_kvmmem
{COUNTING}
# It runs on the processor that leaves, and then on the other.
SECOND='echo 0 >/sys/devices/system/cpu/cpu1/online'
waiting one --pin 1
section before cat /proc/kvmmem
counting wide -a
go one
section processors cat /sys/devices/system/cpu/online
section after cat /proc/kvmmem
counted
echo 1 >/sys/devices/system/cpu/cpu1/online
gone one
""", check_offline, limit=60, host={**HOST, "cpus": 2}),
]
