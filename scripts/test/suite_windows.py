# SPDX-License-Identifier: GPL-2.0
"""Somebody comes between two steps of kvmmem's, each time.

kvmmem is built with windows.h, which holds those moments open.
"""

import hashlib
import pathlib

import image as images
import kmod
import suite_tenant
from host import Scenario
from suite_lab import equal

HERE = pathlib.Path(__file__).resolve().parent
HEADER = HERE / "windows.h"
TIMES = 20


def prepare(image, kernel, vendor):
    """The module with its windows open in place of the plain one."""
    kmod.prepare(image, kernel, vendor)
    digest = hashlib.sha256(HEADER.read_bytes()).hexdigest()[:8]
    built = kmod.build(kernel, f"KCFLAGS=-include {HEADER} -DWINDOWS={digest}")
    image.add_file(built / "kvmmem.ko", "lab/kvmmem.ko")
    for name in ("bornguest", "lastvm"):
        image.add(f"lab/bin/{name}",
                  images.helper_program(HERE / f"host/{name}.c").read_bytes(), 0o755)
    image.add_file(suite_tenant.holdlock(kernel), "lab/holdlock.ko")


def check_born(out):
    """All were born, and each was asked about meanwhile."""
    found = out.values("born")
    equal("VMs", found["born"], TIMES)
    assert found["asked"] > 10 * TIMES, found


def check_last(out):
    """kvmmem went, and nothing was said about it."""
    equal("kvmmem is loaded", int(out["modules"]), 0)


HOST = {"cpus": 2, "cmdline": "oops=panic"}
SCENARIOS = [
    # A walk finds no vCPU, then that there is one.
    Scenario("window_first_vcpu", f"""
load_kvm; load_kvmmem
section born bornguest {TIMES}
unload_kvmmem
""", check_born, limit=60, host=HOST),
    # A VM ends when nobody hears of deaths any more, while the notifier's worker comes back
    # to it each tenth of a second, since somebody has its process's lock.
    Scenario("window_last_vm", """
load_kvm
mkfifo fifo
lastvm fifo &
vm=$!
exec 9>fifo
insmod /lab/holdlock.ko pid=$vm
load_kvmmem
wait_for grep -q "^vm " /proc/kvmmem
rmmod kvmmem &
gone() { ! grep -q kvm_arch_destroy_vm /sys/kernel/tracing/enabled_functions; }
wait_for gone
echo >&9
ended() { ! ls /sys/kernel/debug/kvm | grep -q "^$vm-"; }
wait_for ended
wait $!
section modules sh -c 'grep -c "^kvmmem " /proc/modules || true'
rmmod holdlock
echo >&9
wait $vm
""", check_last, limit=60, host=HOST),
]
