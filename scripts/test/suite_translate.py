# SPDX-License-Identifier: GPL-2.0
"""The chain of tables for an address, compared with everybody who knows a part of it.

Guests in each paging mode ask for more than 10,000 random addresses of their own, and
compare the answers with the tables that they have written, with KVM_TRANSLATE, with
/proc/<pid>/pagemap, and with what they have touched. KVMMEM_TRANSLATE_QUESTIONS asks
for more, or less, than 1,200 of each.
"""

import collections
import os
import pathlib
import re
import sys

import features
import hostmodule
import image as images
import kmod
from host import Scenario
from suite_lab import equal

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "tool"))

# pylint: disable=wrong-import-position
from kvmmem_cli import align, parse, translate

QUESTIONS = int(os.environ.get("KVMMEM_TRANSLATE_QUESTIONS", "1200"))
FUZZED = 85 * QUESTIONS
# Where the copying of a page can be held up.
MOVING = ("6.1", "6.12", "7.3", "kasan")
# With machine checks, and whose copies are a function's.
POISONED = ("6.12", "7.3")
ALIGNMENT = "cat /sys/kernel/debug/kvmmem/vms/$KVMGUEST_ID/alignment"


def prepare(image, kernel, vendor):
    """The module, the guest, and a disk to swap to."""
    kmod.prepare(image, kernel, vendor)
    image.add("lab/bin/xlateguest",
              images.helper_program(HERE / "host/xlateguest.c").read_bytes(), 0o755)
    image.add("lab/bin/movepage",
              images.helper_program(HERE / "host/movepage.c").read_bytes(), 0o755)
    image.add("lab/bin/stillvm",
              images.helper_program(HERE / "host/stillvm.c").read_bytes(), 0o755)
    if kernel.name in POISONED:
        image.add_file(hostmodule.build(kernel, hostmodule.POISON), "lab/poison.ko")
    if kernel.name in MOVING:
        image.add_file(hostmodule.build(kernel, hostmodule.SLOWMOVE), "lab/slowmove.ko")
    try:
        image.add_module(kernel, "brd")
    except images.ImageError:
        pass                            # built in, or this kernel has none


def guests(what, runs, more=""):
    """Scenario text: load all, and run each of these guests in a section."""
    return "load_kvm; keep_kvmmem\nsection release uname -r\n" + "".join(
        f"section '{what} {run}' xlateguest {run} {more}\n" for run in runs)


def check_answers(out, what="mode"):
    """No answer differs from what the guest knows."""
    told = features.mappings_are_told(out["release"])
    for name in (name for name in out.sections if name.startswith(f"{what} ")):
        found = out.values(name)
        assert "asked" in found, f"{name}: {out[name]}"
        equal(f"{name}: wrong answers of {found['asked']}\n{out[name][:4000]}", found["wrong"], 0)
        equal(f"{name}: verdicts that should not be", found["other"], 0)
        assert (found["unknown"] == 0) == told, f"{name}: {found}"
        assert not told or found["agree"], f"{name}: {found}"


def check_halted(out):
    """A vCPU that sleeps in KVM need not be woken: its last exit tells."""
    check_answers(out)
    found = out.values("mode 4 4k 4k 4 60 halted")
    equal("answers by the thread", found["by_thread"], 0)
    assert found["kept"] > 10, found


def check_swap(out):
    """Some of it was swapped."""
    check_answers(out)
    assert "swapped" in out["chain"], out["chain"]


def check_running(out):
    """A vCPU that runs says its registers itself."""
    check_answers(out)
    rows = parse.debugfs_file(out["chain"].encode())
    # QEMU's processors take turns, each for long: who asks seldom finds the vCPU in the
    # guest, and AMD's registers of the last exit are as good as its own answer.
    if " vmx" in out["isa"]:
        assert sum(out.values(name)["by_thread"] for name in out.sections
                   if name.startswith("mode ")), "no answer is by the vCPU's thread"
    equal("paging", rows["regs"][0]["mode"], "4-level")
    for layer, where in (("guestpt", "gpa"), ("hostpt", "hpa"), ("kvmpt", "hpa")):
        steps = [row for row in rows[layer] if row["table"]]
        for before, after in zip(steps, steps[1:]):
            equal(f"{layer}: table of {after['table']}", int(after[where], 16) & ~0xfff,
                  int(before["leads_to"], 16))
        for row in steps[:1]:
            assert int(row[where], 16) < 1 << 32, row
    for line in [*translate.lines(rows), *align.lines(parse.debugfs_file(out["all"].encode()))]:
        assert len(line) <= 80, line


def cells(rows, told):
    """{(guest, kvm, host): KiB} of rows; what cannot be told is a hyphen."""
    found = collections.Counter()
    for row in rows:
        found[row["guest"], row["kvm"] if told else None, row["host"]] += row["size_kb"]
    return dict(found)


def check_estimate(name, rows, expected):
    """An estimate is no further off than its standard error, three times over (two would
    fail once in twenty); only of guests that are large."""
    reach, = rows["reach"]
    assert name in ("align 4 1g 4k 1024 0 -",), f"{name} is an estimate"
    small = sum(one["size_kb"] for one in expected if one["kvm"] == "4k")
    assert 0 < reach["error_kb"] < 2 * small, reach
    for what, is_it, should in (
            ("mapped_kb", reach["mapped_kb"], sum(one["size_kb"] for one in expected)),
            ("lost_kb and small_kb", reach["lost_kb"] + reach["small_kb"], small)):
        assert abs(is_it - should) <= 3 * reach["error_kb"], f"{name}: {what}: {reach}, {should}"


def check_align(out):
    """What each guest maps, to the KiB."""
    told = features.mappings_are_told(out["release"])
    for name in (name for name in out.sections if name.startswith("align ")):
        rows = parse.debugfs_file(out["of " + name.removeprefix("align ")].encode())
        expected = out.records(name, "expect ")
        expected.append({"guest": "4k", "kvm": "4k", "host": "4k", "size_kb": 4})  # its code
        reach, = rows["reach"]
        if reach["sampled"] == "yes":
            check_estimate(name, rows, expected)
            continue
        equal(name, cells(rows["align"], told), cells(expected, told))
        equal(f"{name}: mapped_kb", reach["mapped_kb"], sum(one["size_kb"] for one in expected))
        equal(f"{name}: sampled", reach["sampled"], "no")
        parts = [reach[part] for part in ("reach_kb", "lost_kb", "wasted_kb", "small_kb",
                                          "not_yet_kb")]
        equal(f"{name}: parts are known", None not in parts, told)
        if told:
            equal(f"{name}: sum of parts", sum(parts), reach["mapped_kb"])
            equal(f"{name}: reach_kb", reach["reach_kb"], sum(
                one["size_kb"] for one in expected
                if one["guest"] in ("2m", "1g") and one["kvm"] in ("2m", "1g")))
        for line in align.lines(rows):
            assert len(line) <= 80, line


# Paging mode, the guest's pages, the host's, MB, no questions, and how. KVM maps what the
# host maps, unless it logs writes: with the last, four of the nine pairs of guest and KVM;
# the others are those of translate_giga.
PAIRS = ("4 4k 4k 8 0 -", "4 4k 2m 8 0 -", "4 2m 4k 8 0 -", "4 2m 2m 8 0 -", "32 2m 2m 16 0 -",
         "pae 2m 4k 8 0 -", "5 4k 2m 8 0 -", "4 2m 2m 8 0 dirty")
GIGA = ("4 4k 1g 1024 0 -", "4 2m 1g 1024 0 -", "4 1g 1g 1024 0 -", "4 1g 2m 1024 0 -",
        "4 1g 4k 1024 0 -")


def aligned(pairs):
    """Scenario text: a guest of each pair, and what kvmmem says of it."""
    return "load_kvm; keep_kvmmem walk_share=100\nsection release uname -r\n" + "".join(
        f"section 'align {pair}' xlateguest {pair} '{ALIGNMENT} >/tmp/said'\n"
        f"section 'of {pair}' cat /tmp/said\n" for pair in pairs)


def looked(out):
    """What was said of the page each time: (rows of translate, host's KiB by size)."""
    backing = ("host_4k_kb", "host_2m_kb", "host_1g_kb")
    return [(parse.debugfs_file(out[name].encode()),
             {column: parse.debugfs_file(out[f"backing {name}"].encode())["slot"][-1][column]
              for column in backing}) for name in ("before", "during", "after")]


def check_moving(out):
    """A page under way to another node is in memory, and nobody maps it meanwhile."""
    before, during, after = looked(out)
    equal("states", [of["page"][0]["state"] for of, _ in (before, during, after)],
          ["in-memory", "moving", "in-memory"])
    node = before[0]["page"][0]["node"]
    equal("nodes", [of["page"][0]["node"] for of, _ in (during, after)], [node, 1 - node])
    equal("where it is meanwhile", during[0]["page"][0]["hpa"], before[0]["page"][0]["hpa"])
    assert after[0]["page"][0]["hpa"] != before[0]["page"][0]["hpa"], after
    equal("why the tables end", during[0]["hostpt"][-1]["why"], "moving")
    equal("backing", [sizes for _, sizes in (during, after)], [before[1]] * 2)
    equal("verdict", during[0]["verdict"][0]["verdict"], "kvm-not-yet")


def check_failed(out):
    """Nobody maps a page that has failed; smaps counts it, and so does kvmmem."""
    before, during, after = looked(out)
    equal("states", [of["page"][0]["state"] for of, _ in (before, during, after)],
          ["in-memory", "poisoned", "poisoned"])
    equal("where it is", during[0]["page"][0]["hpa"], before[0]["page"][0]["hpa"])
    equal("why the tables end", during[0]["hostpt"][-1]["why"], "poisoned")
    equal("verdict", during[0]["verdict"][0]["verdict"], "no-page")
    equal("backing", [sizes for _, sizes in (during, after)], [before[1]] * 2)


def check_poison(out):
    """One failed page of a guest's tables is met once by a thread, and taken away."""
    rows = {name: parse.debugfs_file(out[name].encode()) for name in ("before", "met", "after")}
    before, met, after = [rows[name]["guestpt"][-1]["why"] for name in rows]
    equal("why the guest's tables end", (before, after), (None, "poisoned"))
    assert met in ("poisoned", "busy"), f"it ends since it is {met}"
    equal("machine checks of one thread", int(out["most"]), 1)
    assert 1 <= int(out["times"]), "none was met: it is no trial"


def check_still(out):
    """Tables and memory that are not there: it is said why."""
    rows = {name: parse.debugfs_file(out[name].encode())
            for name in ("away", "nowhere", "device", "backing")}
    equal("a table that nobody has touched", [row["why"] for row in rows["away"]["guestpt"]],
          [None, "untouched"])
    equal("a table where no memory is", [row["why"] for row in rows["nowhere"]["guestpt"]],
          [None, "no-memory"])
    slots = {row["gpa"]: row for row in rows["backing"]["slot"] if row["gpa"]}
    # The kernel's data are mapped as memory on the newest one.
    if not out["release"].startswith("7."):
        equal("a device", rows["device"]["page"][0]["state"], "device")
        equal("its verdict", rows["device"]["verdict"][0]["verdict"], "unknown")
        equal("a device's slot", [slots["0x40000000"][key] for key in ("kind", "device_kb")],
              ["device", 4])
    private = slots["0x50000000"]
    equal("a private mapping of a swapped file",
          [private[key] for key in ("kind", "host_4k_kb", "swap_kb", "hole_kb")],
          ["shmem", 4, 60, 0])


def check_hostile(out):
    """Tables that mean harm lead to nothing but the guest's own memory, and to an end."""
    lines = [line.split() for line in out["hostile"].splitlines() if line.startswith("hostile ")]
    equal("hostile tables", [words[1] for words in lines], ["cycle", "huge", "garbage"])
    for words in lines:
        equal(f"answers that are none of the guest's: {words}", words[3], "bad=0")
    reach = [parse.debugfs_file(f"# reach {text}".encode())["reach"][0]
             for text in out["hostile"].split("# reach ")[1:]]
    equal("alignments", len(reach), 3)
    for row, kind in zip(reach, ("cycle", "huge", "garbage")):
        assert row["why"] in (None, "busy", "shadow-mmu", "no-root"), f"{kind}: {row}"
        # Never much more than the walk's limits: 1,024 tables, then 512 ways of 4 tables.
        assert row["tables"] is None or row["tables"] <= 512 * 5, f"{kind}: {row}"
    if reach[1]["sampled"] == "yes" and reach[1]["why"] is None:
        # 2^36 pages of 4K; all ways are the same, so the estimate is exact.
        equal("what full tables map", reach[1]["mapped_kb"] + reach[1]["no_slot_kb"], 4 << 36)


def check_fuzz(out):
    """Input that nobody meant is taken or refused, and no more."""
    found = out.values("fuzz")
    equal("fuzzed", found["times"], found["accepted"] + found["refused"])
    assert found["accepted"] and found["refused"], found


EINVAL, ERANGE, ENOENT, EPERM, EAGAIN = 22, 34, 2, 1, 11


def check_errors(out):
    """Each has its errno."""
    vmx = " vmx" in out["isa"]
    said = dict(re.findall(r"^errno of ('.*'): (\d+)$", out["errors"], re.M))
    for question, errno in (("gva", EINVAL), ("gpa", EINVAL), ("gva 0", EINVAL), ("gpa 0", 0),
                            ("hva 0", 0), ("gva 1 0", ENOENT), ("gva -1 0", EINVAL),
                            ("gpa 0x10000000000000000", ERANGE), ("gpa 1 2", EINVAL),
                            ("gva 0 0 0", EINVAL), ("GPA 0", EINVAL), ("gpa 0x", EINVAL),
                            ("hva -1", EINVAL), ("gva 4294967296 0", ERANGE),
                            ("gva 0 0x8000000000000000", 0)):
        got = int(said[f"'{question}'"])
        # Its vCPU stands. On Intel CR3 is known only if it lost its processor after its exit.
        if not (vmx and got == EAGAIN and question.startswith("gva 0 0x8")):
            equal(f"errno of '{question}'", got, errno)
    opened = [int(line.split()[-1]) for line in out["errors"].splitlines()
              if line.startswith("errno of opening")]
    equal("errnos without CAP_SYS_ADMIN", opened, [EPERM, EPERM])


def check_many(out):
    """Questions of several VMs at once, some of which end meanwhile."""
    check_answers(out, "at once")
    assert int(out["asked"]) > 10, out["asked"]


def check_nested(out):
    """Of a vCPU that runs a guest of its guest it is said, and L1's chain is shown."""
    rows = parse.debugfs_file(out["chain"].encode())
    equal("paging", rows["regs"][0]["mode"], "4-level")
    assert rows["verdict"][0]["gpa"] == "0x100000", rows
    equal("it was in its guest", rows["regs"][0]["l2"], "yes")
    equal("verdict", rows["verdict"][0]["verdict"],
          "agree" if features.mappings_are_told(out["release"]) else "unknown")


CHAIN = ("printf \"gva 0 0x80000000\" >/sys/kernel/debug/kvmmem/vms/$KVMGUEST_ID/translate; "
         "cat /sys/kernel/debug/kvmmem/vms/$KVMGUEST_ID/translate >/tmp/chain")

# While a guest stands, something happens to a page of its; it is looked at thrice.
LOOK = """
cat >/tmp/look.sh <<'SCRIPT'
. /lab/lib.sh
dir=/sys/kernel/debug/kvmmem/vms/$KVMGUEST_ID
look() {
    echo "gpa $page" >$dir/translate
    section $1 cat $dir/translate
    section "backing $1" cat $dir/backing
}
for page in $(seq $((0x40000000)) 4096 $((0x40100000))); do
    echo "gpa $page" >$dir/translate
    ! grep -q "^verdict *agree" $dir/translate || break
done
look before
cat $dir/translate >/tmp/before
%s
SCRIPT
load_kvm; keep_kvmmem backing_max_age_ms=0 walk_share=100
xlateguest 4 4k 4k 8 0 - 'sh -e /tmp/look.sh'
"""
MOVE = """
insmod /lab/slowmove.ko
hva=$(awk '$1 == "verdict" { print $4 }' /tmp/before)
node=$(awk '$1 == "page" { print 1 - $5 }' /tmp/before)
# On a processor of its own, which it keeps.
taskset -p 1 $$ >/dev/null
taskset 2 movepage ${KVMGUEST_ID%-*} $hva $node &
wait_for grep -q Y /sys/module/slowmove/parameters/moving
look during
echo 1 >/sys/module/slowmove/parameters/go
wait $!
look after
rmmod slowmove
"""
# A table of the guest's, which has failed; %s is who reads it first.
POISON = """
dir=/sys/kernel/debug/kvmmem/vms/$KVMGUEST_ID
ask() { echo "$1" >$dir/translate; cat $dir/translate; }
section before ask "gva 0 0x80000000"
table=$(ask "gva 0 0x80000000" | awk '$1 == "guestpt" { at = $4 } END { print at }')
ask "gpa $table" >/tmp/table
insmod /lab/poison.ko hva=$(awk '$1 == "verdict" { print $4 }' /tmp/table) \\
    hpa=$(awk '$1 == "page" { print $6 }' /tmp/table)
%s
section met ask "gva 0 0x80000000"
gone() { ask "gva 0 0x80000000" | grep -q poisoned; }
wait_for gone
section after ask "gva 0 0x80000000"
section most cat /sys/module/poison/parameters/most
section times cat /sys/module/poison/parameters/met
rmmod poison
"""
FAIL = """
awk '$1 == "page" { print $6 }' /tmp/before >/sys/devices/system/memory/hard_offline_page
look during
look after
"""

# Paging mode, the guest's pages, the host's, MB, questions. Intel's emulated processor has
# no five levels.
MODES = ("4 4k 4k 8 N", "pae 4k 4k 8 N", "32 4k 4k 8 N", "none 4k 4k 8 N", "4 2m 2m 16 N",
         "pae 2m 4k 16 N", "32 2m 2m 16 N")
FIVE = ("5 4k 4k 8 N", "5 2m 4k 16 N")


def with_questions(runs, questions):
    """The words of some guests that ask so many."""
    return [run.replace("N", str(questions)) for run in runs]


SCENARIOS = [
    Scenario("translate_modes", guests("mode", with_questions(MODES + FIVE, QUESTIONS)),
             check_answers, vendors=("amd",), limit=30 + QUESTIONS // 10),
    Scenario("translate_modes", guests("mode", with_questions(MODES, QUESTIONS * 5 // 4)),
             check_answers, vendors=("intel",), limit=60 + QUESTIONS // 5),
    Scenario("translate_running", guests("mode", [
        "32 4k 4k 4 40 running", "pae 2m 4k 4 40 running", "4 4k 4k 4 60 running"],
                                         f"'{CHAIN}; {ALIGNMENT} >/tmp/all'") + """
section chain cat /tmp/chain
section all cat /tmp/all
section isa grep isa /proc/kvmmem
section hooks cat /sys/kernel/debug/kvmmem/hooks
""", check_running, limit=60, host={"cpus": 2}),
    Scenario("translate_halted", guests("mode", ["4 4k 4k 4 60 halted"]), check_halted,
             host={"cpus": 2}),
    Scenario("translate_swap", """
load_kvm; keep_kvmmem
insert brd rd_nr=1 rd_size=65536 || :
mkswap /dev/ram0 >/dev/null
swapon /dev/ram0
section release uname -r
""" + f"section 'mode swap' xlateguest 4 4k 4k 8 200 pageout '{CHAIN}; "
      "for i in 0 1 2 3 4 5 6 7 8 9; do "
      "printf \"gpa $((0x40000000 + 4096 * (1 + 7 * i)))\" "
      ">/sys/kernel/debug/kvmmem/vms/$KVMGUEST_ID/translate; "
      "cat /sys/kernel/debug/kvmmem/vms/$KVMGUEST_ID/translate; done >/tmp/chain'\n"
      "section chain cat /tmp/chain\n", check_swap),
    Scenario("translate_align", aligned(PAIRS), check_align, vendors=("amd",), limit=60),
    Scenario("translate_align", aligned([pair for pair in PAIRS if pair[0] != "5"]), check_align,
             vendors=("intel",), limit=90),
    Scenario("translate_giga", "echo 1 >/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages\n"
             + aligned(GIGA), check_align, vendors=("amd",), limit=200, kernels=("6.1",),
             host={"memory_mb": 5120, "cmdline": "hugepagesz=1G hugepages=1"}),
    Scenario("translate_moving", LOOK % MOVE, check_moving, vendors=("amd",),
             kernels=MOVING, host={"cpus": 2, "nodes": 2}),
    *(Scenario(name, f"""
cat >/tmp/poison.sh <<'SCRIPT'
. /lab/lib.sh
{POISON % first}
SCRIPT
load_kvm; keep_kvmmem walk_share=100
xlateguest 4 4k 4k 8 0 - 'sh -e /tmp/poison.sh'
""", check_poison, kernels=POISONED)
      for name, first in (("translate_poison", ""),
                          ("translate_poison_align", "cat $dir/alignment >/dev/null"))),
    Scenario("translate_failed", LOOK % FAIL, check_failed, kernels=("6.12", "7.3")),
    Scenario("translate_still", """
cat >/tmp/still.sh <<'SCRIPT'
. /lab/lib.sh
cd /sys/kernel/debug/kvmmem/vms/$KVMGUEST_ID
ask() {
    echo "$2" >translate
    section $1 cat translate
}
ask away "gva 0 0x1000"
ask nowhere "gva 0 0x8000000000"
ask device "gpa 0x40000000"
section backing cat backing
SCRIPT
load_kvm; keep_kvmmem
insert brd rd_nr=1 rd_size=65536 || :
mkswap /dev/ram0 >/dev/null
swapon /dev/ram0
section release uname -r
stillvm 'sh -e /tmp/still.sh'
swapoff /dev/ram0
""", check_still, vendors=("amd",)),
    Scenario("translate_hostile", """
load_kvm; keep_kvmmem walk_share=100
section hostile xlateguest 4 4k 4k 4 200 hostile
""", check_hostile, limit=90),
    Scenario("translate_fuzz", """
load_kvm; keep_kvmmem
section fuzz xlateguest 4 4k 4k 4 """ + str(FUZZED) + """ fuzz
section errors xlateguest 4 4k 4k 4 0 errors
section isa grep isa /proc/kvmmem
""", lambda out: (check_fuzz(out), check_errors(out)),
             limit=60 + QUESTIONS // 10),
    Scenario("translate_many", """
load_kvm; keep_kvmmem
section release uname -r
dir=/sys/kernel/debug/kvmmem/vms
for i in 1 2 3; do
    xlateguest 4 4k 4k 4 150 running >out.$i &
done
n=0
while [ $n -lt 30 ]; do
    xlateguest 4 4k 4k 4 0 - 'sleep 0.2' >/dev/null &
    for i in 1 2 3 4; do
        for vm in $(ls $dir); do
            { echo "gva 0 0x80000000" >$dir/$vm/translate; } 2>/dev/null || :
            ! cat $dir/$vm/translate $dir/$vm/alignment >/dev/null 2>&1 || n=$((n + 1))
        done
    done
    kill -9 $! || :
done
wait || :
for i in 1 2 3; do
    section "at once $i" cat out.$i
done
section asked echo $n
unload_kvmmem
""", check_many, limit=90),
    Scenario("translate_nested", """
load_kvm; load_kvmmem
section release uname -r
kvmguest --pages 8 --op nested-missing --ops 30000 >guest.out &
wait_for grep -q expect guest.out
wait_for ls /sys/kernel/debug/kvmmem/vms/*-*/translate
sleep 0.2
cd /sys/kernel/debug/kvmmem/vms/*-*
asked=0 answered=0
until grep -q '^regs.* yes ' /tmp/chain 2>/dev/null || [ $asked -ge 200 ]; do
    asked=$((asked + 1))
    { echo "gva 0 0x100000" >translate; } 2>/dev/null || continue
    cat translate >/tmp/chain
    answered=$((answered + 1))
done
cd /
section chain cat /tmp/chain
section asked echo asked=$asked answered=$answered
kill -9 %1 || :
wait || :
""", check_nested, limit=60),
]
