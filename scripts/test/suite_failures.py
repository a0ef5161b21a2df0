# SPDX-License-Identifier: GPL-2.0
"""Each of kvmmem's own calls that can fail does so, one after the other until none is left:
at load, while a VM lives and is looked at, and at each open.

kvmmem is built with failures.h, which has the Nth of them fail. What the kernel allocates
on kvmmem's behalf fails in the suite kunit.
"""

import pathlib
import re

import image as images
import kmod
import procfile
import suite_perf
import suite_tenant
from host import Scenario, splat
from suite_lab import equal
from suite_life import GUEST, check_counted, check_registry_empty

HERE = pathlib.Path(__file__).resolve().parent
HEADER = HERE / "failures.h"
KMOD = HERE.parents[1] / "kmod"
# Calls that sound as if they could fail, and cannot, or undo what others have done.
_CALM = re.compile(r".*(un|de)register.*|rcu_.*|kvmmem_.*|static_key_.*|lockdep_.*|__MODULE\w*")
_SOUNDS = re.compile(r"\b(\w*(?:alloc|register|_create|open_private|single_open|set_filter|"
                     r"xa_store)\w*)\(")

# Where calls fail, by what a scenario does, as "file call".
AT_LOAD = {
    "attach/function ftrace_set_filter_ip", "attach/function register_ftrace_function",
    "attach/function register_kprobe", "attach/hooks register_module_notifier",
    "attach/hooks register_tracepoint_module_notifier", "attach/proto __vmalloc",
    "attach/proto kzalloc", "attach/queue alloc_workqueue",
    "attach/tracepoint tracepoint_probe_register", "count/inval kzalloc",
    "registry/info kvmalloc", "registry/pool kmem_cache_create",
    "registry/pool kmem_cache_zalloc", "registry/records bitmap_zalloc",
    "registry/records kvcalloc", "registry/scan xa_store", "registry/users kvcalloc",
    "show/debugfs debugfs_create_dir", "show/debugfs debugfs_create_file",
    "show/debugfs_align debugfs_create_file", "show/debugfs_backing debugfs_create_file",
    "show/debugfs_ended debugfs_create_file", "show/debugfs_time debugfs_create_file",
    "show/debugfs_translate debugfs_create_file", "show/pmu perf_pmu_register",
    "show/procfs proc_create",
}
AT_BIRTH = {
    "count/inval kzalloc", "memory/backing kzalloc", "memory/nodes kcalloc",
    "registry/info kvmalloc", "registry/pool kmem_cache_zalloc",
    "registry/tally __alloc_percpu", "show/debugfs debugfs_create_dir",
    "show/debugfs debugfs_create_file", "show/debugfs_align debugfs_create_file",
    "show/debugfs_backing debugfs_create_file", "show/debugfs_time debugfs_create_file",
    "show/debugfs_translate debugfs_create_file",
}
AT_OPEN = {
    "memory/align kvzalloc", "memory/guestmem kthread_create", "memory/join kzalloc",
    "registry/detour kzalloc", "show/debugfs single_open", "show/debugfs_align __seq_open_private",
    "show/debugfs_backing __seq_open_private", "show/debugfs_ended single_open",
    "show/debugfs_time single_open", "show/debugfs_translate kzalloc",
    "show/debugfs_translate single_open_size", "show/host kmalloc", "show/pmu kzalloc",
    "show/pmu_gauges kzalloc", "show/procfs kmalloc", "show/procfs seq_open_private",
}
# It cannot fail, as all is forgotten; a guest of more pages than are counted one by one; a
# host of more than eight nodes.
ELSEWHERE = {"attach/function ftrace_set_filter", "memory/align kmalloc_array",
             "show/procfs_memory kcalloc"}


def _text(path):
    return re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)


def files():
    """Files of kmod/ with a call that can fail; none that failures.h and this file lack."""
    known = set(re.findall(r"^#define (\w+)\(\.\.\.\)", HEADER.read_text(), re.M))
    found, unknown = set(), set()
    for path in sorted(KMOD.rglob("*.[ch]")):
        name = path.relative_to(KMOD)
        if {"tests", "configure"} & set(name.parts):
            continue
        text = _text(path)
        calls = set(_SOUNDS.findall(text))
        own = set(re.findall(r"^(?:static |struct )[^;{}=]*?\b(\w+)\([^;]*\)\n\{", text, re.M))
        unknown |= {f"{name}: {call}" for call in calls - known - own if not _CALM.fullmatch(call)}
        if path.suffix == ".c":
            calls |= {"single_open"} if "KVMMEM_SHOW_FILE(" in text else set()
            found |= {f"{name.with_suffix('')} {call}" for call in calls & known}
    unknown |= found ^ (AT_LOAD | AT_BIRTH | AT_OPEN | ELSEWHERE)
    if unknown:
        raise images.ImageError(f"calls that are not there, or known: {sorted(unknown)}")
    return sorted({place.split()[0] for place in found})


def _named(place):
    return "{0}.c:{1}".format(*place.split())


def prepare(image, kernel, vendor):
    """The module whose calls fail in place of the plain one."""
    suite_tenant.prepare(image, kernel, vendor)
    built = kmod.build(kernel, header=HEADER, files=files())
    image.add_file(built / "kvmmem.ko", "lab/kvmmem.ko")
    image.add_program(suite_perf.TOOLS[0], "lab/bin/perf")


def one_by_one(out, places):
    """The rounds of a scenario: in each another call failed, in each place the first, or one
    after the other until none is left; (those rounds, those in which nothing did)."""
    rounds = out.records("rounds", "round ")
    failing = [one for one in rounds if one["failed"]]
    whole = [one for one in rounds if not one["failed"]]
    equal("the last round", (rounds[-1]["place"], rounds[-1]["failed"]), ("none", 0))
    for place in map(_named, places):
        failed = [one["nth"] for one in failing if one["place"] == place]
        assert failed, f"it did not fail: {place}"
        equal(f"calls that failed, of {place}", failed, list(range(1, len(failed) + 1)))
        if int(out["most"]) > 1:
            assert [one for one in whole if one["place"] == place], f"there are more: {place}"
    equal("splat", splat(out["log"]), None)
    return failing, whole


def check_told(one):
    """Whatever is missing, no wrong number is shown."""
    equal(f"guests that ran in {one}", one["ran"], 1)
    assert one["told"] in (one["made"], "-"), f"a wrong number is shown: {one}"


def check_load(out):
    """Whatever fails, loading fails and leaves nothing, or hooks says what is missing."""
    failing, whole = one_by_one(out, AT_LOAD)
    attached = [row["name"] for row in procfile.table(out["hooks"]) if row["state"] == "attached"]
    assert len(attached) > 15, attached
    for one in [*failing, *whole]:
        equal(f"left behind in {one}", one["left"], 0)
        check_told(one)
        file, _, call = one["place"].partition(":")
        # A kprobe finds out that a function is not there, and ftrace may be asked again.
        again = call in ("register_ftrace_function", "register_kprobe")
        if one["failed"] and file.startswith("attach/") and not one["error"] and not again:
            assert one["good"] < len(attached), f"hooks does not tell: {one}"
        if one["good"] == len(attached):
            equal(f"violations that are shown in {one}", one["told"], one["made"])
            equal(f"VMs that are followed in {one}", one["known"], 2)
    for one in whole:
        equal(f"errors, hooks, VMs in {one}", (one["error"], one["good"], one["known"]),
              (0, len(attached), 2))
    refused = {one["place"] for one in failing if one["error"]}
    assert len(refused) >= 9, f"what has loading fail is {refused}"
    if int(out["most"]) > 1:
        assert len([one for one in failing if one["place"].endswith("probe_register")]) >= 10
    check_counted(out)


def check_birth(out):
    """Whatever fails while a VM lives, it is made up for, or counted that it is not."""
    failing, whole = one_by_one(out, AT_BIRTH)
    for one in [*failing, *whole]:
        check_told(one)
        if not one["lost"]:
            equal(f"its files, VMs that are known, violations in {one}",
                  (one["files"], one["known"], one["told"]), (whole[0]["files"], 1, one["made"]))
    equal("lost when nothing fails", [one["lost"] for one in whole], [0] * len(whole))
    assert whole[0]["files"] >= 5, whole[0]
    check_registry_empty(out)
    check_counted(out)


def check_open(out):
    """An open that fails says ENOMEM; a reading shows less; the next one is whole."""
    failing, whole = one_by_one(out, AT_OPEN)
    for one in [*failing, *whole]:
        assert not one["other"], f"neither read nor ENOMEM: {one}"
    # What there are other ways for, what alignment has a word for, and what perf asks for.
    spared = {one["place"] for one in failing if not one["nomem"]}
    assert len(spared) <= 7, f"no reading failed for {spared}"
    equal("files that could not be read when nothing fails", {one["nomem"] for one in whole}, {0})
    row, = procfile.ProcFile(out["proc"]).all("vm")
    equal("resident_kb afterwards", row["resident_kb"], row["mem_kb"])


_ROUNDS = suite_tenant.HELPERS + r"""
left() {
    ls -d /proc/kvmmem /sys/kernel/debug/kvmmem /sys/module/kvmmem 2>/dev/null
    grep kvmmem /sys/kernel/tracing/enabled_functions
    true
}
# For a guest: until all VMs are followed. Nothing fails there.
cat >/lab/bin/await <<'END'
#!/bin/sh
sleep 0.1
echo host >/proc/sys/kernel/hostname
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    cat /proc/kvmmem /sys/kernel/debug/kvmmem/registry >proc
    grep -q "^inval .* - " proc || break
    sleep 0.1
done
awk -v id=$KVMGUEST_ID '$1 == "fault" && $2 == id { print $3 }' proc >told
ls /sys/kernel/debug/kvmmem/vms/$KVMGUEST_ID 2>/dev/null | wc -l >files
END
chmod +x /lab/bin/await
# What a guest was told, in its row, and what it made.
guest() {
    ran=0 told=- known=0
    rm -f proc told; : >proc; : >told
    ! kvmguest --pages 8 --then "$1" >guest 2>/dev/null || ran=1
    [ ! -s told ] || told=$(cat told)
    made=$(sed -n 's/^expect .*violations=\([0-9]*\) .*/\1/p' guest)
    known=$(grep "^inval " proc | grep -vc " - ") || :
}
# rounds WHAT PLACE...: do that until nothing fails there any more; it says more in $said.
rounds() {
    local what=$1 place nth failed
    shift
    for place in "$@" none; do
        nth=0 failed=1
        while [ $failed != 0 ] && [ $nth -lt $most ]; do
            nth=$((nth + 1)) said=
            echo "fail-$nth-$place" >/proc/sys/kernel/hostname
            $what
            echo host >/proc/sys/kernel/hostname
            failed=$(dmesg | grep -c "failure: fail-$nth-$place") || :
            dmesg -c >>/tmp/said
            echo "round place=$place nth=$nth failed=$failed $said"
        done
    done
}
said() { cat /tmp/said; dmesg; }
section most echo $most
"""

_LOAD = r"""
load_kvm
tenant_on other sharers 5000 3 other.fifo
load() {
    local error=0 good=0
    insmod /lab/kvmmem.ko 2>/dev/null || error=$?
    guest "[ $error != 0 ] || await"
    if [ $error = 0 ]; then
        good=$(cat /sys/kernel/debug/kvmmem/hooks 2>/dev/null | grep -c " attached  *[0-9]* -  *[a-z]") || :
        rmmod kvmmem
    fi
    said="error=$error good=$good known=$known ran=$ran told=$told made=$made left=$(left | wc -l)"
}
section rounds rounds load %s
section log said
tenant_off other
load_kvmmem
section hooks cat /sys/kernel/debug/kvmmem/hooks
""" + GUEST + """
unload_kvmmem
"""

_BIRTH = r"""
load_kvm; load_kvmmem
lost=0
birth() {
    local total
    # More than the reserve does without.
    [ $place != registry/pool.c:kmem_cache_zalloc ] || tenant births 1 40 >/dev/null
    guest '
        sleep 0.1
        cat /proc/kvmmem /sys/kernel/debug/kvmmem/registry >/dev/null
        cat /sys/kernel/debug/kvmmem/vms/*/* >/dev/null
        # The next birth asks for what was refused.
        tenant births 1 1 >/dev/null
        perf stat -e kvmmem/ept_violations,vm=${KVMGUEST_ID%-*}/ -a true >/dev/null 2>&1
        await'
    total=$(awk '$1 == "host" && $2 == "lost" { print $3 }' proc)
    said="known=$known ran=$ran told=$told made=$made files=$(cat files) lost=$((total - lost))"
    lost=$total
}
section rounds rounds birth %s
section log said
ended() { ! grep -q "^vm " /proc/kvmmem; }
wait_for ended
section registry cat /sys/kernel/debug/kvmmem/registry
unload_kvmmem; load_kvmmem
""" + GUEST + """
unload_kvmmem
"""

_OPEN = r"""
load_kvm; load_kvmmem backing_max_age_ms=0
kvmguest --pages 64 --forever >guest.out & guest=$!
wait_for grep -q "^vm " /proc/kvmmem
cat /sys/kernel/debug/kvmmem/registry >/dev/null
vm=$(echo /sys/kernel/debug/kvmmem/vms/*)
look() {
    local file nomem=0 other=0 status
    for file in /proc/kvmmem $(find /sys/kernel/debug/kvmmem -type f | sort); do
        status=0
        cat $file >/dev/null 2>error || status=$?
        [ $status = 0 ] || if grep -qi "memory" error; then
            nomem=$((nomem + 1))
        else
            other=$((other + 1)); echo "$file: $(cat error)"
        fi
    done
    { echo gva 0 0x100000 >$vm/translate; } 2>error || grep -qi "memory" error ||
        other=$((other + 1))
    perf stat -e kvmmem/ept_4k/ -a true >/dev/null 2>&1 || :
    # Whether the vCPU is in its guest just then is chance.
    [ $place != registry/detour.c:kzalloc ] ||
        for file in 1 2 3 4 5 6 7 8 9; do cat $vm/alignment >/dev/null || :; done
    said="nomem=$nomem other=$other"
}
section rounds rounds look %s
section log said
section proc proc
kill $guest
wait $guest || :
unload_kvmmem
"""


def scenarios(most, kernel):
    """Of each place so many at the most."""
    # A machine that no other suite wants, whose kvmmem.ko would be there. Hooks of rounds
    # are compared, and a busy machine makes the kernel distrust the TSC.
    alone = {"cmdline": "oops=panic tsc=reliable"}
    two = {"cpus": 2, "nodes": 2, **alone}
    for name, script, check, places, host in (
            ("load", _LOAD, check_load, AT_LOAD, alone),
            ("birth", _BIRTH, check_birth, AT_BIRTH, two),
            ("open", _OPEN, check_open, AT_OPEN, two)):
        script = script.replace("%s", " ".join(map(_named, sorted(places))))
        yield Scenario(f"failures_{name}", f"most={most}\n{_ROUNDS}{script}", check,
                       kernels=(kernel,), limit=600, vendors=("amd",), host=host)


SCENARIOS = [*scenarios(1, "6.1"), *scenarios(100, "kasan")]
