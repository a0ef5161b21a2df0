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
import suite_life
from host import Scenario
from suite_lab import equal

HERE = pathlib.Path(__file__).resolve().parent
HEADER = HERE / "failures.h"
KMOD = HERE.parents[1] / "kmod"
# Calls that sound as if they could fail, and cannot, or undo what others have done.
_CALM = re.compile(r".*(un|de)register.*|rcu_.*|kvmmem_.*|static_key_.*|lockdep_.*|"
                   r"kthread_unuse_mm|__(ATTR|MODULE)\w*")
_SOUNDS = re.compile(r"\b(\w*(?:alloc|register|_create|open_private|single_open|set_filter)\w*)\(")


def _calls(text):
    return set(_SOUNDS.findall(text))


def files():
    """Files of kmod/ with a call that can fail; there is none that failures.h lacks."""
    known = set(re.findall(r"^#define (\w+)\(\.\.\.\)", HEADER.read_text(), re.M))
    found, unknown = [], set()
    for path in sorted(KMOD.rglob("*.[ch]")):
        name = path.relative_to(KMOD)
        if {"tests", "configure"} & set(name.parts):
            continue
        calls = _calls(re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S))
        defined = set(re.findall(r"^(?:static |struct )[^;{}=]*?\b(\w+)\([^;]*\)\n\{",
                                 path.read_text(), re.M))
        unknown |= {f"{name}: {call}" for call in calls - known - defined
                    if not _CALM.fullmatch(call)}
        if path.suffix == ".c" and (calls & known or "KVMMEM_SHOW_FILE(" in path.read_text()):
            found.append(str(name.with_suffix("")))
    if unknown:
        raise images.ImageError(f"failures.h does not know {', '.join(sorted(unknown))}")
    return found


def prepare(image, kernel, vendor):
    """The module whose calls fail in place of the plain one."""
    suite_life.prepare(image, kernel, vendor)
    built = kmod.build(kernel, header=HEADER, files=files())
    image.add_file(built / "kvmmem.ko", "lab/kvmmem.ko")


def one_by_one(out, name, least):
    """The rounds of a section: another call failed in each, and none in the last."""
    *failing, last = out.records(name, "round ")
    equal("calls that failed", [one["nth"] for one in failing], list(range(1, len(failing) + 1)))
    equal("the last round", last["nth"], len(failing) + 1)
    assert all(one["call"] != "-" for one in failing), out[name]
    equal("what failed in the last round", last["call"], "-")
    assert len(failing) >= least, f"only {len(failing)} calls can fail"
    return failing, last


def check_load(out):
    """Whatever fails, loading fails and leaves nothing, or what is missing is made up for."""
    failing, last = one_by_one(out, "load", 60)
    for one in [*failing, last]:
        equal(f"left behind when {one['call']} in {one['in']} failed", one["left"], 0)
        equal("guests that ran beside it", one["ran"], 1)
        # Tried again within a second, or hooks says what is off.
        assert one["error"] or one["known"] or one["failed"] or \
            one["in"].startswith("show/debugfs"), one
    equal("the last one", (last["error"], last["failed"], last["known"]), (0, 0, 1))
    assert len([one for one in failing if one["error"]]) >= 10, out["load"]
    suite_life.check_counted(out)


def check_birth(out):
    """Whatever fails while a VM lives, its row is there, or it is counted that it is not."""
    failing, last = one_by_one(out, "birth", 12)
    for one in [*failing, last]:
        equal(f"guests that ran when {one['call']} in {one['in']} failed", one["ran"], 1)
        assert one["rows"] == 1 or one["lost"] > 0, one
    # Whatever was lost was lost by whom it failed.
    equal("lost in the last round", last["lost"], 0)
    equal("the last one is known", (last["rows"], last["known"]), (1, 1))
    suite_life.check_registry_empty(out)
    suite_life.check_counted(out)


def check_open(out):
    """An open that fails says ENOMEM; a reading shows less; the next one is whole."""
    failing, last = one_by_one(out, "open", 16)
    for one in failing:
        assert not one["other"], f"{one}: neither read nor ENOMEM"
    assert len([one for one in failing if one["nomem"]]) >= 12, out["open"]
    equal("files that could not be read in the last round", last["nomem"], 0)
    row, = procfile.ProcFile(out["proc"]).all("vm")
    equal("resident_kb afterwards", row["resident_kb"], row["mem_kb"])


_ROUNDS = r"""
left() {
    ls -d /proc/kvmmem /sys/kernel/debug/kvmmem /sys/module/kvmmem 2>/dev/null
    grep kvmmem /sys/kernel/tracing/enabled_functions
    true
}
# Are a VM's invalidations heard, by a reading? Nothing fails there.
cat >/lab/bin/await <<'END'
#!/bin/sh
sleep 0.1
echo host >/proc/sys/kernel/hostname
for i in 1 2 3 4 5 6 7 8 9 10; do
    cat /proc/kvmmem >proc
    ! awk '$1 == "inval" && $3 != "-" { n++ } END { exit !n }' proc || break
    sleep 0.1
done
END
chmod +x /lab/bin/await
is_known() { awk '$1 == "inval" && $3 != "-" { n++ } END { exit !n }' proc; }
# rounds WHAT: do that until nothing fails any more; it may say more in $said.
rounds() {
    local nth=0 failure
    while [ $nth -lt 400 ]; do
        nth=$((nth + 1)) said=
        echo fail-$nth >/proc/sys/kernel/hostname
        $1
        echo host >/proc/sys/kernel/hostname
        failure=$(dmesg | grep -o "failure: nth=$nth .*" | tail -n 1)
        set -- $1 "${failure#failure: nth=$nth }"
        echo "round nth=$nth ${2:-in=- call=-} $said"
        [ "$2" ] || break
        dmesg -c >>/tmp/said
    done
    cat /tmp/said
}
"""

_LOAD = r"""
load_kvm
load() {
    local error=0 failed=0 known=0 ran=0
    insmod /lab/kvmmem.ko 2>/dev/null || error=$?
    if [ $error = 0 ]; then
        failed=$(cat /sys/kernel/debug/kvmmem/hooks 2>/dev/null | grep -c " failed ") || :
        : >proc
        ! kvmguest --pages 8 --then "await" >guest || ran=1
        ! is_known || known=1
        rmmod kvmmem
    else
        ! kvmguest --pages 8 >guest || ran=1
    fi
    said="error=$error failed=$failed known=$known ran=$ran left=$(left | wc -l)"
}
section load rounds load
load_kvmmem
""" + suite_life.GUEST + """
unload_kvmmem
"""

_BIRTH = r"""
load_kvm; load_kvmmem
lost=0
birth() {
    local rows=0 known=0 ran=0 total
    : >proc
    ! kvmguest --pages 8 --then '
        sleep 0.1
        cat /proc/kvmmem /sys/kernel/debug/kvmmem/registry >/dev/null
        cat /sys/kernel/debug/kvmmem/vms/*/* >/dev/null
        await' >guest 2>/dev/null || ran=1
    rows=$(grep -c "^vm " proc) || :
    ! is_known || known=1
    total=$(awk '$1 == "host" && $2 == "lost" { print $3 }' proc)
    said="rows=$rows known=$known ran=$ran lost=$((total - lost))"
    lost=$total
}
section birth rounds birth
ended() { ! grep -q "^vm " /proc/kvmmem; }
wait_for ended
section registry cat /sys/kernel/debug/kvmmem/registry
""" + suite_life.GUEST + """
unload_kvmmem
"""

_OPEN = r"""
load_kvm; load_kvmmem backing_max_age_ms=0
look() {
    local file nomem=0 other=0 status
    for file in /proc/kvmmem $(find /sys/kernel/debug/kvmmem -type f | sort); do
        [ -r $file ] || continue
        status=0
        cat $file >/dev/null 2>error || status=$?
        [ $status = 0 ] || if grep -qi "memory" error; then
            nomem=$((nomem + 1))
        else
            other=$((other + 1)); echo "$file: $(cat error)"
        fi
    done
    said="nomem=$nomem other=$other"
}
kvmguest --pages 64 --then '
    cat /proc/kvmmem >/dev/null
    : >go; while [ -e go ]; do sleep 0.1; done' >guest &
guest=$!
wait_for test -e go
section open rounds look
section proc cat /proc/kvmmem
rm go
wait $guest
unload_kvmmem
"""

SCENARIOS = [
    Scenario("failures_load", _ROUNDS + _LOAD, check_load, kernels=("6.1", "kasan"), limit=600,
             vendors=("amd",)),
    Scenario("failures_birth", _ROUNDS + _BIRTH, check_birth, kernels=("6.1", "kasan"),
             limit=300, vendors=("amd",)),
    Scenario("failures_open", _ROUNDS + _OPEN, check_open, kernels=("6.1", "kasan"),
             limit=300, vendors=("amd",)),
]
