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

# What perf stat is asked for: the row of /proc/kvmmem, and the column.
COUNTED = {
    "ept_violations": ("fault", "ept_violations"),
    "ept_violations_read": ("fault", "read"),
    "ept_violations_write": ("fault", "write"),
    "ept_violations_exec": ("fault", "exec"),
    "ept_violations_protection": ("fault", "protection"),
    "ept_violations_page_walk": ("fault", "page_walk"),
    "mmio": ("fault", "mmio"),
    "served": ("time", "served"),
    "tlb_flushes": ("vpid", "flushes"),
    "tlb_flushes_remote": ("vpid", "remote"),
    "invalidations_discard": ("inval", "discard"),
    "refaults": ("inval", "refaults"),
}
ALL = ",".join(f"kvmmem/{name}/" for name in [*COUNTED, "service_time"])

# Guests that wait after a round, and perf stat beside them. One guest's id is in the
# file NAME.id; perf's result in the section that "counting" names.
COUNTING = f"""
waiting() {{
    mkfifo $1.go $1.end
    export NAME=$1
    kvmguest --pages {PAGES} --access read,write,exec --mmio 4 --rounds 4 --drop \\
        --each '[ $KVMGUEST_ROUND != 1 ] || {{
            echo ${{KVMGUEST_ID%-*}} >$NAME.pid; echo $KVMGUEST_ID >$NAME.id
            read line <$NAME.go || :; }}' --hold $1.end >$1.out &
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


def check_counts(out, what, seen, ident=""):
    """perf's counts are those of the rows."""
    for name, (kind, column) in COUNTED.items():
        equal(f"{what}: {name}", seen[name], grown(out, ident, kind, column))
    row_us = grown(out, ident, "time", "total_us")
    if row_us is None:
        equal(f"{what}: service_time", seen["service_time"], None)
        return
    assert abs(seen["service_time"] / 1000 - row_us) <= seen["served"] / 1000 + 4, \
        f"{what}: {seen['service_time']} ns, by the row {row_us} us"


def check_stat(out):
    """System-wide, by process, thread and VM; and 0 off."""
    one, two = (re.search(r"^guest .*\bid=(\S+)", out[f"guest {name}"], re.M)[1]
                for name in ("one", "two"))
    check_counts(out, "wide", counts(out["wide"]))
    for name in ("process", "vm", "threads"):
        check_counts(out, name, counts(out[name]), one)
    assert grown(out, two, "fault", "ept_violations") >= 3 * PAGES
    off = counts(out["off"])
    equal("events off", len(off), len(COUNTED) + 1)
    equal("off", {name: value for name, value in off.items() if value}, {})


def check_refused(out):
    """What cannot be done says so, in perf's own words."""
    assert "doesn't support sampling" in out["sampling"], out["sampling"]
    assert out.status("sampling") != 0
    assert "not supported" in out["gauge of a thread"], out["gauge of a thread"]
    assert "No such process" in out["no such vm"], out["no such vm"]
    assert "not supported" in out["untimed"], out["untimed"]


def check_gauges(out):
    """What is there now, in bytes."""
    row = procfile.ProcFile(out["proc"]).rows["backing"][0]
    told = features.mappings_are_told(out["release"])
    for name in ("host_4k", "host_2m", "ept_4k", "ept_2m", "ept_tables"):
        section = f"gauge {name}"
        if name.startswith("ept") and not told:
            equal(name, counts(out[section]).get(name), None)
            continue
        column = {"ept_tables": "ept_table_kb"}.get(name, f"{name}_kb")
        equal(name, counts(out[section])[name], row[column] * 1024)
    assert row["host_2m_kb"] >= 2048, f"{row}"


def check_ends(out):
    """What was counted stays when a VM and its process end."""
    for name in ("wide", "process", "vm"):
        check_counts(out, name, counts(out[name]))
    assert out.status("rmmod") != 0, "rmmod under perf stat succeeded"


def check_offline(out):
    """A processor that leaves takes nothing along."""
    equal("processors", out["processors"], "0")
    check_counts(out, "wide", counts(out["wide"]))


SCENARIOS = [
    Scenario("pmu_stat", f"""
load_kvm
load_kvmmem
{COUNTING}
waiting one
waiting two
pid=$(cat one.pid)
section before cat /proc/kvmmem
counting wide -a
counting process -p $pid
counting vm -a
counting threads -t $(ls /proc/$pid/task | grep -v "^$pid$" | paste -sd,)
go one
go two
section after cat /proc/kvmmem
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
kvmguest --pages 1024 --page-size 2m --backing thp --then '
    section proc cat /proc/kvmmem
    for name in host_4k host_2m ept_4k ept_2m ept_tables; do
        section "gauge $name" perf stat -x, -a -e kvmmem/$name,vm=${KVMGUEST_ID%-*}/ true || :
    done'
""", check_gauges, host=HOST),
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
waiting one
section before cat /proc/kvmmem
counting wide -a
echo 0 >/sys/devices/system/cpu/cpu1/online
section processors cat /sys/devices/system/cpu/online
go one
section after cat /proc/kvmmem
counted
echo 1 >/sys/devices/system/cpu/cpu1/online
gone one
""", check_offline, limit=60, host={**HOST, "cpus": 2}),
]
