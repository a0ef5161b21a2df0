# SPDX-License-Identifier: GPL-2.0
"""Somebody comes between two steps of kvmmem's, each time.

kvmmem is built with windows.h, which holds those moments open. suite_leaving.py has
those in which it loads or leaves.
"""

import pathlib
import re

import debugkernel
import features
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


def prepare(image, kernel, vendor):
    """The module with its windows open in place of the plain one."""
    suite_input.prepare(image, kernel, vendor)
    suite_tenant.prepare(image, kernel, vendor)
    suite_storm.prepare(image, kernel, vendor)
    built = kmod.build(kernel, header=HEADER, files=FILES)
    image.add_file(built / "kvmmem.ko", "lab/kvmmem.ko")
    for home in (hostmodule.FTRACEKILL, hostmodule.REFUSE):
        image.add_file(hostmodule.build(kernel, home), f"lab/{home.name}.ko")
    for name in ("bornguest", "lastvm", "memguest"):
        image.add(f"lab/bin/{name}",
                  images.helper_program(HERE / f"host/{name}.c").read_bytes(), 0o755)
    # How often somebody was in a window.
    image.add("lab/bin/opened", b'#!/bin/sh\ndmesg | grep -c "window: $1$"\n', 0o755)


def check_born(out):
    """All were born, and each was asked about meanwhile."""
    found = out.values("born")
    equal("VMs", found["born"], TIMES)
    assert found["asked"] > 10 * TIMES, found


def check_watch(out):
    """The old VM's directory was there, the new one's was not yet; nothing is left."""
    old = out.records("old", "tenant ")[0]["id"]
    equal("directories", out["told"].split(), [old])
    equal("left behind", out["left"], "")


def check_announce(out):
    """Who ended while the watcher was about to be told of it has no directory; the next has."""
    new = out.records("new", "tenant ")[0]["id"]
    equal("directories", (out["ended"].split(), out["dirs"].split()), ([], [new]))
    assert int(out["opened"]), "nobody was about to be told: it is no trial"


def check_scan(out):
    """More processes come than can be looked through meanwhile, and kvmmem loads."""
    made, looked = int(out["made"]), int(out["opened"])
    assert made > looked > 20, f"{made} processes, and {looked} looked at: it is no trial"
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
    assert int(out["opened"]), "the worker was not about to do anything: it is no trial"
    row, = procfile.ProcFile(out["off"]).all("inval")
    equal("calls while it is off", row["calls"], None)
    row, = procfile.ProcFile(out["on"]).all("inval")
    assert row["calls"] is not None, row


def check_flows(out):
    """What KVM tells of while nobody listens any more is not counted a second time."""
    row, = procfile.ProcFile(out["proc"]).all("huge")
    equal("installed and zapped", (row["installed"], row["zapped"]), (4, 4))
    assert int(out["opened"]), "nobody was switching: it is no trial"
    equal("the hook when they went",
          suite_life.states(out)["kvm_tdp_mmu_spte_changed"]["state"], "attached")


def check_slots(out):
    """What was counted too late is not taken for the slots of now."""
    for name, mem_kb in (("other", 1028), ("next", 1028)):
        row, = procfile.ProcFile(out[name]).all("vm")
        equal(f"mem_kb of the {name} reader", row["mem_kb"], mem_kb)
    # A VM that ends while it is counted has none, and what the others have is known.
    equal("guest_kb", procfile.ProcFile(out["dead"]).host["guest_kb"], 1028)


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
section opened opened share
section storm cat storm.out
unload_kvmmem
""", check_share, kernels=("kasan",), limit=200, host=HOST)


HOST = {"cpus": 2, "cmdline": "oops=panic"}
SCENARIOS = [
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
wait_for opened watch >/dev/null
section opened opened watch
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
load_kvmmem
: >loaded
section opened opened scan
wait $makes
section made cat made
section came sh -c 'ls came 2>/dev/null | wc -l'
section proc cat /proc/kvmmem
echo host >/proc/sys/kernel/hostname
tenant_off old
unload_kvmmem
""", check_scan, limit=120, host=HOST),
    # A hook is switched on while KVM begins to load, which the kernel then refuses. 7.3 gives
    # the next one the same place, which cannot be held.
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
""", check_refused, kernels=(*features.KERNELS[:3], *debugkernel.NAMES[:-1]), limit=60, host=HOST),
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
    section opened opened notifier
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
    # Huge mappings go when huge_flows=0 is on its way, and the hook is still there. The
    # TSC of one processor is good.
    Scenario("window_flows", """
load_kvm; load_kvmmem huge_flows=1
echo flows >/proc/sys/kernel/hostname
off="echo 0 >/sys/module/kvmmem/parameters/huge_flows"
memguest dropped "
    . /lab/lib.sh
    section hooks cat /sys/kernel/debug/kvmmem/hooks
    sleep 2
    section proc cat /proc/kvmmem" "$off & sleep 1" \
    >guest.out || { cat guest.out; exit 1; }
sed -n '/^@@lab/,$p' guest.out
section opened opened flows
unload_kvmmem
""", check_flows, kernels=(*features.KERNELS[1:], *debugkernel.NAMES), limit=60,
             host={"cmdline": "oops=panic"}),
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
    # A walk finds no vCPU, then that there is one.
    Scenario("window_first_vcpu", f"""
load_kvm; load_kvmmem
section born bornguest {TIMES}
unload_kvmmem
""", check_born, limit=60, host=HOST),
]
