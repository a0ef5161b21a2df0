# SPDX-License-Identifier: GPL-2.0
"""The KUnit suites, and every error path of load, on the debug kernel."""

import pathlib
import sys

import debugkernel
import image
import kmod
from host import Scenario
from suite_lab import equal

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "kunit"))
import ktap     # pylint: disable=wrong-import-position

SUITES = {"kvmmem-decode", "kvmmem-table", "kvmmem-host", "kvmmem-registry", "kvmmem-flush",
          "kvmmem-btf", "kvmmem-latency", "kvmmem-backing"}


def prepare(picture, kernel, _vendor):
    """Add the modules, with the KUnit suites, and who loads them."""
    built = kmod.build(kernel, "KVMMEM_KUNIT=1", "W=1")
    for name in ("kvmmem.ko", "kvmmem-kunit.ko"):
        picture.add_file(built / name, f"lab/{name}")
    program = image.helper_program(HERE / "host/loadfail.c")
    picture.add("lab/bin/loadfail", program.read_bytes(), 0o755)


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
    assert 0 < seen["first"] < seen["last"], f"allocations {seen['first']} to {seen['last']}"
    equal("loads", seen["failed"] + seen["loaded"], seen["tried"])
    # Of kvmmem's own vital allocations: tables, pools, /proc.
    assert seen["failed"] >= 4, f"only {seen['failed']} loads failed"
    equal("errors", seen["errors"], 0)
    equal("left behind", out["left"], "")
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
    set -- $(loadfail "$@")
    error=${1#error=} last_left=${2#left=}
}
loads() {
    load 100000 /lab/kvmmem.ko max_vms=0
    first=$((100000 - last_left))
    load 100000 /lab/kvmmem.ko
    last=$((100000 - last_left))
    rmmod kvmmem
    n=$first failed=0 loaded=0 errors=0 tried=0 step=1
    while [ $n -lt $last ]; do
        n=$((n + step)) tried=$((tried + 1))
        # The vital ones come first; of the others, every so-manieth.
        [ $tried -lt 12 ] || step=$(((last - first) / 20 + 1))
        load $n /lab/kvmmem.ko
        case $error in
        0) rmmod kvmmem; loaded=$((loaded + 1)) ;;
        12) left; failed=$((failed + 1)) ;;
        *) echo "allocation $n: error $error"; errors=$((errors + 1)) failed=$((failed + 1)) ;;
        esac
    done
    echo first=$first last=$last failed=$failed loaded=$loaded errors=$errors tried=$tried
}
section loads loads
section left left
load_kvmmem
section proc cat /proc/kvmmem
"""

# What the kernel itself reports, with a stack, when a cache cannot be made.
NO_CACHE = r"(?s)\S*kmem_cache_create\S*\(kvmmem_\w+\) failed with error -12\n.*?</TASK>"

SCENARIOS = [
    Scenario("kunit", """
dmesg -c >/dev/null
insmod /lab/kvmmem-kunit.ko max_vms=64
section ktap dmesg
rmmod kvmmem-kunit
""", check_kunit, kernels=(debugkernel.NAME,), vendors=("amd",), limit=120),
    Scenario("failed_loads", FAILED_LOADS, check_failed_loads,
             kernels=(debugkernel.NAME,), vendors=("amd",), limit=600, expected=NO_CACHE),
]
