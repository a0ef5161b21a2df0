# SPDX-License-Identifier: GPL-2.0
"""Dirty logging: the scorecard of a migration, beside what the VMM fetched, what KVM
counts, and what was computed beforehand.
"""

import debugkernel
import features
import host
import suite_tenant
from host import Scenario
from procfile import ProcFile
from suite_lab import equal

prepare = suite_tenant.prepare

# Logging is on in rounds 2 to 4, and off in round 5.
ROUNDS = "--rounds 5 --dirty-log=1 --dirty-log-off=4 --harvest"
SEEN = """--each 'section round$KVMGUEST_ROUND cat /proc/kvmmem
    section kvm$KVMGUEST_ROUND kvmstat $KVMGUEST_ID pages_2m' \\
    --then 'section end cat /proc/kvmmem; section kvmend kvmstat $KVMGUEST_ID pages_2m'"""
NEWER = (*features.KERNELS[1:], *debugkernel.NAMES)


def migrate(options, load="load_kvm"):
    """The script of a pre-copy migration that is given up."""
    return f"""
{load}
load_kvmmem
section host uname -r
section migration kvmguest {ROUNDS} {options} {SEEN}
"""


class Migration:
    """What was seen of it, round by round."""

    def __init__(self, out, beside=()):
        # The sections of the guest's commands are within the guest's.
        self.out = host.Output(out["migration"] + "\n" + out.text)
        self.sections = out
        self.release = tuple(map(int, out["host"].split(".")[:2]))
        self.told = features.mappings_are_told(out["host"])
        # From 6.13 on mappings are made huge again in place, and are still protected.
        self.late_huge = 2 if self.release >= (6, 13) else 0
        self.expect, = out.records("migration", "expect")
        self.harvests = {one["round"]: one for one in out.records("migration", "harvest")}
        self.rows = [ProcFile(out[f"round{n}"]).rows["dirty"] for n in range(1, 6)]
        self.end, = ProcFile(out["end"]).rows["dirty"]
        equal("modes before", [row["mode"] for row in self.rows[0]], list(beside))
        equal("columns", ProcFile(out["round1"]).columns["dirty"][:2], ["vm", "mode"])
        equal("harvests", sorted(self.harvests), [2, 3, 4])

    def logged(self, number):
        """The row after a round while logging was on."""
        row, = self.rows[number - 1]
        return row

    def huge(self, name):
        """KVM's count of 2M mappings."""
        return self.sections.values(f"kvm{name}")["pages_2m"]

    def common(self, mode, faults, late):
        """What holds for each of them; write faults were foretold, the late ones of pages
        that are still protected when logging is off included.
        """
        done = 0
        for number, here in zip((2, 3, 4), faults):
            row, fetched = self.logged(number), self.harvests[number]
            done += here
            equal(f"round {number}: mode", row["mode"], mode)
            equal(f"round {number}: write_faults", row["write_faults"], done)
            equal(f"round {number}: dirty_kb", row["dirty_kb"], 4 * fetched["pages"])
            assert row["time_us"] > 0 or not done, row
        equal("foretold", self.expect["protection"], done + late)
        equal("off: mode", self.end["mode"], "off")
        equal("off: write_faults", self.end["write_faults"], done)
        equal("off: dirty_kb", self.end["dirty_kb"], 0)
        before, after = self.logged(4), self.end
        assert self.logged(2)["since_ms"] <= self.logged(3)["since_ms"] <= before["since_ms"]
        assert after["time_us"] >= before["time_us"] >= self.logged(2)["time_us"]
        if done:
            each = 1000 * after["time_us"] / done
            assert 100 < each < 10_000_000, f"{each} ns a fault"
        outcome, = ProcFile(self.sections["end"]).rows["outcome"]
        if outcome["fast"] is not None and mode == "log":
            # A page that is only write-protected is given back without KVM's lock.
            assert outcome["fast"] > 0 or not done, outcome
        if not self.told:
            equal("split_2m", after["split_2m"], None)
            equal("recovered_2m", after["recovered_2m"], None)

    def split(self, number):
        """The huge mappings that were split by that round, and came back at the end."""
        equal("split_2m", self.logged(number)["split_2m"], self.huge(1) - self.huge(number))
        equal("split_2m at the end", self.end["split_2m"], self.huge(1) - self.huge(4))
        equal("recovered_2m", self.end["recovered_2m"], self.huge("end") - self.huge(4))
        huge, = ProcFile(self.sections["end"]).rows["huge"]
        equal("dirty_log_split", huge["dirty_log_split"], self.end["split_2m"])
        assert self.end["recovered_2m"] == self.end["split_2m"] == 2, self.end


def check_small(out):
    """512 small pages, protected again by each round."""
    seen = Migration(out)
    seen.common("log", (512, 512, 512), 512)
    equal("fetched", [seen.harvests[n]["pages"] for n in (2, 3, 4)], [512] * 3)
    if seen.told:
        equal("split_2m", seen.end["split_2m"], 0)
        equal("recovered_2m", seen.end["recovered_2m"], 0)


def check_initially_set(out):
    """All of it is dirty at first, and nothing protected; then as usual."""
    seen = Migration(out)
    seen.common("log", (0, 512, 512), 512)
    equal("fetched", [seen.harvests[n]["pages"] for n in (2, 3, 4)], [512] * 3)


def check_huge_eager(out):
    """KVM splits when logging begins, and the guest meets small pages."""
    seen = Migration(out)
    seen.common("log", (1024, 1024, 1024), seen.late_huge)
    seen.split(2)


def check_huge(out):
    """The guest's first write to each huge page splits it."""
    seen = Migration(out)
    # Before 6.2 the other pages of a mapping are gone when it is split.
    first = 1024 if seen.release >= (6, 2) else 2
    seen.common("log", (first, 1024, 1024), seen.late_huge)
    seen.split(2)


def check_beside(out):
    """A display is logged all the while, so logging is never off."""
    seen = Migration(out, ["log"])
    equal("mode at the end", seen.end["mode"], "log")
    seen.split(2)


def check_huge_initially_set(out):
    """Split where the log is cleared."""
    seen = Migration(out)
    seen.common("log", (0, 1024, 1024), seen.late_huge)
    equal("split_2m before the log is cleared", seen.logged(2)["split_2m"], 0)
    seen.split(3)


def check_ring(out):
    """Rings are full before the round is over. When one is, the page that was last is
    protected again before the guest has written to it: one fault more.
    """
    seen = Migration(out)
    full = [seen.harvests[number]["full"] for number in (2, 3, 4)]
    rounds = [2048 + now - before for before, now in zip([0] + full, full)]
    equal("fetched", [seen.harvests[n]["pages"] + seen.harvests[n]["before"]
                      for n in (2, 3, 4)], rounds)
    seen.common("ring", rounds, 2048 - full[-1])
    equal("ring_full", [seen.logged(number)["ring_full"] for number in (2, 3, 4)], full)
    assert full[-1] >= 6, full


def check_giga(out, eager):
    """A mapping of 1G is split into 2M mappings, and those of these that are written to."""
    apart = eager or not out["host"].startswith("6.1.")
    split = 512 if eager or not apart else 2
    end, = ProcFile(out["end"]).rows["dirty"]
    kvm = [out.values(f"kvm{name}") for name in (1, 2, "end")]
    equal("mappings of 1G before, while logged, and at the end",
          [one["pages_1g"] for one in kvm], [1, 0, 1])
    equal("split_2m", end["split_2m"], split)
    equal("recovered_2m", end["recovered_2m"], split)
    huge, = ProcFile(out["end"]).rows["huge"]
    equal("dirty_log_split", huge["dirty_log_split"], split + 1 if apart else 1)
    equal("installed", huge["installed"], 2 + 512 if apart else 2)
    equal("what came and went", huge["installed"] + huge["recovered"] - huge["nx_split"]
          - huge["dirty_log_split"] - huge["zapped"], kvm[2]["pages_2m"] + 1)


def giga(name, eager, beside="", load=""):
    """A guest in one page of 1G, two of whose pages of 2M are written to."""
    first = "echo 1 >/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages; load_kvm" + \
        ("" if eager else " kvm.eager_page_split=N")
    return Scenario(name, migrate(f"--pages 2 --stride 512 --backing hugetlb1g {beside}", first)
                    .replace("pages_2m'", "pages_2m pages_1g'")
                    .replace("load_kvmmem", f"load_kvmmem {load}"),
                    lambda out: check_giga(out, eager), vendors=("amd",), kernels=("6.1", "6.12"),
                    limit=100,
                    host={"memory_mb": 5120,
                          "cmdline": "hugepagesz=1G hugepages=1"})


def check_older(out):
    """A VM that was logged before kvmmem was there; and one that never was."""
    row, = ProcFile(out["proc"]).rows["dirty"]
    equal("mode", row["mode"], "log")
    equal("dirty_kb", row["dirty_kb"], 4 * 64)
    equal("vm", row["vm"], out.records("logged", "expect")[0]["id"])


def check_meanwhile(out):
    """Logging comes and goes, and VMs do, while somebody reads: no count falls."""
    last, seen = {}, set()
    for text in out.all("reading"):
        for row in ProcFile(text).rows["dirty"]:
            before = last.get(row["vm"], row)
            seen.add(row["mode"])
            for column in ("write_faults", "split_2m", "time_us", "recovered_2m"):
                assert row[column] is None or row[column] >= before[column], (before, row)
            last[row["vm"]] = row
    assert "log" in seen and len(last) >= 3, f"{len(last)} VMs were seen, {seen}"
    found = {one["id"]: one["protection"] for one in out.records("guests", "expect")}
    if not features.mappings_are_told(out["host"]):
        # 5.10 protects huge mappings, whatever is dirty at first.
        found = dict.fromkeys(found, max(found.values()))
    assert all(row["write_faults"] <= found[vm] for vm, row in last.items()), last


LOGS = range(20)


def check_logs(out):
    """Much that is logged, in many VMs: a reading takes no longer for it than for walks."""
    readings = [ProcFile(text) for text in out.all("reading")]
    seen = [row["dirty_kb"] for reading in readings for row in reading.all("dirty")]
    equal("rows", len(seen), len(readings) * len(LOGS))
    assert set(seen) == {0, None}, f"the logs are too small to be a trial: {seen}"
    times = [int(text) for text in out.all("took")]
    assert max(times) < 160, f"readings took {times} ms"
    # Nor does it leave nothing to the walks over other VMs, and they something to it.
    last = ProcFile(out["last"])
    small = last.find("vm", id=suite_tenant.tenant(out, "small")["id"])
    equal("resident_kb of a small VM", small["resident_kb"], small["mem_kb"])
    age = last.find("backing", vm=small["id"])["age_ms"]
    assert age < 6000, f"the small VM was not looked at for {age} ms"
    rested = [row["dirty_kb"] for row in ProcFile(out["rested"]).all("dirty")]
    assert 0 in rested, f"nothing is known after a rest: {rested}"
    # What comes behind all that has its turn.
    late = suite_tenant.tenant(out, "late")["id"]
    seen = [ProcFile(text).find("dirty", vm=late)["dirty_kb"] for text in out.all("turn")]
    assert 0 in seen, f"nothing is known of a small VM behind large ones: {seen}"


SCENARIOS = [
    Scenario("dirty_small", migrate("--pages 512"), check_small, limit=60),
    Scenario("dirty_logs", suite_tenant.HELPERS + f"""
load_kvm; load_kvmmem walk_share=100
for i in {' '.join(map(str, LOGS))}; do tenant_on log$i logged 512 log$i.fifo; done
for i in 1 2 3; do
    before=$(now_ms)
    cat /proc/kvmmem >reading
    after=$(now_ms)
    section reading cat reading
    section took echo $((after - before))
done
echo 2 >/sys/module/kvmmem/parameters/walk_share
tenant_on small hold 1 small.fifo
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    cat /proc/kvmmem >reading
    sleep 0.7
done
section last cat reading
sleep 6
section rested cat /proc/kvmmem
tenant_on late logged 1 late.fifo
for i in $(seq 24); do
    section turn cat /proc/kvmmem
    sleep 0.7
done
tenant_off late
tenant_off small
for i in {' '.join(map(str, LOGS))}; do tenant_off log$i; done
""", check_logs, vendors=("amd",), kernels=features.KERNELS[1:], limit=120,
             host={"icount": True, "memory_mb": 1536}),
    Scenario("dirty_manual", migrate("--pages 512 --manual-protect"), check_small, limit=60),
    Scenario("dirty_initially_set", migrate("--pages 512 --manual-protect=init-set"),
             check_initially_set, limit=60),
    Scenario("dirty_huge_eager", migrate("--pages 1024 --backing thp"), check_huge_eager,
             kernels=NEWER, limit=60),
    Scenario("dirty_huge", migrate("--pages 1024 --backing thp",
                                   "load_kvm kvm.eager_page_split=N"), check_huge,
             kernels=NEWER, limit=60),
    Scenario("dirty_beside", migrate("--pages 1024 --backing thp --display"), check_beside,
             kernels=NEWER, limit=60),
    Scenario("dirty_huge_initially_set",
             migrate("--pages 1024 --backing thp --manual-protect=init-set"),
             check_huge_initially_set, kernels=NEWER, limit=60),
    giga("dirty_giga_eager", True),
    giga("dirty_giga", False),
    giga("dirty_giga_beside", False, beside="--display"),
    giga("dirty_giga_flows", False, load="huge_flows=1"),
    giga("dirty_giga_flows_eager", True, load="huge_flows=1"),
    Scenario("dirty_ring", migrate("--pages 2048 --dirty-ring 1024"), check_ring,
             kernels=NEWER, limit=60),
    Scenario("dirty_older", """
load_kvm
mkfifo hold other
kvmguest --pages 64 --rounds 2 --dirty-log=1 --hold hold >logged & first=$!
kvmguest --pages 64 --hold other >/dev/null & second=$!
wait_for grep -q ^result logged
load_kvmmem
section proc cat /proc/kvmmem
: >hold
: >other
wait $first $second
section logged cat logged
""", check_older, limit=60),
    Scenario("dirty_meanwhile", f"""
load_kvm
load_kvmmem backing_max_age_ms=0
section host uname -r
run() {{
    for i in $(seq 8); do kvmguest --pages 2048 --backing thp {ROUNDS} "$@"; done
}}
run >first & first=$!
run --manual-protect=init-set >second & second=$!
while kill -0 $first 2>/dev/null || kill -0 $second 2>/dev/null; do
    section reading cat /proc/kvmmem
done
wait $first $second
section guests cat first second
""", check_meanwhile, host={"cpus": 2}, limit=100),
]
