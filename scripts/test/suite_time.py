# SPDX-License-Identifier: GPL-2.0
"""Service time: where it goes, that it adds up, and which vCPUs do not get on.

slowguest (host/slowguest.c) makes guests whose faults the host is slow to serve, for a
time that is known beforehand. KVM's tracepoints of exits and entries are the witness.
"""

import pathlib

import debugkernel
import features
import hostmodule
import image as images
import kmod
from host import Scenario
from procfile import ProcFile, table
from suite_lab import equal

HERE = pathlib.Path(__file__).resolve().parent
MS = 20
PAGES = 30
ASK = """
section "id $WHAT" echo id=$KVMGUEST_ID
section "proc $WHAT" cat /proc/kvmmem
cat /sys/kernel/debug/kvmmem/registry >/dev/null
for name in latency stuck audit; do
    section "$name $WHAT" cat /sys/kernel/debug/kvmmem/$([ $name = audit ] ||
        echo vms/$KVMGUEST_ID/)$name
done
again() {
    for n in $(seq 50); do
        tail -n 1 /sys/kernel/debug/kvmmem/vms/$KVMGUEST_ID/stuck
    done
}
[ $WHAT != retry ] || section "again $WHAT" again
"""


def prepare(image, kernel, vendor):
    """The module, and the slow guest."""
    kmod.prepare(image, kernel, vendor)
    image.add("lab/bin/slowguest",
              images.helper_program(HERE / "host/slowguest.c").read_bytes(), 0o755)
    image.add_file(hostmodule.build(kernel, hostmodule.TSCLOST), "lab/tsclost.ko")


def tables(text):
    """All tables of a file, by the first word of their header."""
    found = {}
    for part in text.split("# ")[1:]:
        kind = part.split(None, 1)[0]
        found[kind] = table("# " + part)
    return found


class Seen:
    """What there was to see of one guest."""

    def __init__(self, out, what, running=False):
        self.ident = out.records(f"id {what}", "id=")[0]["id"]
        self.proc = ProcFile(out[f"proc {what}"])
        self.time = self.proc.find("time", vm=self.ident)
        self.fault = self.proc.find("fault", vm=self.ident)
        self.latency = tables(out[f"latency {what}"])
        self.stuck = table(out[f"stuck {what}"])
        self.again = []
        if what == "retry":
            header = out[f"stuck {what}"].split("\n", 1)[0]
            self.again = table("\n".join((header, out[f"again {what}"])))
            equal("readings of stuck", len(self.again), 50)
        equal(f"{what}: lost", self.proc.host["lost"], 0)
        if not running:
            self.check_sums(what)

    def check_sums(self, what):
        """Whatever is shown twice is the same."""
        row, service = self.time, self.latency["service"]
        timed = sum(one["count"] for one in self.latency["latency"])
        equal(f"{what}: served", row["served"], timed)
        equal(f"{what}: served by access", sum(one["served"] for one in self.latency["access"]),
              timed)
        for one in self.latency["access"]:
            under_way = sum(row["count"] for row in self.latency["untimed"])
            assert 0 <= self.fault[one["access"]] - one["served"] <= under_way, \
                f"{what}: {one} and {self.fault}"
        for column in ("served", "total_ns"):
            sizes = [one[column] for one in self.latency["size"]]
            if None not in sizes:
                equal(f"{what}: {column} by size", sum(sizes),
                      sum(one[column] for one in service))
        parts = row["kvm_us"] + row["asleep_us"] + row["user_us"]
        assert abs(row["total_us"] - parts) <= 3, f"{what}: {row}"
        for column in ("total", "kvm", "asleep", "user"):
            ns = sum(one[f"{column}_ns"] for one in service)
            assert abs(ns - 1000 * row[f"{column}_us"]) <= 1000 * len(service), \
                f"{what}: {column} {ns} ns, {row}"
        assert row["p50_ns"] <= row["p99_ns"] <= row["max_ns"], f"{what}: {row}"


def near(what, got, expected, more):
    """Not less than expected, and not more than so much more.

    A guest sleeps by the kernel's clock and is measured by the TSC, whose frequency the
    kernel has measured: an emulated one's is off by up to a hundredth or two."""
    assert expected * 0.98 <= got <= expected * (1 + more), \
        f"{what} is {got}, expected {expected}"


def slow(name, what, check, ms=MS, pages=PAGES, stuck_ms=1000, **how):
    """A scenario with one slow guest."""
    return Scenario(name, f"""
export WHAT={what}
load_kvm
{"keep" if stuck_ms == 1000 else "load"}_kvmmem stuck_ms={stuck_ms}
cat >/tmp/ask.sh <<'SCRIPT'
. /lab/lib.sh
{ASK}
SCRIPT
slowguest {what} {ms} {pages} 'sh -e /tmp/ask.sh' >guest.out || {{ cat guest.out; exit 1; }}
sed -n '/^@@lab/,$p' guest.out
""", lambda out: check(Seen(out, what, what in ("retry", "drop", "rep",
                                                                   "readonly"))), **how)


def asleep(seen):
    """KVM waits in its fault for somebody who takes his time."""
    near("asleep_us", seen.time["asleep_us"], PAGES * MS * 1000, 0.5)
    equal("user_us", seen.time["user_us"], 0)
    equal("async", seen.time["async"], 0)
    assert seen.time["kvm_us"] < seen.time["total_us"] / 2, f"{seen.time}"
    near("max_ns", seen.time["max_ns"], MS * 1000000, 3)


def in_user(seen):
    """The process is asked each time, and sleeps."""
    near("user_us", seen.time["user_us"], PAGES * MS * 1000, 0.5)
    assert seen.time["asleep_us"] < MS * 1000, f"{seen.time}"


def in_user_and_asleep(seen):
    """The process takes its time, and then KVM does, before the guest runs again.

    Since when the process had it is not known, so what it did not sleep is the process's."""
    near("user_us", seen.time["user_us"], PAGES * MS * 1000, 0.5)
    near("asleep_us", seen.time["asleep_us"], PAGES * MS * 1000, 0.5)
    # It was half of all when the process's time was taken for KVM's.
    assert seen.time["kvm_us"] < seen.time["total_us"] / 8, f"{seen.time}"


def beside(seen):
    """KVM has a worker fetch the page, and halts the vCPU meanwhile."""
    service, = seen.latency["service"]
    equal("async", seen.time["async"], PAGES)
    equal("ready", service["ready"], PAGES)
    near("async_ns", service["async_ns"], PAGES * MS * 1000000, 0.5)


def stuck(repeats):
    """A scenario's check: one vCPU does not get on, on the first page of the data."""
    def check(seen):
        equal("stuck", seen.time["stuck"], 1)
        row, = seen.stuck
        equal("gpa", int(str(row["gpa"]), 16) & ~0xfff, 0x40000000)
        assert row["since_ms"] >= 1000, f"{row}"
        assert row["repeats"] >= 128 if repeats else not row["repeats"], f"{row}"
        # Whenever one looks, in the middle of a fault as between two.
        for again in seen.again:
            assert int(again["repeats"]) >= row["repeats"], f"{again}, after {row}"
        outcome = seen.proc.find("outcome", vm=seen.ident)
        if outcome["fixed"] is not None:
            assert not repeats or outcome["retried"] >= 128, f"{outcome}"
    return check


def not_stuck(least):
    """A scenario's check: faults without end, and the guest gets on each time."""
    def check(seen):
        assert seen.fault["ept_violations"] >= least, f"{seen.fault}"
        equal("stuck", seen.time["stuck"], 0)
        equal("rows of stuck", seen.stuck, [])
    return check


# Sums of what the tracepoints say, in microseconds: from the exit to the entry after it.
WITNESS = r"""
tracing=/sys/kernel/tracing
witness_start() {
    echo mono >$tracing/trace_clock
    echo 16000 >$tracing/buffer_size_kb
    echo >$tracing/trace
    for event in kvm_exit kvm_page_fault kvm_entry; do
        echo 1 >$tracing/events/kvm/$event/enable
    done
}
witness_stop() {
    for event in kvm_exit kvm_page_fault kvm_entry; do
        echo 0 >$tracing/events/kvm/$event/enable
    done
    awk '!/^#/ {
        at = match($0, /[0-9]+\.[0-9]+: kvm_/)
        split(substr($0, at), word, /: */)
        if (word[2] == "kvm_exit") { exit_at = word[1]; fault = 0 }
        else if (word[2] == "kvm_page_fault") fault = 1
        else if (word[2] == "kvm_entry") {
            if (fault) { n++; us += (word[1] - exit_at) * 1000000 }
            fault = 0
        }
    }
    END { printf "faults=%d us=%d\n", n, us }' $tracing/trace
    echo >$tracing/trace
}
"""


def check_witness(out):
    """Within a hundredth of what the tracepoints say."""
    seen = Seen(out, "witness")
    witness = out.values("witness")
    equal("served", seen.time["served"], witness["faults"])
    equal("served by huge mappings", seen.latency["size"][1]["served"],
          seen.proc.find("huge", vm=seen.ident)["installed"])
    off = abs(seen.time["total_us"] - witness["us"])
    assert off <= witness["us"] / 100, f"{seen.time} and {witness}"


def witnessed(name, guest, **how):
    """A scenario with a guest whose faults the tracepoints time, too."""
    return Scenario(name, f"""
export WHAT=witness
{WITNESS}
load_kvm
keep_kvmmem stuck_ms=1000
witness_start
# Until the VM's memory is followed, what is huge is not known.
kvmguest {guest} --then '
    until grep "^inval " /proc/kvmmem | grep -qv " - "; do sleep 0.05; done
    {ASK}' >guest.out || {{ cat guest.out; exit 1; }}
witness_stop >witness.out
sed -n '/^@@lab/,$p' guest.out
section witness cat witness.out
""", check_witness, **how)


def busy(name, seconds, **how):
    """Ten guests that fault all the while, more than there are processors: none is stuck."""
    def check(out):
        equal("guests", len(ProcFile(out["proc"]).rows["vm"]), 10)
        looks = out.records("looks", "look ")
        assert len(looks) >= seconds / 8, f"{len(looks)} looks"
        least = min(one["least"] for one in looks)
        assert least > 10, f"a guest that faulted {least} times from one look to the next"
        equal("stuck", [one for one in looks if one["stuck"]], [])
        equal("said of it in the log", out["said"], "")

    return Scenario(name, f"""
load_kvm
load_kvmmem stuck_ms=2000 stuck_log=1
for i in 1 2 3 4 5 6 7 8 9 10; do
    kvmguest --pages 512 --rounds 2 --drop --forever >/dev/null & guests="$guests $!"
done
begun() {{ [ "$(ls /sys/kernel/debug/kvmmem/vms | wc -l)" = 10 ]; }}
wait_for begun
look() {{
    awk 'NR == FNR {{ last[$2] = $3; next }}
        $1 == "time" {{ stuck += $NF }}
        $1 == "fault" {{ n = $3 - last[$2]; if (least == "" || n < least) least = n }}
        END {{ printf "look least=%d stuck=%d\\n", least, stuck }}' before now
}}
grep ^fault /proc/kvmmem >before
end=$(($(date +%s) + {seconds}))
while [ $(date +%s) -lt $end ]; do
    sleep 1
    cat /proc/kvmmem >now
    look >>looks
    grep ^fault now >before
done
section looks cat looks
section proc cat /proc/kvmmem
section said sh -c 'dmesg | grep "has not got on" || true'
kill $guests
wait $guests || true
""", check, limit=seconds * 2 + 60, **how)


def check_lost(out):
    """Time is unknown from then on, 'hooks' says so, and faults are counted."""
    names = ["kvm_sched_out", "kvm_sched_in", "kvm_async_pf_not_present", "kvm_async_pf_ready",
             "kvm_exit" if out["vendor"] == "kvm-intel" else "kvm_entry"]
    for when, lost in (("before", False), ("after", True)):
        proc = ProcFile(out[when])
        equal(f"{when}: time is known", proc.rows["time"][0]["served"] is not None, not lost)
        assert proc.rows["fault"][0]["ept_violations"] >= 64, proc.rows["fault"]
        equal(f"{when}: hooks that say so",
              {row["name"] for row in table(out[f"hooks {when}"])
               if row["why_not"] == "tsc-not-usable"}, set(names) if lost else set())


SCENARIOS = [
    # The kernel finds out that the TSC is not to be relied on; until the next boot.
    Scenario("time_lost", """
section vendor kvm_vendor
load_kvm; load_kvmmem
for when in before after; do
    kvmguest --pages 64 --then "
        section $when cat /proc/kvmmem"
    section "hooks $when" cat /sys/kernel/debug/kvmmem/hooks
    [ $when = after ] || insmod /lab/tsclost.ko
done
rmmod tsclost
unload_kvmmem
""", check_lost, host={"memory_mb": 576}),
    busy("not_stuck_busy", 8),
    witnessed("time_witness", "--pages 600 --access read,write,exec --rounds 3 --drop",
              vendors=("intel",)),
    # An event is stamped when some 100 instructions of its own have passed, on cold caches
    # after an exit: the clock counts instructions, and faults are long.
    witnessed("time_witness_huge", "--pages 50 --stride 512 --page-size 2m --rounds 2 --drop",
              vendors=("amd",), host={"icount": True}, limit=60),
    slow("time_asleep", "fault", asleep),
    slow("time_in_user", "efault", in_user),
    slow("time_in_user_and_asleep", "both", in_user_and_asleep),
    slow("time_async", "async", beside),
    slow("stuck_in_a_fault", "never", stuck(False), ms=5000, pages=1),
    slow("stuck_repeating", "retry", stuck(True), ms=5000, pages=1),
    slow("stuck_at_once", "retry", stuck(True), ms=5000, pages=1, stuck_ms=0),
    slow("not_stuck_readonly", "readonly", not_stuck(500), ms=6000, pages=1),
    slow("not_stuck_reset", "reset", not_stuck(1), ms=5000, pages=1),
    *(slow(f"not_stuck_{name}", what, not_stuck(500), ms=6000, pages=1, stuck_ms=stuck_ms,
           kernels=kernels)
      for name, what in (("refaulting", "drop"), ("filling", "rep"))
      # 5.10 begins a fault anew whatever memory of the process is taken away meanwhile, so
      # that a vCPU may well stand for a second.
      for stuck_ms, kernels in ((1000, (*features.KERNELS[1:], *debugkernel.NAMES)),
                                (2500, features.KERNELS[:1]))),
]
