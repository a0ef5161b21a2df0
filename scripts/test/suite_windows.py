# SPDX-License-Identifier: GPL-2.0
"""Somebody comes between two steps of kvmmem's, each time.

kvmmem is built with windows.h, which holds those moments open.
"""

import errno
import pathlib
import re

import hostmodule
import image as images
import kmod
import leaks
import procfile
import suite_input
import suite_life
import suite_storm
import suite_tenant
from host import Scenario
from suite_lab import equal

HERE = pathlib.Path(__file__).resolve().parent
HEADER = HERE / "windows.h"
# Where windows are.
FILES = ("main", "attach/hooks", "count/notifier", "memory/eptwalk", "memory/hostpath",
         "memory/hostwalk", "registry/info", "registry/pool", "registry/scan",
         "registry/watch", "show/pmu")
TIMES = 20
SHARED = 40
TAKEN = "kvm_mmu_notifier_invalidate_range_start"
# As windows.h has it: of each process, twice.
SCAN_MS = 120


def prepare(image, kernel, vendor):
    """The module with its windows open in place of the plain one."""
    suite_input.prepare(image, kernel, vendor)
    suite_tenant.prepare(image, kernel, vendor)
    suite_storm.prepare(image, kernel, vendor)
    built = kmod.build(kernel, header=HEADER, files=FILES)
    image.add_file(built / "kvmmem.ko", "lab/kvmmem.ko")
    for home in (hostmodule.FTRACEKILL, hostmodule.REFUSE):
        image.add_file(hostmodule.build(kernel, home), f"lab/{home.name}.ko")
    for name in ("bornguest", "lastvm"):
        image.add(f"lab/bin/{name}",
                  images.helper_program(HERE / f"host/{name}.c").read_bytes(), 0o755)


def check_born(out):
    """All were born, and each was asked about meanwhile."""
    found = out.values("born")
    equal("VMs", found["born"], TIMES)
    assert found["asked"] > 10 * TIMES, found


def check_last(out):
    """kvmmem went, and nothing was said about it."""
    equal("kvmmem is loaded", int(out["modules"]), 0)


def check_events(out):
    """Nobody opens an event before kvmmem can say who may; root may at any time."""
    asked = {name: out.records(name, "event=") for name in ("early", "root")}
    equal("events", [len(of) for of in asked.values()], [len(EVENTS)] * 2)
    equal("refused early", {one["error"] for one in asked["early"]}, {errno.EACCES})
    equal("allowed to root", {one["error"] for one in asked["root"]}, {0})


def check_failing(out):
    """Who looked at kvmmem while it failed to load has nothing in his hands when it is gone."""
    assert "Cannot allocate memory" in out["load"] or "Out of memory" in out["load"], out["load"]
    assert int(out["tried"]) > 10, out["tried"]
    assert int(out["opened"]) > 10, f"a file was there {out['opened']} times"


def check_written(out):
    """Nothing can be written to switches while kvmmem starts, nor after it has failed to."""
    assert "Cannot allocate memory" in out["load"] or "Out of memory" in out["load"], out["load"]
    for errno_text in ("Device or resource busy", "No such device"):
        found = re.findall(rf".*{errno_text}", out["said"])
        assert found, f"nobody was told '{errno_text}': {out['said'][-500:]}"
    equal("kvmmem is loaded", int(out["modules"]), 0)


def check_leaving(out):
    """Whoever had a parameter open was told that there is nothing to write to any more."""
    assert out["said"].count("No such device") > 20, out["said"][-500:]
    equal("kvmmem is loaded", int(out["modules"]), 0)


def check_watch(out):
    """The old VM's directory was there, the new one's was not yet; nothing is left."""
    old = out.records("old", "tenant ")[0]["id"]
    equal("directories", out["told"].split(), [old])
    equal("left behind", out["left"], "")


def check_announce(out):
    """Who ended while the watcher was about to be told of it has no directory; the next has."""
    new = out.records("new", "tenant ")[0]["id"]
    equal("directories", (out["ended"].split(), out["dirs"].split()), ([], [new]))


def check_scan(out):
    """More processes come than can be looked through meanwhile, and kvmmem loads."""
    looked = int(out["took"]) / SCAN_MS
    assert int(out["made"]) > looked, f"{out['made']} processes: it is no trial"
    equal("processes still came when kvmmem was loaded", out["came"], "0")
    old = out.records("old", "tenant ")[0]["id"]
    equal("VMs that are older", [row["id"] for row in procfile.ProcFile(out["proc"]).all("vm")],
          [old])


def check_refused(out):
    """Functions of a KVM that did not come are not taken for those of the next one."""
    equal("KVM is loaded after it was refused", int(out["modules"]), 0)
    assert out["first"] != out["second"], f"KVM came to {out['second']} again: it is no trial"
    equal("hooked in the KVM that was refused",
          suite_life.states(out, "early")[TAKEN]["state"], "attached")
    row, = procfile.ProcFile(out["proc"]).all("inval")
    assert row["calls"], f"nothing is heard of it: {row}"


def check_leak(out):
    """kmemleak, and who reads what it says, see what is lost: both as they name it."""
    for name in ("there", "gone"):
        found = leaks.kvmmems(out[name])
        equal(f"lost while kvmmem is {name}", len(found), 2)
        equal(f"{name}: kvmmem has its name", {"[kvmmem" in one for one in found},
              {name == "there"})


def check_switched(out):
    """Whoever wrote to a parameter last has his way, whatever the worker was about to do."""
    row, = procfile.ProcFile(out["off"]).all("inval")
    equal("calls while it is off", row["calls"], None)
    row, = procfile.ProcFile(out["on"]).all("inval")
    assert row["calls"] is not None, row


def check_slots(out):
    """What was counted too late is not taken for the slots of now."""
    for name, mem_kb in (("other", 1028), ("next", 1028)):
        row, = procfile.ProcFile(out[name]).all("vm")
        equal(f"mem_kb of the {name} reader", row["mem_kb"], mem_kb)
    # A VM that ends while it is counted has none, and what the others have is known.
    equal("guest_kb", procfile.ProcFile(out["dead"]).host["guest_kb"], 1028)


def check_kept(out):
    """ftrace calls kvmmem for ever: it stays, says so once, and nobody else is held up."""
    assert out["modules"].startswith("kvmmem "), out["modules"]
    equal("lines in the log", len(out["said"].splitlines()), 1)
    assert "until the next boot" in out["said"], out["said"]
    equal("how rmmod waits", out["state"].strip(), "I")
    equal("guests that ran", len(out.records("guest", "result ")), 3)
    equal("kvmmem's directories", out["left"], "")


def check_share(out):
    """A table of huge pages stays until the walk has read it. KASAN sees if it does not."""
    storm = dict(re.findall(r"(\w+)=(\d+)", out["storm"]))
    assert int(storm["did"]) >= SHARED // 2 and not int(storm["failed"]), out["storm"]
    equal("readings", int(out["readings"]), SHARED)
    assert int(out["opened"]) >= SHARED // 2, f"the window was open {out['opened']} times"


def share(name, look):
    """A huge page's table is about to be read by @look when another process has it freed."""
    return Scenario(f"window_{name}", f"""
load_kvm
load_kvmmem backing_max_age_ms=0 walk_share=100
echo 16 >/proc/sys/vm/nr_hugepages
taskset 1 storm share seconds=300 >storm.out 2>&1 &
storm=$!
wait_for grep -q "^vm " /proc/kvmmem
cat /sys/kernel/debug/kvmmem/registry >/dev/null
export vm=$(echo /sys/kernel/debug/kvmmem/vms/*)
echo share >/proc/sys/kernel/hostname
readings=0
while [ $readings -lt {SHARED} ]; do
    taskset 2 {look} >/dev/null
    readings=$((readings + 1))
done
echo host >/proc/sys/kernel/hostname
kill -TERM $storm
wait $storm || :
section readings echo $readings
section opened sh -c 'dmesg | grep -c "window: share"'
section storm cat storm.out
unload_kvmmem
""", check_share, kernels=("kasan",), limit=200, host=HOST)


EVENTS = suite_input.EVENTS
ALL = " ".join(f"kvmmem/{name}" for name in EVENTS)
HOST = {"cpus": 2, "cmdline": "oops=panic"}
SCENARIOS = [
    # The events are there, and kvmmem has not said yet who may open them.
    Scenario("window_events", f"""
load_kvm
echo 1 >/proc/sys/kernel/perf_event_paranoid
echo events >/proc/sys/kernel/hostname
insmod /lab/kvmmem.ko &
wait_for test -e /sys/kernel/tracing/events/kvmmem/vm_end/id
section early perfopen 1000 {ALL}
section root perfopen 0 {ALL}
wait $!
echo host >/proc/sys/kernel/hostname
unload_kvmmem
""", check_events, limit=60, host=HOST),
    # Loading fails after readers could come.
    Scenario("window_failing", """
load_kvm
echo failing >/proc/sys/kernel/hostname
tried=0 opened=0
insmod /lab/kvmmem.ko 2>load &
loads=$!
while kill -0 $loads 2>/dev/null; do
    tried=$((tried + 1))
    for file in /proc/kvmmem /sys/kernel/debug/kvmmem/hooks; do
        [ ! -e $file ] || { exec 9<$file; opened=$((opened + 1)); }
    done
    sleep 0.05
done
# What was its memory is another's now.
for i in 1 2 3; do echo host >/proc/sys/kernel/hostname; load_kvmmem; unload_kvmmem; done
exec 9<&-
section load cat load
section tried echo $tried
section opened echo $opened
""", check_failing, limit=60, host=HOST),
    # Parameters are written to while loading fails, and when it has.
    Scenario("window_failing_writes", """
load_kvm
echo failing >/proc/sys/kernel/hostname
insmod /lab/kvmmem.ko 2>load &
loads=$!
while kill -0 $loads 2>/dev/null; do
    for one in /sys/module/kvmmem/parameters/*; do
        for value in 0 1; do sh -c "echo $value >$one" 2>>said || :; done
    done
    sleep 0.02
done
section load cat load
section said cat said
section modules sh -c 'grep -c "^kvmmem " /proc/modules || true'
echo host >/proc/sys/kernel/hostname
for i in 1 2 3; do load_kvmmem; unload_kvmmem; done
""", check_written, limit=60, host=HOST),
    # Likewise while kvmmem leaves, to files that were opened before.
    Scenario("window_leaving_writes", """
load_kvm
loads() {
    load_kvmmem
    kvmguest --pages 64 --forever >/dev/null & guest=$!
    wait_for grep -q "^vm " /proc/kvmmem
    rm -f gone
    for one in /sys/module/kvmmem/parameters/*; do
        [ ! -w $one ] || sh -c '
            exec 9>'$one'
            while [ ! -e gone ]; do
                for value in 0 1; do echo $value >&9 || :; done
                sleep 0.02
            done' 2>>said & writers="$writers $!"
    done
    sleep 0.3
    echo leaving >/proc/sys/kernel/hostname
    rmmod kvmmem
    : >gone
    echo host >/proc/sys/kernel/hostname
    wait $writers
    writers=
    kill $guest
    wait $guest || :
}
loads; loads
section said cat said
section modules sh -c 'grep -c "^kvmmem " /proc/modules || true'
load_kvmmem; unload_kvmmem
""", check_leaving, limit=60, host=HOST),
    # The watcher is told of a birth when it is to be told of none any more.
    Scenario("window_watch", suite_tenant.HELPERS + """
load_kvm; load_kvmmem
tenant_on old hold 1 old.fifo
waits() { [ "$(ls /sys/kernel/debug/kvmmem/vms | wc -l)" = $1 ]; }
wait_for waits 1
echo watch >/proc/sys/kernel/hostname
tenant_on new hold 1 new.fifo
sleep 0.5
section told ls /sys/kernel/debug/kvmmem/vms
rmmod kvmmem &
leaves=$!
tenant_on last hold 1 last.fifo
tenant_off new
wait $leaves
echo host >/proc/sys/kernel/hostname
section left sh -c 'ls -d /sys/kernel/debug/kvmmem /proc/kvmmem 2>/dev/null || true'
tenant_off last
tenant_off old
load_kvmmem; unload_kvmmem
""", check_watch, limit=60, host=HOST),
    # A VM ends while the watcher is about to be told of its birth. KASAN sees its record used.
    Scenario("window_announce", suite_tenant.HELPERS + """
load_kvm; load_kvmmem
echo watch >/proc/sys/kernel/hostname
tenant_on old hold 1 old.fifo
sleep 0.5
tenant_off old
gone() { ! grep -q "^vm " /proc/kvmmem; }
wait_for gone
sleep 3
section ended ls /sys/kernel/debug/kvmmem/vms
echo host >/proc/sys/kernel/hostname
tenant_on new hold 1 new.fifo
section registry registry
section dirs ls /sys/kernel/debug/kvmmem/vms
tenant_off new
unload_kvmmem
""", check_announce, limit=60, host=HOST),
    # Somebody makes processes faster than they can be looked through for VMs.
    Scenario("window_scan", suite_tenant.HELPERS + """
load_kvm
tenant_on old hold 1 old.fifo; mkfifo wait; exec 9<>wait
makes() {
    made=0 now=0
    while [ $now -lt 60 ] && ! [ -e loaded ]; do
        read -r -t 5 _ <&9 &            # no exec, which takes long
        read now _ </proc/uptime
        made=$((made + 1)) now=$((${now%.*} - began))
    done
    echo $made >made
    [ -e loaded ] || : >came
}
echo scan >/proc/sys/kernel/hostname
began=$(cut -d. -f1 /proc/uptime)
makes &
makes=$!
before=$(now_ms)
load_kvmmem
: >loaded
section took echo $(($(now_ms) - before))
wait $makes
section made cat made
section came sh -c 'ls came 2>/dev/null | wc -l'
section proc cat /proc/kvmmem
echo host >/proc/sys/kernel/hostname
tenant_off old
unload_kvmmem
""", check_scan, limit=120, host=HOST),
    # A hook is switched on while KVM begins to load, which the kernel then refuses.
    Scenario("window_refused", """
unload_kvm
load_kvmmem invalidations=0
insmod /lab/refuse.ko whom=kvm
load_kvm &
loads=$!
wait_for grep -q "^kvm .*Loading" /proc/modules
place() { awk '$1 == "kvm" { print $6 }' /proc/modules; }
section first place
echo 1 >/sys/module/kvmmem/parameters/invalidations
section early cat /sys/kernel/debug/kvmmem/hooks
wait $loads || :
section modules sh -c 'grep -c "^kvm " /proc/modules || true'
rmmod refuse
# It takes KVM's place.
insmod /lab/holdlock.ko queued=1
load_kvm
section second place
# The worker looks where a VM's memory is a moment after its birth.
kvmguest --pages 64 --rounds 3 --drop --each 'sleep 0.5' --then "section proc cat /proc/kvmmem"
unload_kvmmem
rmmod holdlock
""", check_refused, limit=60, host=HOST),
    # Something is lost on purpose, while kvmmem is there and when it has gone.
    Scenario("window_leak", """
load_kvm
echo leak >/proc/sys/kernel/hostname
load_kvmmem
echo host >/proc/sys/kernel/hostname
section there find_leaks
unload_kvmmem
section gone find_leaks
echo clear >/sys/kernel/debug/kmemleak
""", check_leak, kernels=("kasan",), limit=200,
             host={"cpus": 2, "cmdline": f"oops=panic {leaks.ON}"}),
    # A VM's end wakes the worker; it knows whether it shall count, and waits for its turn.
    Scenario("window_switch", """
load_kvm; load_kvmmem
mkfifo other
lastvm other &
vm=$!
exec 9>other
parameter=/sys/module/kvmmem/parameters/invalidations
kvmguest --pages 8 --then "
    sleep 1
    echo notifier >/proc/sys/kernel/hostname
    echo >&9
    sleep 1
    echo 0 >$parameter
    # It has its turn for each VM, twice.
    sleep 8
    section off cat /proc/kvmmem
    echo host >/proc/sys/kernel/hostname
    echo 1 >$parameter
    section on cat /proc/kvmmem"
echo >&9
wait $vm
unload_kvmmem
""", check_switched, limit=60, host=HOST),
    # Two processes share a table of huge pages, and one has it taken away and freed. They
    # run on one processor and the reader on the other, so that nobody asks that one to flush
    # its TLB, for which it would have to let interrupts in.
    share("share", "cat $vm/backing"),
    share("share_translate", "sh -c 'echo gpa 0x200000 >$vm/translate; cat $vm/translate'"),
    # Slots change, and are counted by another, before somebody notes what he has counted.
    Scenario("window_slots", suite_tenant.HELPERS + """
load_kvm; load_kvmmem
tenant_on grow grow grow.fifo
echo slots >/proc/sys/kernel/hostname
cat /proc/kvmmem >/dev/null & late=$!
sleep 1; echo host >/proc/sys/kernel/hostname; : >grow.fifo
wait_for grep -q ^grown grow.out
section other cat /proc/kvmmem
wait $late
section next cat /proc/kvmmem
tenant_on new hold 1 new.fifo; echo slots >/proc/sys/kernel/hostname
before=$(now_ms); cat /proc/kvmmem >dead & late=$!
sleep 0.5; tenant_off new; wait $late; [ $(($(now_ms) - before)) -gt 1900 ]
section dead cat dead
tenant_off grow
unload_kvmmem
""", check_slots, limit=60, host=HOST),
    # ftrace has shut itself down: whatever is hooked stays so.
    Scenario("window_ftrace", """
load_kvm; load_kvmmem
insmod /lab/ftracekill.ko
rmmod kvmmem &
says() { dmesg | grep -q "kvmmem: ftrace"; }
wait_for says
for i in 1 2 3; do kvmguest --pages 64; done >guests
sleep 1
section guest cat guests
section modules grep "^kvmmem " /proc/modules
section state sh -c "sed 's/.*) //' /proc/$!/stat | cut -c1"
section said sh -c 'dmesg | grep "kvmmem: ftrace"'
section left sh -c 'ls -d /sys/kernel/debug/kvmmem /proc/kvmmem 2>/dev/null || true'
rmmod ftracekill
""", check_kept, limit=60, host={**HOST, "memory_mb": 640}, leaves=("kvmmem",)),
    # It does so while kvmmem is loaded, which fails afterwards.
    Scenario("window_ftrace_failing", """
load_kvm
echo failing >/proc/sys/kernel/hostname
insmod /lab/kvmmem.ko &
waits=$!
hooked() { grep -q kvm_arch_destroy_vm /sys/kernel/tracing/enabled_functions; }
wait_for hooked
insmod /lab/ftracekill.ko
says() { dmesg | grep -q "kvmmem: ftrace"; }
wait_for says
for i in 1 2 3; do kvmguest --pages 64; done >guests
sleep 1
section guest cat guests
section modules grep "^kvmmem " /proc/modules
section state sh -c "sed 's/.*) //' /proc/$waits/stat | cut -c1"
section said sh -c 'dmesg | grep "kvmmem: ftrace"'
section left sh -c 'ls -d /sys/kernel/debug/kvmmem /proc/kvmmem 2>/dev/null || true'
rmmod ftracekill
""", check_kept, limit=60, host={**HOST, "memory_mb": 704}, leaves=("kvmmem",)),
    # A walk finds no vCPU, then that there is one.
    Scenario("window_first_vcpu", f"""
load_kvm; load_kvmmem
section born bornguest {TIMES}
unload_kvmmem
""", check_born, limit=60, host=HOST),
    # A VM ends when nobody hears of deaths any more. The notifier's worker is looking at it
    # when rmmod begins.
    Scenario("window_last_vm", """
load_kvm
load_kvmmem
echo look >/proc/sys/kernel/hostname
mkfifo fifo
lastvm fifo &
vm=$!
exec 9>fifo
wait_for grep -q "^vm " /proc/kvmmem
sleep 0.5
rmmod kvmmem &
gone() { ! grep -q kvm_arch_destroy_vm /sys/kernel/tracing/enabled_functions; }
wait_for gone
echo >&9
ended() { ! ls /sys/kernel/debug/kvm | grep -q "^$vm-"; }
wait_for ended
wait $!
section modules sh -c 'grep -c "^kvmmem " /proc/modules || true'
echo >&9
wait $vm
""", check_last, limit=60, host=HOST),
]
