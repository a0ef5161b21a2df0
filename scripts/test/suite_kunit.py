# SPDX-License-Identifier: GPL-2.0
"""The KUnit suites, and every error path of load, on the debug kernel."""

import pathlib
import sys

import debugkernel
import kmod
from host import Scenario
from suite_lab import equal

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "kunit"))
import ktap     # pylint: disable=wrong-import-position

SUITES = {"kvmmem-decode", "kvmmem-table", "kvmmem-host", "kvmmem-registry", "kvmmem-flush",
          "kvmmem-btf", "kvmmem-latency", "kvmmem-backing"}


def prepare(image, kernel, _vendor):
    """Add the modules, with the KUnit suites."""
    built = kmod.build(kernel, "KVMMEM_KUNIT=1", "W=1")
    for name in ("kvmmem.ko", "kvmmem-kunit.ko"):
        image.add_file(built / name, f"lab/{name}")


def check_kunit(out):
    """Every suite ran, and every test in it passed."""
    results, errors = ktap.parse(out["ktap"].split("\n"))
    equal("errors of KTAP", errors, [])
    bad = [f"{one.suite} {one.test}: {' '.join(one.detail)}" for one in results
           if one.status != "ok"]
    assert not bad, "; ".join(bad)
    missing = SUITES - {one.suite for one in results}
    assert not missing, f"suites that did not run: {missing}"


def check_failed_loads(out):
    """A load that fails at any allocation leaves nothing; in the end it succeeds."""
    seen = out.values("loads")
    assert 1 < seen["first"] < 4096, f"the loader's part ends at {seen['first']}"
    # Of kvmmem's own vital allocations: tables, pools, notifiers, /proc.
    assert seen["failed"] >= 8, f"only {seen['failed']} loads failed"
    assert "kvmmem" not in out["loads"], out["loads"]
    equal("left behind", out["left"], "")
    assert "# kvmmem 1" in out["proc"], out["proc"]


# fail-nth lets the n-th allocation of the task that writes it fail. The first
# hundreds belong to the module loader: how many, is found by a load that the
# parameters' check refuses, the last thing before kvmmem's own start.
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
    sh -c 'echo $0 >/proc/self/fail-nth; exec insmod /lab/kvmmem.ko "$@"' "$@" 2>&1
}
loaders_part() {
    low=1 high=4096
    while [ $low -lt $high ]; do
        middle=$(((low + high) / 2))
        if load $middle max_vms=0 | grep -q range; then
            high=$middle
        else
            low=$((middle + 1))
        fi
    done
    echo $low
}
# The reserve's allocations are not vital, so a row of loads that succeed is the
# end only when it is longer than the reserve.
loads() {
    first=$(loaders_part)
    n=$((first - 5)) failed=0 loaded=0 row=0
    while [ $row -lt 150 ]; do
        n=$((n + 1))
        if load $n >/dev/null; then
            rmmod kvmmem
            loaded=$((loaded + 1)) row=$((row + 1))
        else
            failed=$((failed + 1)) row=0
            left
        fi
    done
    echo first=$first last=$n failed=$failed loaded=$loaded
}
section loads loads
section left left
load_kvmmem
section proc cat /proc/kvmmem
"""

SCENARIOS = [
    Scenario("kunit", """
dmesg -c >/dev/null
insmod /lab/kvmmem-kunit.ko max_vms=64
section ktap dmesg
rmmod kvmmem-kunit
""", check_kunit, kernels=(debugkernel.NAME,), vendors=("amd",), limit=120),
    Scenario("failed_loads", FAILED_LOADS, check_failed_loads,
             kernels=(debugkernel.NAME,), vendors=("amd",), limit=300),
]
