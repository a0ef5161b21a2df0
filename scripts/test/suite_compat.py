# SPDX-License-Identifier: GPL-2.0
"""kvmmem on this kernel: it attaches to all there is, and counts what guests do.

What a kernel has is in features.py: a hook or a column that is missing although
the kernel has it is a failure, as is a number where it has none.
"""

import features
import kmod
import procfile
from host import Scenario
from suite_lab import equal

FAULTS = {"violations": "ept_violations", "read": "read", "write": "write", "exec": "exec",
          "protection": "protection", "walk": "page_walk", "shadow": "shadow"}
CAUSES = ("remote", "guest", "nested", "tag", "other")

# Where a module that expects a wrong prototype can be found out.
WRONG = tuple(name for name in features.KERNELS if name not in features.WITHOUT_BTF)

_LOAD = """load_kvm; keep_kvmmem service_time=0
section vendor kvm_vendor
section kernel cat /lab/kernel
"""
_READ = """section hooks cat /sys/kernel/debug/kvmmem/hooks
section audit cat /sys/kernel/debug/kvmmem/audit
section proc cat /proc/kvmmem
"""


def prepare(image, kernel, vendor):
    """kvmmem.ko, one that expects a wrong prototype, and the kernel's name."""
    kmod.prepare(image, kernel, vendor)
    if kernel.name in WRONG:
        wrong = kmod.build(kernel, flags="-DKVMMEM_WRONG_PROTOTYPE", files=["count/probes"])
        image.add_file(wrong / "kvmmem.ko", "lab/wrong.ko")
    other = kmod.build(kernel, flags="-DKVMMEM_WRONG_RELEASE", files=["main"])
    image.add_file(other / "kvmmem.ko", "lab/other.ko")
    image.add("lab/kernel", f"{kernel.name}\n")


def cell(out):
    """(kernel, vendor) that the scenario ran on."""
    return out["kernel"], "amd" if "amd" in out["vendor"] else "intel"


def equal_hooks(text, wanted):
    """The hooks are these, in these states for these reasons."""
    rows = {row["name"]: row for row in procfile.table(text)}
    equal("the list of hooks", sorted(rows), sorted(wanted))
    for name, (state, why_not) in wanted.items():
        equal(f"{name}: state", rows[name]["state"], state)
        equal(f"{name}: why_not", rows[name]["why_not"], why_not)


def check_hooks(out):
    """Every hook is what features.py says of this kernel."""
    for text in out.all("hooks"):
        equal_hooks(text, features.hooks(*cell(out)))


def check_unreadable(out):
    """All that has a prototype to be compared is refused."""
    rows = procfile.table(out["hooks"])
    states = {row["state"] for row in rows if row["name"] in ("kvm_page_fault", "kvm_fast_mmio")}
    equal("states", states, {"refused"})
    equal("guessed", [row["name"] for row in rows if row["why_not"] == "prototype-unchecked"], [])


def check_release(out):
    """It is not loaded, and says why."""
    assert out.status("load") != 0, "it was loaded"
    equal("kvmmem is loaded", int(out["modules"]), 0)
    assert "build it for this kernel" in out["log"], out["log"]


def check_faults(out):
    """The fault row of every VM has what was foretold, and `-` what is unknown."""
    unknown = features.unknown(*cell(out))
    seen = 0
    for name in (name for name in out.sections if name.startswith("guest ")):
        for expect in out.records(name, "expect "):
            proc = procfile.ProcFile(out["proc " + name[len("guest "):]])
            row = proc.find("fault", vm=expect["id"])
            for word, column in FAULTS.items():
                shadow = bool(expect["shadow"])
                if column in unknown or (word != "shadow" and shadow):
                    equal(f"{name}: {column}", row[column], None)
                else:
                    equal(f"{name}: {column}", row[column], expect[word])
            equal(f"{name}: lost", proc.host["lost"], 0)
            seen += 1
    assert seen, "no guest ran"


def check_audit(out):
    """Each counter agrees with its witness, and has one where KVM counts it."""
    for name in (name for name in out.sections if name.startswith("audit ")):
        rows = procfile.table(out[name])
        for row in rows:
            equal(f"{name}: {row['counter']} difference", row["difference"], 0)
        shadow = any(record["shadow"] for record in
                     out.records("guest " + name[len("audit "):], "expect "))
        equal(f"{name}: counters", sorted({row["counter"] for row in rows}),
              sorted(features.witnesses(*cell(out), shadow)))


def mine(tags, row):
    """The rows of the same vCPU."""
    return [other for other in tags if other["vcpu"] == row["vcpu"]]


def check_tags(out):
    """Every vCPU has run under tags, and KVM's flushes are all accounted for."""
    for name in (name for name in out.sections if name.startswith("proc ")):
        proc = procfile.ProcFile(out[name])
        for vm in proc.rows["vm"]:
            tags = proc.all("vpid", vm=vm["id"])
            equal(f"{name}: vCPUs with a tag", len({row["vcpu"] for row in tags}), vm["vcpus"])
            for row in tags:
                assert row["entries"], f"{name}: no entries under {row['vpid']}"
                # The last of six rows may be what is left of older tags.
                assert row["vpid"] is not None or len(mine(tags, row)) == 6, \
                    f"{name}: a tag is unknown"
                causes = [row[cause] for cause in CAUSES]
                assert None not in causes, f"{name}: a cause is unknown"
                equal(f"{name}: flushes", row["flushes"], sum(causes))
            flush = proc.find("flush", vm=vm["id"])
            assert None not in flush.values(), f"{name}: flush row {flush}"


def check(out):
    """All of it."""
    check_hooks(out)
    check_faults(out)
    check_audit(out)
    check_tags(out)


def guests(name, load=_LOAD, check=check, kernels=(), **arguments):
    """A scenario of several guests, one after the other: NAME=kvmguest's arguments."""
    lines = [load]
    for guest, options in arguments.items():
        lines.append(f"""
section "guest {guest}" kvmguest {options} --then '
    section "audit {guest}" cat /sys/kernel/debug/kvmmem/audit
    section "proc {guest}" cat /proc/kvmmem'""")
    return Scenario(name, "\n".join([*lines, _READ]), check, limit=100, kernels=kernels)


def check_wrong(out):
    """The hook with the wrong expectation is off, alone, and its columns unknown."""
    kernel, vendor = cell(out)
    wanted = features.hooks(kernel, vendor)
    wanted["kvm_page_fault"] = (
        "refused", f"prototype:{features.prototype(kernel, 'kvm_page_fault')}")
    equal_hooks(out["hooks"], wanted)
    proc = procfile.ProcFile(out["proc guest"])
    row, = proc.rows["fault"]
    for column in FAULTS.values():
        equal(column, row[column], None)
    check_tags(out)
    counters = [row["counter"] for row in procfile.table(out["audit guest"])]
    equal("counters with a witness", counters, ["flushes"])


def check_wrong_time(out):
    """Whatever needs faults to be heard of is unknown with them."""
    proc = procfile.ProcFile(out["proc guest"])
    for kind, columns in (("time", ("served", "total_us", "kvm_us", "asleep_us", "user_us", "p50_ns",
                                    "max_ns", "stuck")),
                          ("inval", ("refaults",)), ("huge", ("installed",)),
                          ("total", ("ept_violations", "served", "time_us"))):
        row, = proc.rows[kind]
        for column in columns:
            equal(f"{column} of {kind}", row[column], None)
    row, = proc.rows["inval"]
    assert row["calls"] is not None, row


SCENARIOS = [
    guests("compat_faults",
           write="--pages 500",
           read_then_write="--pages 64 --access read,write",
           execute="--pages 64 --access exec",
           refault="--pages 100 --rounds 3 --drop",
           huge="--pages 1024 --backing thp",
           dirty_log="--pages 100 --rounds 3 --dirty-log",
           page_walk="--pages 600 --walk",
           two_vcpus="--pages 64 --vcpus 2 --turns --share same --rounds 2",
           steal="--pages 10 --steal-time --op pvflush --ops 100"),
    guests("compat_shadow", load=_LOAD.replace("load_kvm;", "load_kvm_shadow;"),
           write="--pages 256",
           invlpg="--pages 10 --op invlpg --ops 100"),
    guests("compat_wrong_prototype", check=check_wrong, kernels=WRONG,
           load=_LOAD.replace("keep_kvmmem service_time=0", "insmod /lab/wrong.ko service_time=0"),
           guest="--pages 64"),
    guests("compat_wrong_time", check=check_wrong_time, kernels=WRONG,
           load=_LOAD.replace("keep_kvmmem service_time=0", "insmod /lab/wrong.ko"),
           guest="--pages 64"),
    # There is BTF, and nothing can be read of it: no prototype is guessed.
    Scenario("compat_unreadable_btf", """
load_kvm
: >/tmp/empty
mount --bind /tmp/empty /sys/kernel/btf/vmlinux
load_kvmmem
section hooks cat /sys/kernel/debug/kvmmem/hooks
unload_kvmmem
umount /sys/kernel/btf/vmlinux
""", check_unreadable, kernels=WRONG),
    # Layouts of KVM's that are another release's.
    Scenario("compat_other_release", """
load_kvm
section load insmod /lab/other.ko || :
section modules sh -c 'grep -c "^kvmmem " /proc/modules || :'
section log sh -c 'dmesg | grep "kvmmem: built for"'
""", check_release),
    Scenario("compat_kvm_comes_and_goes", f"""
unload_kvm
load_kvmmem service_time=0
{_LOAD.replace("keep_kvmmem service_time=0", "true")}
section hooks cat /sys/kernel/debug/kvmmem/hooks
unload_kvm
load_kvm
section hooks cat /sys/kernel/debug/kvmmem/hooks
section "guest again" kvmguest --pages 64 --then '
    section "audit again" cat /sys/kernel/debug/kvmmem/audit
    section "proc again" cat /proc/kvmmem'
""", check, limit=100),
]
