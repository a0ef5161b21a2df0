# SPDX-License-Identifier: GPL-2.0
"""The row of all VMs since load: what ends is not lost, and counted once. What those
had that ended last.
"""

import kmod
import procfile
from host import Scenario
from procfile import ProcFile
from suite_lab import equal

prepare = kmod.prepare

FAULTS = ("ept_violations", "read", "write", "exec", "protection", "page_walk", "mmio", "shadow")
TAGS = ("flushes", "entries", "remote", "guest", "nested", "tag", "other", "single",
        "range")


def total(text):
    """The one row."""
    row, = text.rows["total"]
    return row


def sums(text):
    """The same columns, summed over the rows of the VMs that live; unknown counts as 0."""
    found = {column: sum(row[column] or 0 for row in text.rows["fault"]) for column in FAULTS}
    return found | {column: sum(row[column] or 0 for row in text.rows["vpid"])
                    for column in TAGS}


def check_sums(out):
    """The total is what the rows sum to and what those summed to that are gone."""
    none = dict.fromkeys(FAULTS + TAGS, 0)
    ended = {"0": none, "1": sums(ProcFile(out["one"]))}
    both = sums(ProcFile(out["three"]))
    ended["3"] = {column: ended["1"][column] + both[column] for column in none}
    assert ended["1"]["ept_violations"] > 64 and both["flushes"] > 0, "nothing was counted"
    for name, vms, dead, vcpus in (("zero", 0, "0", 0), ("one", 1, "0", 0), ("one over", 0, "1", 1),
                                   ("three", 2, "1", 1), ("three over", 0, "3", 5)):
        text = ProcFile(out[name])
        row, alive = total(text), sums(text)
        equal(f"{name}: vms", row["vms"], vms)
        equal(f"{name}: vms_ended", row["vms_ended"], int(dead))
        equal(f"{name}: vcpus_ended", row["vcpus_ended"], vcpus)
        if row["served"] is not None and row["ept_violations"] is not None:
            equal(f"{name}: served", row["served"], row["ept_violations"])
            assert bool(row["time_us"]) == bool(row["served"]), row
        for column in none:
            if row[column] is not None:
                equal(f"{name}: {column}", row[column], alive[column] + ended[dead][column])
            else:
                equal(f"{name}: {column}, which is unknown in all rows",
                      [one for one in text.rows["fault"] + text.rows["vpid"]
                       if one.get(column) is not None], [])


def newest_first(rows):
    """Are these the rows of VMs of which the first ended last?

    Two that end at once, on two processors, are in either order."""
    ages = [row["ago_ms"] for row in rows]
    return all(before - after <= 100 for before, after in zip(ages, ages[1:])) and len({row["id"] for row in rows}) == len(rows)


def check_ended(out):
    """Of 70 VMs the 64 that ended last, each with its own counts."""
    equal("before any", procfile.table(out["none"]), [])
    rows = procfile.table(out["ended"])
    guests = out.records("guests", "expect")
    equal("guests", len(guests), 70)
    equal("rows", len(rows), 64)
    assert newest_first(rows), "not the newest first"
    equal("ids", [row["id"] for row in rows], [one["id"] for one in guests[:5:-1]])
    for row, guest in zip(rows, reversed(guests)):
        for column, key in (("ept_violations", "violations"), ("read", "read"),
                            ("write", "write"), ("exec", "exec"), ("mmio", "mmio")):
            equal(f"{row['id']}: {column}", row[column], guest[key])
        equal("comm", row["comm"], "kvmguest")
        assert 0 < row["lived_ms"] < 30000, row
    # The last one had more of everything, and was seen just before.
    alive = ProcFile(out["last"])
    mine, = [row for row in alive.rows["fault"] if row["vm"] == rows[0]["id"]]
    for column in FAULTS:
        equal(f"last: {column}", rows[0][column], mine[column])
    for column in TAGS:
        values = [row[column] for row in alive.rows["vpid"] if row["vm"] == rows[0]["id"]]
        equal(f"last: {column}", rows[0][column], None if None in values else sum(values))
    equal("last: vcpus", rows[0]["vcpus"], 2)
    assert rows[0]["flushes"] > 0 and rows[0]["mmio"] == 3 * 8, rows[0]
    equal("vms_ended", total(ProcFile(out["over"]))["vms_ended"], 70)


def check_shadow(out):
    """Faults of shadow paging are apart in the total, too."""
    ended, = procfile.table(out["ended"])
    equal("ended: ept_violations", ended["ept_violations"], None)
    equal("ended: shadow", ended["shadow"], ProcFile(out["now"]).rows["fault"][0]["shadow"])
    row = total(ProcFile(out["over"]))
    equal("shadow", row["shadow"], ProcFile(out["now"]).rows["fault"][0]["shadow"])
    for column in ("ept_violations", "read", "write", "exec", "protection", "page_walk"):
        equal(f"{column}, of which there are none to count", (row[column], ended[column]),
              (None, None))
    assert row["mmio"] is not None, row
    event = out.values("event")
    equal("the event", (event["ept_violations"], event["shadow"]), (-1, ended["shadow"]))
    for column in FAULTS:
        equal(f"{column} without accounting", total(ProcFile(out["untagged"]))[column],
              row[column])


def check_growing(out):
    """VMs come and go, and no reader sees the total fall or a VM twice."""
    rows = [total(ProcFile(text)) for text in out.all("round")]
    assert len(rows) >= 8, f"only {len(rows)} readings"
    for before, after in zip(rows, rows[1:]):
        for column in after:
            if column != "vms" and after[column] is not None:
                assert after[column] >= before[column], \
                    f"{column} fell from {before[column]} to {after[column]}"
    assert rows[0]["vms_ended"] < rows[-1]["vms_ended"], "no VM ended meanwhile"
    for text in out.all("ended"):
        ended = procfile.table(text)
        assert len(ended) <= 64 and newest_first(ended), text
        assert all(row["ept_violations"] >= 64 for row in ended), text
    assert len(ended) == 64, "fewer than there were"
    last = total(ProcFile(out["over"]))
    equal("vms_ended", last["vms_ended"], 2 * 80)
    equal("vcpus_ended", last["vcpus_ended"], 2 * 80)
    found = [record["violations"] for name in ("first", "second") for record in out.records(name)]
    equal("guests", len(found), 2 * 80)
    equal("ept_violations", last["ept_violations"], sum(found))


def check_off(out):
    """What nobody counts is unknown, and what was counted before comes back."""
    on, off, again = (total(ProcFile(out[name])) for name in ("on", "off", "again"))
    for column in TAGS:
        equal(f"{column} while off", off[column], None)
    equal("vms_ended while off", off["vms_ended"], 1)
    equal("again", again, on)


def check_switched(out):
    """What was not counted as a VM ended is unknown for ever, and what was stays."""
    without, counted = procfile.table(out["ended"])[::-1]
    # Causes are told apart by hooks that are gone by now.
    was = procfile.table(out["ended before"])[0]
    for column in (*TAGS, "served", "time_us"):
        equal(f"{column}, and before all was switched off", counted[column], was[column])
    for column in (*TAGS, "served", "time_us"):
        equal(f"{column} of the first", without[column], None)
        if column in TAGS and counted[column] is None:
            continue                    # what this kernel cannot tell apart
        assert counted[column] is not None, f"{column} of the second: {counted}"
    assert counted["served"] > 64 and without["ept_violations"] > 64, (counted, without)
    first, second = out.records("event")
    for word in ("flushes", "served", "ns"):
        equal(f"{word} of the first's event", first[word], -1)
        assert second[word] >= (word != "flushes"), second
    equal("served", second["served"], counted["served"])
    equal("ept_violations", first["ept_violations"], without["ept_violations"])


# Reading 'registry' waits until those that have ended so far are counted.
ENDED = """
ended() {
    cat /sys/kernel/debug/kvmmem/registry >/dev/null
    cat /sys/kernel/debug/kvmmem/ended
}
"""

SCENARIOS = [
    Scenario("total_sums", """
load_kvm
load_kvmmem
section zero cat /proc/kvmmem
kvmguest --pages 64 --access read,write,exec --then 'section one cat /proc/kvmmem'
section "one over" cat /proc/kvmmem
kvmguest --pages 128 --vms 2 --vcpus 2 --turns --mmio 16 --rounds 3 --drop \\
    --then 'section three cat /proc/kvmmem'
section "three over" cat /proc/kvmmem
""", check_sums, limit=60),
    Scenario("total_ended", ENDED + """
load_kvm
load_kvmmem
section none ended
for i in $(seq 66); do kvmguest --pages $((16 + i)) --access read,write,exec; done >guests
kvmguest --pages 32 --vms 3 >>guests
kvmguest --pages 64 --vcpus 2 --turns --mmio 8 --rounds 3 --drop \\
    --then 'section last cat /proc/kvmmem' >last
grep '^expect' last >>guests
cat last
section guests cat guests
section ended ended
section over cat /proc/kvmmem
""", check_ended, limit=100),
    Scenario("total_shadow", ENDED + """
load_kvm_shadow
load_kvmmem
echo 1 >/sys/kernel/tracing/events/kvmmem/vm_end/enable
kvmguest --pages 64 --then 'section now cat /proc/kvmmem'
section ended ended
section over cat /proc/kvmmem
section event grep vm_end: /sys/kernel/tracing/trace
echo 0 >/sys/kernel/tracing/events/kvmmem/vm_end/enable
echo 0 >/sys/module/kvmmem/parameters/flush_accounting
section untagged cat /proc/kvmmem
echo 1 >/sys/module/kvmmem/parameters/flush_accounting
""", check_shadow, limit=60),
    Scenario("total_switched", ENDED + """
load_kvm
load_kvmmem flush_accounting=0 service_time=0
echo 1 >/sys/kernel/tracing/events/kvmmem/vm_end/enable
switch() { for name in flush_accounting service_time; do
    echo $1 >/sys/module/kvmmem/parameters/$name
done; }
kvmguest --pages 64
ended >/dev/null
switch 1
kvmguest --pages 64 --op cr4pge --ops 5
section "ended before" ended
switch 0
section ended ended
section event sh -c "grep -o 'ept_violations=.*' /sys/kernel/tracing/trace"
echo 0 >/sys/kernel/tracing/events/kvmmem/vm_end/enable
switch 1
""", check_switched, limit=60),
    Scenario("total_grows", ENDED + """
load_kvm
load_kvmmem
run() {
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 \
            21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40; do
        kvmguest --pages 64 --vms 2
    done | grep '^expect'
}
run >first.out & first=$!
run >second.out & second=$!
n=0
while kill -0 $first 2>/dev/null || kill -0 $second 2>/dev/null; do
    section round cat /proc/kvmmem
    n=$((n + 1))
    [ $((n % 4)) != 1 ] || section ended cat /sys/kernel/debug/kvmmem/ended
done
wait $first $second
section ended ended
section over cat /proc/kvmmem
section first cat first.out
section second cat second.out
""", check_growing, host={"cpus": 2}, limit=100),
    Scenario("total_off", """
load_kvm
load_kvmmem
kvmguest --pages 64 --op cr4pge --ops 5
section on cat /proc/kvmmem
echo 0 >/sys/module/kvmmem/parameters/flush_accounting
section off cat /proc/kvmmem
echo 1 >/sys/module/kvmmem/parameters/flush_accounting
section again cat /proc/kvmmem
""", check_off, limit=60),
]
