# SPDX-License-Identifier: GPL-2.0
"""What the debug kernel shows: the KUnit suites, what happens when allocations fail (at
load, at births, at each reading), and how long locks are held.
"""

import functools
import pathlib
import sys

import debugkernel
import image
import kmod
import procfile
import suite_life
from host import Scenario
from suite_lab import equal

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "kunit"))
import ktap     # pylint: disable=wrong-import-position

SUITES = {"kvmmem-decode", "kvmmem-table", "kvmmem-host", "kvmmem-registry", "kvmmem-flush",
          "kvmmem-btf", "kvmmem-inval", "kvmmem-latency", "kvmmem-backing",
          "kvmmem-paging", "kvmmem-count", "kvmmem-total", "kvmmem-param"}


def prepare(picture, kernel, _vendor):
    """Add the modules, with the KUnit suites, and who loads them."""
    built = kmod.build(kernel, "KVMMEM_KUNIT=1", "W=1")
    for name in ("kvmmem.ko", "kvmmem-kunit.ko"):
        picture.add_file(built / name, f"lab/{name}")
    program = image.helper_program(HERE / "host/failnth.c")
    picture.add("lab/bin/failnth", program.read_bytes(), 0o755)
    program = image.program("tenant", HERE.parent / "tenant")
    picture.add("lab/bin/tenant", program.read_bytes(), 0o755)


def check_kunit(out):
    """Every suite ran, and every test in it passed."""
    results, errors = ktap.parse(out["ktap"].split("\n"))
    equal("errors of KTAP", errors, [])
    bad = [f"{one.suite} {one.test}: {' '.join(one.detail)}" for one in results
           if one.status != "ok"]
    assert not bad, "; ".join(bad)
    missing = SUITES - {one.suite for one in results}
    assert not missing, f"suites that did not run: {missing}"


def check_failed_loads(out, least=4, tried=0):
    """A load that fails at any allocation leaves nothing; in the end it succeeds."""
    seen = out.values("loads")
    assert 0 < seen["first"] < seen["last"], f"allocations {seen['first']} to {seen['last']}"
    equal("loads", seen["failed"] + seen["loaded"], seen["tried"])
    assert seen["tried"] >= tried, f"{seen['tried']} loads, at least {tried} are an eighth"
    # Of kvmmem's own vital allocations: tables, pools, /proc.
    assert seen["failed"] >= least, f"only {seen['failed']} loads failed"
    equal("errors", seen["errors"], 0)
    # How many are made is not quite the same each time.
    assert seen["missed"] <= seen["tried"] // 20 + 1, f"{seen['missed']} failed nothing"
    equal("left behind", out["left"], "")
    equal("load without /proc/kvmmem", out["no proc"], "error=12")
    assert "# kvmmem 1" in out["proc"], out["proc"]


# The allocations of a load are those of the module loader and then kvmmem's own.
# A load that the check of a parameter refuses, the last thing before kvmmem's own
# start, tells how many the former are; a load that succeeds tells the sum.
FAILED_LOADS = r"""
load_kvm
echo 0 >/sys/kernel/debug/failslab/verbose
echo N >/sys/kernel/debug/failslab/ignore-gfp-wait
left() {
    ls -d /proc/kvmmem /sys/kernel/debug/kvmmem /sys/module/kvmmem 2>/dev/null
    grep kvmmem /sys/kernel/tracing/enabled_functions
    true
}
load() {
    local nth=$1
    shift
    set -- $(failnth $nth load "$@")
    error=${1#error=} last_left=${2#left=}
}
loads() {
    load 100000 /lab/kvmmem.ko max_vms=0
    first=$((100000 - last_left))
    load 100000 /lab/kvmmem.ko
    last=$((100000 - last_left))
    rmmod kvmmem
    n=$((first + %s)) failed=0 loaded=0 errors=0 tried=0 missed=0
    while [ $n -le $last ]; do
        load $n /lab/kvmmem.ko
        tried=$((tried + 1))
        # Fewer were made this time.
        [ $last_left -eq 0 ] || missed=$((missed + 1))
        # The vital ones come first; of the others, every so-manieth.
        [ $tried -lt %s ] && n=$((n + 1)) || n=$((n + %s))
        case $error in
        0) rmmod kvmmem; loaded=$((loaded + 1)) ;;
        12) [ -z "$(left)" ] || { left; errors=$((errors + 1)); }; failed=$((failed + 1)) ;;
        *) echo "allocation $n: error $error"; errors=$((errors + 1)) failed=$((failed + 1)) ;;
        esac
    done
    echo first=$first last=$last failed=$failed loaded=$loaded errors=$errors tried=$tried \
        missed=$missed
}
# One that comes so late that what has been started has to be stopped.
no_proc() {
    echo 1 >/sys/kernel/slab/proc_dir_entry/failslab
    echo Y >/sys/kernel/debug/failslab/cache-filter
    echo 100 >/sys/kernel/debug/failslab/probability
    echo -1 >/sys/kernel/debug/failslab/times
    load 0 /lab/kvmmem.ko
    echo 0 >/sys/kernel/slab/proc_dir_entry/failslab
    echo 0 >/sys/kernel/debug/failslab/probability
    echo N >/sys/kernel/debug/failslab/cache-filter
    echo error=$error
}
section loads loads
section "no proc" no_proc
section left left
load_kvmmem
section proc cat /proc/kvmmem
"""
LOADS_SOME = FAILED_LOADS % (1, 12, "$(((last - first) / 20 + 1))")
# All, in eight parts of some 300 loads.
EIGHTHS = 8

# What the kernel itself reports, with a stack, when a cache cannot be made.
NO_CACHE = r"(?s)\S*kmem_cache_create\S*\(kvmmem_\w+\) failed with error -(?:12|22)\n.*?</TASK>"


def check_failed_reads(out):
    """A reading whose allocation fails says ENOMEM, or shows less; the next is whole."""
    seen = out.records("reads", "read ")
    assert len(seen) >= 8, f"only {len(seen)} files: {out['reads']}"
    for one in seen:
        assert one["tried"] > 0, f"{one['file']}: no allocation"
        equal(f"{one['file']}: there are more", one["more"], 0)
        equal(f"{one['file']}: errors other than ENOMEM", one["other"], 0)
    assert any(one["nomem"] for one in seen), f"no reading failed: {out['reads']}"
    proc = procfile.ProcFile(out["proc"])
    row, = proc.all("vm")
    equal("resident_kb afterwards", row["resident_kb"], row["mem_kb"])


FAILED_READS = r"""
load_kvm
load_kvmmem backing_max_age_ms=0
echo 0 >/sys/kernel/debug/failslab/verbose
echo N >/sys/kernel/debug/failslab/ignore-gfp-wait
mkfifo held
tenant hold 2 held >tenant.out & guest=$!
wait_for grep -q ^tenant tenant.out
cat /sys/kernel/debug/kvmmem/registry >/dev/null
reads() {
    local file n left tried nomem other more
    for file in /proc/kvmmem /sys/kernel/debug/kvmmem/vms/*/* /sys/kernel/debug/kvmmem/[a-u]*; do
        [ -f $file ] || continue
        n=1 tried=0 nomem=0 other=0 more=1
        while [ $n -le 1000 ]; do
            set -- $(failnth $n read $file)
            left=${2#left=}
            case ${1#error=} in
            0) ;;
            12) nomem=$((nomem + 1)) ;;
            *) other=$((other + 1)) ;;
            esac
            # When none is left to fail there were fewer.
            [ $left -eq 0 ] || { more=0; break; }
            tried=$((tried + 1)) n=$((n + 1))
        done
        echo "read file=$file tried=$tried nomem=$nomem other=$other more=$more"
    done
}
section reads reads
section proc cat /proc/kvmmem
: >held
wait $guest
"""


def check_failed_births(out):
    """While no record can be made events are lost, and counted; then all is well again."""
    equal("lost before", procfile.ProcFile(out["before"]).host["lost"], 0)
    assert procfile.ProcFile(out["without"]).host["lost"] > 0, "nothing was lost"
    again = procfile.ProcFile(out["again"])
    ident = out.records("guest", "tenant ")[0]["id"]
    equal("vcpus", len({row["vcpu"] for row in again.all("vpid", vm=ident)}), 4)
    equal("lost afterwards", again.host["lost"],
          procfile.ProcFile(out["recovered"]).host["lost"])


# The reserve holds 64 records, and refilling it fails.
FAILED_BIRTHS = r"""
load_kvm
load_kvmmem
fails() {
    echo $1 >/sys/kernel/slab/kvmmem_vcpu/failslab
    echo $1 >/sys/kernel/slab/kvmmem_vm/failslab
}
echo 0 >/sys/kernel/debug/failslab/verbose
echo N >/sys/kernel/debug/failslab/ignore-gfp-wait
echo Y >/sys/kernel/debug/failslab/cache-filter
echo 100 >/sys/kernel/debug/failslab/probability
echo -1 >/sys/kernel/debug/failslab/times
section before cat /proc/kvmmem
fails 1
section births tenant births 2 80
section without cat /proc/kvmmem
fails 0
echo 0 >/sys/kernel/debug/failslab/probability
echo N >/sys/kernel/debug/failslab/cache-filter
# One that is refused asks for more; then it is there.
tenant births 1 70 >/dev/null
sleep 1
section recovered cat /proc/kvmmem
mkfifo held
tenant hold 4 held >tenant.out & guest=$!
wait_for grep -q ^tenant tenant.out
section guest cat tenant.out
section again cat /proc/kvmmem
: >held
wait $guest
# What was lost shall not be seen by the next one, that keeps what is loaded.
unload_kvmmem
"""

def check_births_failing(out):
    """Whatever is allocated for a VM may fail; when nothing does any more, all is there."""
    for one in out.records("births", "round "):
        assert one["failed"] > 10, out["births"]
    equal("rounds", len(out.records("births", "round ")), 4)
    held = out.records("held", "tenant ")[0]["id"]
    text = procfile.ProcFile(out["proc"])
    equal("vcpus", text.find("vm", id=held)["vcpus"], 2)
    assert text.find("inval", vm=held)["calls"] is not None, "it is not followed"
    assert held in out["directories"].split(), out["directories"]
    guest = out.values("guest")
    row = procfile.ProcFile(out["counted"]).find("fault", vm=guest["id"])
    equal("violations of the last guest", row["ept_violations"], guest["violations"])
    equal("slabs", out["slabs"], "")
    suite_life.check_registry_empty(out)


# Of allocations those that kvmmem asks for, wherever: in hooks, workers, for directories.
BIRTHS_FAILING = r"""
load_kvm
load_kvmmem
cd /sys/kernel/debug/failslab
echo 0 >verbose
echo N >ignore-gfp-wait
text=$(cat /sys/module/kvmmem/sections/.text)
echo $text >require-start
printf '0x%x' $((text + $(cat /sys/module/kvmmem/coresize))) >require-end
cd /tmp
round() {
    echo 1000000 >/sys/kernel/debug/failslab/times
    echo $1 >/sys/kernel/debug/failslab/probability
    for i in 1 2 3 4 5 6 7 8; do
        tenant births 1 2 >/dev/null
        tenant births 1 70 >/dev/null
        cat /proc/kvmmem >/dev/null || :
    done
    [ $1 != 50 ] || { tenant hold 2 held >tenant.out & sleep 1; }
    echo 0 >/sys/kernel/debug/failslab/probability
    echo "round probability=$1 failed=$((1000000 - $(cat /sys/kernel/debug/failslab/times)))"
}
mkfifo held
rounds() { for percent in 100 50 20 5; do round $percent; done; }
section births rounds
echo 0 >/sys/kernel/debug/failslab/require-start
echo 0xffffffffffffffff >/sys/kernel/debug/failslab/require-end
# The next birth asks for what was refused.
""" + suite_life.GUEST + r"""
known() { awk '$1 == "inval" && $3 != "-" { n++ } END { exit !n }' /proc/kvmmem; }
wait_for known
section held cat tenant.out
section proc cat /proc/kvmmem
section directories ls /sys/kernel/debug/kvmmem/vms
: >held
ended() { ! grep -q "^vm " /proc/kvmmem; }
wait_for ended
section registry cat /sys/kernel/debug/kvmmem/registry
# What was lost shall not be seen by the next one.
unload_kvmmem
section slabs sh -c 'grep ^kvmmem /proc/slabinfo || true'
"""


# Those that are held over loops. That of the budget is not; it is taken so often that
# an interrupt comes while it is held in each round. So is a VM's for its alignment, once
# for each piece of memory; suite_sections.py times that.
LOCKS = ("&vm->lock", "registry_lock")
# Instructions, of which lockdep's are most.
HELD_MOST = 50000
ROUNDS = 8
ACTS = ("births", "registry", "proc", "wide", "slots", "deaths")


def check_locks(out):
    """No lock of kvmmem's that stops preemption is held long, however large a VM is."""
    held = {name: {} for name in LOCKS}
    for act in ACTS:
        equal(f"rounds of {act}", len(out.all(f"locks {act}")), ROUNDS)
        for line in "\n".join(out.all(f"locks {act}")).split("\n"):
            name, _, figures = line.strip().partition(": ")
            words = figures.split()
            if name.strip() in LOCKS and len(words) == 12:
                # us of a clock that counts instructions
                held[name.strip()].setdefault(act, []).append(float(words[9]) * 1000)
    for name, acts in held.items():
        assert any(max(rounds) for rounds in acts.values()), f"{name} was never held: {acts}"
        # An interrupt while it is held is counted, too: in one to four of eight rounds.
        for act, rounds in acts.items():
            assert min(rounds) <= HELD_MOST, \
                f"{name} was held for {rounds} instructions during {act}"
    for text in out.all("proc"):
        equal("vcpus", max(row["vcpus"] for row in procfile.ProcFile(text).all("vm")), 512)


HELD_LOCKS = r"""
load_kvm
load_kvmmem
mkfifo wide.fifo slots.fifo
echo 1 >/proc/sys/kernel/lock_stat
# act NAME COMMAND...: how long locks are held meanwhile
act() {
    local name=$1
    shift
    echo 0 >/proc/lock_stat
    "$@"
    section "locks $name" grep -E "&vm->lock:|registry_lock:" /proc/lock_stat
}
births() {
    tenant hold 512 wide.fifo >wide.out & wide=$!
    tenant slots 400 1 slots.fifo >slots.out & slots=$!
    wait_for grep -q ^tenant wide.out
    wait_for grep -q ^tenant slots.out
}
files() {
    local path
    for path in /sys/kernel/debug/kvmmem/vms/$1-*/*; do
        case $path in */alignment) continue ;; esac
        cat $path >/dev/null
    done
}
deaths() {
    : >wide.fifo
    : >slots.fifo
    wait $wide $slots
    cat /sys/kernel/debug/kvmmem/registry >/dev/null
}
proc() { cat /proc/kvmmem >proc.out; }
registry() {
    local path
    for path in /sys/kernel/debug/kvmmem/*; do
        [ ! -f $path ] || cat $path >/dev/null
    done
}
for round in $(seq """ + str(ROUNDS) + r"""); do
    act births births
    act registry registry
    act proc proc
    act wide files $wide
    act slots files $slots
    section proc cat proc.out
    act deaths deaths
done
"""

# Where they run, too, for the sake of scripts/test/coverage.py.
KERNELS = (debugkernel.NAME, "kasan")

SCENARIOS = [
    Scenario("kunit", """
dmesg -c >/dev/null
insmod /lab/kvmmem-kunit.ko max_vms=64
section ktap dmesg
rmmod kvmmem-kunit
""", check_kunit, kernels=KERNELS, vendors=("amd",), limit=120),
    Scenario("failed_loads", LOADS_SOME, check_failed_loads,
             kernels=KERNELS, vendors=("amd",), limit=600, expected=NO_CACHE),
    *(Scenario(f"loads_failing_{one}", FAILED_LOADS % (1 + one, 0, EIGHTHS),
               functools.partial(check_failed_loads, least=1, tried=200),
               kernels=(debugkernel.NAME,), vendors=("amd",), limit=1500, expected=NO_CACHE)
      for one in range(EIGHTHS)),
    Scenario("failed_reads", FAILED_READS, check_failed_reads,
             kernels=KERNELS, vendors=("amd",), limit=300),
    Scenario("failed_births", FAILED_BIRTHS, check_failed_births,
             kernels=KERNELS, vendors=("amd",), limit=120),
    Scenario("births_failing", BIRTHS_FAILING, check_births_failing,
             kernels=KERNELS, vendors=("amd",), limit=200),
    Scenario("held_locks", HELD_LOCKS, check_locks, kernels=(debugkernel.NAME,),
             vendors=("amd",), limit=300, host={"icount": True, "memory_mb": 768}),
]
