# SPDX-License-Identifier: GPL-2.0
"""Faults of a nested guest are told from L1's own, and whose they were to serve.

L0 takes every fault of a nested guest. What L1's tables lack it hands to L1.
"""

import kmod
import procfile
from host import Scenario
from suite_lab import equal

prepare = kmod.prepare

TIMES = 40

ASK = """
    cat /sys/kernel/debug/kvmmem/registry >/dev/null
    section "proc $GUEST" cat /proc/kvmmem
    section "audit $GUEST" cat /sys/kernel/debug/kvmmem/audit
    section "latency $GUEST" cat /sys/kernel/debug/kvmmem/vms/$KVMGUEST_ID/latency
    section "kvm $GUEST" kvmstat $KVMGUEST_ID pf_taken pf_fixed pf_fast pf_spurious \\
        pf_emulate pf_mmio_spte_created
"""

GUESTS = {"alone": "--pages 8 --mmio 8 --mmio-pages 2",
          "halts": f"--pages 8 --op nested --ops {TIMES}",
          "missing": f"--pages 8 --op nested-missing --ops {TIMES}",
          "reserved": f"--pages 8 --op nested-reserved --ops {TIMES}"}


def check_outcome(what, row, kvm):
    """What KVM counts, where it does."""
    for column, field in (("fixed", "pf_fixed"), ("fast", "pf_fast"),
                          ("spurious", "pf_spurious"), ("emulated", "pf_emulate"),
                          ("mmio", "pf_mmio_spte_created")):
        equal(f"{what}: {column}", row[column],
              None if kvm["pf_taken"] == "-" else kvm[field])
    if kvm["pf_taken"] != "-":
        equal(f"{what}: sum of outcomes", row["fixed"] + row["spurious"] + row["emulated"] +
              row["retried"], kvm["pf_taken"])


def check_nested(out):
    """L2's faults, and those that L1 was given."""
    for guest in GUESTS:
        proc = procfile.ProcFile(out[f"proc {guest}"])
        ident = out.records(f"guest {guest}", "guest ")[0]["id"]
        row = proc.find("outcome", vm=ident)
        faults = proc.find("fault", vm=ident)
        check_outcome(guest, row, out.values(f"kvm {guest}"))
        tables = guest in ("missing", "reserved")
        equal(f"{guest}: reflected", row["reflected"], TIMES if tables else 0)
        if tables:
            # L0 serves its code, and four tables on the way to it and to the address; it
            # may map some of those along with others.
            assert 1 <= row["l2"] - row["reflected"] <= 5, f"{guest}: {row}"
            equal(f"{guest}: mmio", faults["mmio"], 0)
        elif guest == "alone":
            equal(f"{guest}: l2", row["l2"], 0)
        assert row["l2"] <= faults["ept_violations"], f"{guest}: {row} and {faults}"
        for one in procfile.table(out[f"audit {guest}"]):
            equal(f"{guest}: audit of {one['counter']}", one["difference"], 0)
        served = sum(one["count"] for one in procfile.table(out[f"latency {guest}"]))
        equal(f"{guest}: faults with a service time", served, faults["ept_violations"])
        equal(f"{guest}: lost", proc.host["lost"], 0)


def check_polling(out):
    """It gets on, as far as L1 lets it: no vCPU is stuck."""
    before, proc = (procfile.ProcFile(out[f"proc {when}"]) for when in ("first", "last"))
    outcome, = proc.rows["outcome"]
    more = outcome["reflected"] - before.rows["outcome"][0]["reflected"]
    assert more > 500, f"{more} faults were handed to L1 meanwhile"
    time, = proc.rows["time"]
    equal("stuck", time["stuck"], 0)


# L1 emulates a device: its guest faults at one address all the while, with the same registers.
POLLING = """
load_kvm; load_kvmmem stuck_ms=500
kvmguest --pages 8 --op nested-missing --ops 2000000000 >/dev/null & guest=$!
reflected() { [ "$(awk '$1 == "outcome" { n = $NF } END { print n + 0 }' /proc/kvmmem)" -gt 100 ]; }
wait_for reflected
section "proc first" cat /proc/kvmmem
sleep 4
section "proc last" cat /proc/kvmmem
kill -KILL $guest
wait $guest || true
"""

SCENARIOS = [
    Scenario("nested_polling", POLLING, check_polling, limit=60),
    Scenario("nested_faults", "load_kvm; keep_kvmmem\n" + "".join(
        f"export GUEST={name}\nsection \"guest {name}\" kvmguest {arguments} --then '{ASK}'\n"
        for name, arguments in GUESTS.items()), check_nested, limit=60),
]
