# SPDX-License-Identifier: GPL-2.0
"""kvmmem's trace events, by the distribution's perf and trace-cmd.

What the events say is held against what /proc/kvmmem counted meanwhile, over guests
whose counts are known beforehand.
"""

import collections
import re

import features
import procfile
from host import Scenario, pairs
from suite_lab import equal
from suite_time import prepare as prepare_slow, tables

PAGES = 100
ROUNDS = 3
TOOLS = ("perf", "trace-cmd")
# So that only hosts that need the tools get them.
HOST = {"memory_mb": 640}
EVENTS = ("ept_violation", "huge_recovered", "huge_split", "invalidate", "tlb_flush",
          "vcpu_stuck", "vm_begin", "vm_end")

# Invalidations are counted from some milliseconds after a VM's birth.
ASK = """
    . /lab/lib.sh
    known() { grep -q "^inval  *$KVMGUEST_ID  *[0-9]" /proc/kvmmem; }
    wait_for known
    section "proc $GUEST" cat /proc/kvmmem
    section "latency $GUEST" cat /sys/kernel/debug/kvmmem/vms/$KVMGUEST_ID/latency
"""

# Of each kind of event some.
GUESTS = {
    "touch": f"--pages {PAGES} --access read,write,exec --mmio 4 --rounds {ROUNDS} --drop",
    "huge": "--pages 1024 --page-size 2m --backing thp --rounds 5 --dirty-log=1 --dirty-log-off=3",
    "nested": "--pages 8 --op nested-missing --ops 10",
}

_RUNS = "".join(f"""
GUEST={name} kvmguest {how} --then '{ASK}' >/tmp/guest.{name} ||
    {{ cat /tmp/guest.{name}; exit 1; }}
""" for name, how in GUESTS.items())
# Runs the guests one after the other, and waits until the last one's end is told.
SCRIPT = f"""
cat >/tmp/guests.sh <<'END'
. /lab/lib.sh
{_RUNS}
wait_for grep -q "^total *0 *{len(GUESTS)} " /proc/kvmmem
sleep 0.2
END
shown() {{
    local name
    for name in {" ".join(GUESTS)}; do
        section "guest $name" cat /tmp/guest.$name
    done
    section release uname -r
}}
load_kvm
"""


def prepare(image, kernel, vendor):
    """The module, slow guests, perf and trace-cmd."""
    prepare_slow(image, kernel, vendor)
    for tool in TOOLS:
        image.add_program(tool, f"lab/bin/{tool}")


class Trace:
    """Events by the name, of one tool's output."""

    def __init__(self, text):
        self.events = collections.defaultdict(list)
        for line in text.splitlines():
            found = re.search(r"\b(?:kvmmem:)?(\w+): +(vm=.*)$", line)
            if found:
                self.events[found[1]].append(pairs(found[2]))

    def all(self, event):
        """The events of a kind."""
        return self.events[event]

    def about(self, event, ident):
        """The events of a kind of one VM."""
        return [one for one in self.events[event] if one["vm"] == ident]


def sums_by(events, key, weight=None):
    """{value of a field: how many events, or the sum of another field}."""
    sums = collections.Counter()
    for one in events:
        sums[one[key]] += one[weight] if weight else 1
    return dict(sums)


def nonzero(row, columns):
    """The columns of a row that are neither 0 nor unknown."""
    return {column: row[column] for column in columns if row[column]}


class Seen:
    """What there is of one VM: its rows, and its events."""

    def __init__(self, out, guest, trace):
        shown = out[f"guest {guest}"] if f"guest {guest}" in out else ""
        self.guest = guest
        self.ident = re.search(r"^guest .*\bid=(\S+)", shown, re.M)[1]
        self.proc = procfile.ProcFile(out[f"proc {guest}"])
        self.latency = tables(out[f"latency {guest}"])
        self.trace = trace
        self.release = out["release"]

    def row(self, kind):
        """The VM's row of a kind."""
        return self.proc.find(kind, vm=self.ident)

    def check_violations(self):
        """One event a violation, with the fields that the rows sum up."""
        events, fault = self.trace.about("ept_violation", self.ident), self.row("fault")
        equal(f"{self.guest}: ept_violation", len(events), fault["ept_violations"])
        equal(f"{self.guest}: access", sums_by(events, "access"),
              nonzero(fault, ("read", "write", "exec")))
        equal(f"{self.guest}: protection", sums_by(events, "cause").get("protection", 0),
              fault["protection"])
        equal(f"{self.guest}: walk", sums_by(events, "walk").get(1, 0), fault["page_walk"])
        outcome = self.row("outcome")
        equal(f"{self.guest}: l2", sums_by(events, "l2").get(1, 0), outcome["l2"])
        self.check_outcomes(sums_by(events, "outcome"), outcome)
        self.check_times(events)

    def check_outcomes(self, outcomes, row):
        """As KVM counts; a fast fault is in another column, too."""
        reflected = outcomes.pop("reflected", 0)
        equal(f"{self.guest}: reflected", reflected, row["reflected"])
        if row["fixed"] is None:
            equal(f"{self.guest}: outcomes", set(outcomes) - {"-"}, set())
            return
        equal(f"{self.guest}: fast", outcomes.get("fast", 0), row["fast"])
        # KVM's counts have the first MMIO access to a page, too.
        mmio = self.row("fault")["mmio"]
        equal(f"{self.guest}: retried", outcomes.get("retried", 0) + reflected, row["retried"])
        assert 0 <= row["emulated"] - outcomes.get("emulated", 0) <= mmio, f"{outcomes}, {row}"
        ended = sum(outcomes.get(word, 0) for word in ("fixed", "spurious", "fast"))
        equal(f"{self.guest}: fixed, spurious", ended, row["fixed"] + row["spurious"])

    def check_times(self, events):
        """Each event's time is rounded down, the sum of all is once."""
        times = [one["ns"] for one in events if one["ns"] >= 0]
        row = self.row("time")
        equal(f"{self.guest}: served", len(times), row["served"])
        total = sum(one["total_ns"] for one in self.latency["service"])
        assert 0 <= total - sum(times) <= len(times) + 3, \
            f"{self.guest}: events took {sum(times)} ns, by the histogram {total}"
        buckets = {one["from_ns"]: one["count"] for one in self.latency["latency"]
                   if one["count"]}
        equal(f"{self.guest}: histogram",
              sums_by([{"from": 0 if ns < 256 else 1 << min(ns.bit_length() - 1, 30)}
                  for ns in times], "from"), buckets)

    def check_flushes(self):
        """By tag and cause."""
        rows = self.proc.all("vpid", vm=self.ident)
        events = self.trace.about("tlb_flush", self.ident)
        wanted = {cause: sum(row[cause] for row in rows)
                  for cause in ("remote", "guest", "nested", "tag", "other", "range")}
        equal(f"{self.guest}: flushes", sums_by(events, "cause", "count"),
              nonzero(wanted, wanted))
        # A tag's row may have gone into that of the rest. What came before a vCPU's first
        # entry is in its first row, and had no tag yet.
        tags = sums_by(events, "tag", "count")
        for row in rows:
            if row["vpid"] is not None:
                seen = tags.get(row["vpid"], 0) + tags.get(-1, 0)
                assert seen >= row["flushes"] + row["range"], f"{self.guest}: {row}: {seen}"

    def check_invalidations(self):
        """By initiator, with sizes; those of the VM's end come after the rows."""
        events = self.trace.about("invalidate", self.ident)
        calls, sizes = self.row("inval"), self.row("inval_kb")
        for initiator in ("discard", "reclaim", "thp", "fork", "protect"):
            mine = [one for one in events if one["initiator"] == initiator]
            equal(f"{self.guest}: {initiator}", len(mine), calls[initiator])
            equal(f"{self.guest}: {initiator} KiB", sum(one["size"] for one in mine) // 1024,
                  sizes[initiator])

    def check_life(self):
        """It begins and ends once, with its totals."""
        begin, = self.trace.about("vm_begin", self.ident)
        end, = self.trace.about("vm_end", self.ident)
        equal(f"{self.guest}: comm", [begin["comm"], end["comm"]], ["kvmguest"] * 2)
        equal(f"{self.guest}: total", end["ept_violations"], self.row("fault")["ept_violations"])
        equal(f"{self.guest}: vCPUs", end["vcpus"], 1)
        equal(f"{self.guest}: served", end["served"], self.row("time")["served"])


def check_all(out):
    """The events of all guests, against their rows."""
    trace = Trace(out["events"])
    for guest in GUESTS:
        seen = Seen(out, guest, trace)
        seen.check_violations()
        seen.check_flushes()
        seen.check_invalidations()
        seen.check_life()
    touch = Seen(out, "touch", trace)
    equal("violations", touch.row("fault")["ept_violations"] >= PAGES * ROUNDS, True)
    addresses = {one["gpa"] for one in trace.about("ept_violation", touch.ident)}
    assert len(addresses) >= PAGES, f"{len(addresses)} addresses"
    told = features.mappings_are_told(out["release"])
    equal("pages", set(sums_by(trace.about("ept_violation", touch.ident), "page")) - {"-"},
          {"4k"} if told else set())
    huge = sums_by(trace.about("ept_violation", Seen(out, "huge", trace).ident), "page")
    equal("2M pages", huge.get("2m", 0) > 0, told)
    if told:
        check_huge(Seen(out, "huge", trace))


def check_huge(seen):
    """Huge mappings that are split are as many as the row says."""
    row = seen.row("huge")
    splits = sums_by(seen.trace.about("huge_split", seen.ident), "cause")
    equal("huge_split", splits.get("dirty_log", 0), row["dirty_log_split"])
    assert row["dirty_log_split"], f"{row}"
    equal("huge_recovered", len(seen.trace.about("huge_recovered", seen.ident)), row["recovered"])
    # Before 6.13 KVM drops the small ones, and the guest's next faults install huge ones.
    newer = tuple(map(int, seen.release.split(".")[:2])) >= (6, 13)
    equal("some were put back", row["recovered"] > 0, newer)


def check_stuck(out):
    """The one vCPU that does not get on, again and again."""
    events = Trace(out["events"]).all("vcpu_stuck")
    assert events, "no vcpu_stuck"
    for one in events:
        equal("vm", one["vm"], out.values("id")["id"])
        equal("vcpu", one["vcpu"], 0)
        assert one["since_ms"] >= 1000, f"{one}"
        # Under shadow paging nobody knows the guest-physical one.
        equal("gpa", int(one["gpa"], 16),
              2**64 - 1 if "shadow" in out.sections else 0x40000000)


def expected(out):
    """How many violations the guest has computed that it will have."""
    return int(re.search(r"^expect .*\bviolations=(\d+)", out.text, re.M)[1])


def check_untimed(out):
    """While nobody measures, the event is where the fault is."""
    events = Trace(out["events"]).all("ept_violation")
    equal("times", sums_by(events, "ns"), {-1: expected(out)})
    equal("outcomes", sums_by(events, "outcome"), {"-": expected(out)})


def check_rmmod(out):
    """perf keeps kvmmem loaded; plain ftrace does not, and loses what it had."""
    equal("events in the buffer", out.values("before")["events"], expected(out))
    assert out.status("rmmod under perf") != 0, "rmmod under perf succeeded"
    assert "Resource temporarily unavailable" in out["rmmod under perf"], \
        out["rmmod under perf"]
    equal("rmmod under ftrace", out.status("rmmod under ftrace"), 0)
    equal("events afterwards", out.values("after")["events"], 0)
    equal("events of the second load", out.values("again")["events"], expected(out))


def check_lockdown(out):
    """Under lockdown for confidentiality tracefs is closed, and counting goes on."""
    for mode, shown in (("integrity", expected(out)), ("confidentiality", 0)):
        equal(f"perf stat under {mode}", out[f"{mode} stat"].split()[0], str(expected(out)))
        equal(f"perf script under {mode}", int(out[f"{mode} script"]), shown)
    equal("tracefs", [out.status("integrity trace"), out.status("confidentiality trace")], [0, 1])


STUCK = """
{load}
load_kvmmem stuck_ms=1000
echo 1 >$_tracing/events/kvmmem/vcpu_stuck/enable
slowguest retry 5000 1 '. /lab/lib.sh; section id echo id=$KVMGUEST_ID
    wait_for grep -q vcpu_stuck: $_tracing/trace' >guest.out ||
    {{ cat guest.out; exit 1; }}
sed -n '/^@@lab/,$p' guest.out
section events grep vcpu_stuck: $_tracing/trace
echo 0 >$_tracing/events/kvmmem/vcpu_stuck/enable
"""

SCENARIOS = [
    Scenario("perf_events", f"""
{SCRIPT}
load_kvmmem huge_flows=1
perf record -a -B -N -q -m 1024 -o data -e 'kvmmem:*' -- sh -e /tmp/guests.sh
section events perf script -i data -F comm,tid,cpu,time,event,trace 2>err
shown
""", check_all, limit=300, host=HOST),
    Scenario("perf_trace_cmd", f"""
{SCRIPT}
load_kvmmem huge_flows=1
trace-cmd record -q -b 4096 -o data -e kvmmem sh -e /tmp/guests.sh
section events trace-cmd report -q -i data
shown
""", check_all, limit=300, host=HOST),
    Scenario("perf_stuck", STUCK.format(load="load_kvm"), check_stuck, limit=60),
    Scenario("perf_stuck_shadow", STUCK.format(load="load_kvm_shadow; section shadow true"),
             check_stuck, limit=60),
    Scenario("perf_untimed", f"""
load_kvm
load_kvmmem service_time=0
echo 1 >$_tracing/events/kvmmem/ept_violation/enable
kvmguest --pages {PAGES}
section events grep ept_violation: $_tracing/trace
echo 0 >$_tracing/events/kvmmem/ept_violation/enable
""", check_untimed),
    Scenario("perf_rmmod", f"""
load_kvm
event=$_tracing/events/kvmmem/ept_violation/enable
seen() {{ echo events=$(grep -c ept_violation: $_tracing/trace); }}
load_kvmmem
perf record -q -o data -e kvmmem:ept_violation -a sleep 600 &
wait_for grep -qv "^0$" /sys/module/kvmmem/refcnt
section "rmmod under perf" rmmod kvmmem || :
kill -INT $!
wait $! || :
echo 1 >$event
kvmguest --pages {PAGES}
section before seen
section "rmmod under ftrace" unload_kvmmem
section after seen
load_kvmmem
echo 1 >$event
kvmguest --pages {PAGES}
section again seen
echo 0 >$event
unload_kvmmem
""", check_rmmod, limit=240, host=HOST),
    Scenario("perf_lockdown", f"""
load_kvm
load_kvmmem
[ -e /sys/kernel/security/lockdown ] || mount -t securityfs securityfs /sys/kernel/security
for mode in integrity confidentiality; do
    echo $mode >/sys/kernel/security/lockdown
    perf stat -x' ' -a -o stat -e kvmmem/ept_violations/ kvmguest --pages {PAGES} >guest.out
    section "$mode stat" grep ept_violations stat
    perf record -q -a -o data -e kvmmem:ept_violation kvmguest --pages {PAGES} >guest.out
    section "$mode script" sh -c "perf script -i data -F event,trace 2>err | wc -l"
    section "$mode trace" cat $_tracing/trace || :
done
cat guest.out
""", check_lockdown, limit=240, host={**HOST, "cmdline": "lsm=lockdown"}),
]
