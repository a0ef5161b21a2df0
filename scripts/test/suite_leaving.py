# SPDX-License-Identifier: GPL-2.0
"""Somebody comes while kvmmem loads, fails to, or leaves.

kvmmem is built with windows.h, as in suite_windows.py.
"""

import errno
import re

import suite_input
import suite_windows
from host import Scenario
from suite_lab import equal

HOST = suite_windows.HOST
prepare = suite_windows.prepare


def check_last(out):
    """kvmmem went, and nothing was said about it."""
    assert int(out["opened"]), "nobody was looking at the VM: it is no trial"
    equal("kvmmem is loaded", int(out["modules"]), 0)


def check_events(out):
    """Nobody opens an event before kvmmem can say who may; root may at any time."""
    equal("kvmmem was asked", out["state"], "coming")
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


def check_kept(out):
    """ftrace calls kvmmem for ever: it stays, says so once, and nobody else is held up."""
    assert out["modules"].startswith("kvmmem "), out["modules"]
    equal("lines in the log", len(out["said"].splitlines()), 1)
    assert "until the next boot" in out["said"], out["said"]
    equal("how rmmod waits", out["state"].strip(), "I")
    equal("guests that ran", len(out.records("guest", "result ")), 3)
    equal("kvmmem's directories", out["left"], "")


EVENTS = suite_input.EVENTS
ALL = " ".join(f"kvmmem/{name}" for name in EVENTS)
# ftrace has shut itself down, and $waits is who wants kvmmem gone.
KEPT = """
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
"""
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
section state cat /sys/module/kvmmem/initstate
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
    # ftrace has shut itself down: whatever is hooked stays so.
    Scenario("window_ftrace", """
load_kvm; load_kvmmem
insmod /lab/ftracekill.ko
rmmod kvmmem & waits=$!
""" + KEPT, check_kept, limit=60, host={**HOST, "memory_mb": 640}, leaves=("kvmmem",)),
    # It does so while kvmmem is loaded, which fails afterwards.
    Scenario("window_ftrace_failing", """
load_kvm
echo failing >/proc/sys/kernel/hostname
insmod /lab/kvmmem.ko &
waits=$!
hooked() { grep -q kvm_arch_destroy_vm /sys/kernel/tracing/enabled_functions; }
wait_for hooked
insmod /lab/ftracekill.ko
""" + KEPT, check_kept, limit=60, host={**HOST, "memory_mb": 704}, leaves=("kvmmem",)),
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
wait_for opened look >/dev/null
section opened opened look
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
