# SPDX-License-Identifier: GPL-2.0
"""Bad input: the proper error, nothing lost, nothing in the log."""

import pathlib

import image as images
import kmod
import procfile
from host import Scenario
from suite_lab import equal

HERE = pathlib.Path(__file__).resolve().parent
EVENTS = ("ept_violation", "huge_recovered", "huge_split", "invalidate", "tlb_flush",
          "vcpu_stuck", "vm_begin", "vm_end")
EACCES = 13


def prepare(image, kernel, vendor):
    """The module, and somebody who opens trace events."""
    kmod.prepare(image, kernel, vendor)
    image.add("lab/bin/perfopen",
              images.helper_program(HERE / "host/perfopen.c").read_bytes(), 0o755)


BAD_PARAMETERS = {
    "max_vms=0": "Numerical result out of range",
    "max_vms=65537": "Numerical result out of range",
    "max_vms=-1": "Invalid argument",
    "max_vms=many": "Invalid argument",
    "max_vms=": "Invalid argument",
    "max_vms": "Invalid argument",
    "max_vms=99999999999999999999": "Numerical result out of range",
    "max_vcpus=0": "Numerical result out of range",
    "max_vcpus=65537": "Numerical result out of range",
    "proc_mode=0666": "Invalid argument",
    "proc_mode=0044": "Invalid argument",
    "proc_mode=0": "Invalid argument",
    "proc_mode=rw": "Invalid argument",
    "flush_accounting=maybe": "Invalid argument",
}


def check_parameters(out):
    """A bad value fails the load with the proper error."""
    for value, error in BAD_PARAMETERS.items():
        assert error in out[f"bad {value}"], f"{value}: {out[f'bad {value}']!r}"
        assert out.status(f"bad {value}"), f"{value} was taken"
    # The module loader itself says so and goes on.
    equal("status with an unknown parameter", out.status("unknown"), 0)
    equal("parameters", out["parameters"].split(), ["1", "65536", "0440"])
    equal("mode", out["mode"], "440")


def check_writes(out):
    """Root cannot write what is not for writing."""
    for name in out.sections:
        if name.startswith("write "):
            assert "ermission denied" in out[name], f"{name}: {out[name]!r}"
    assert "nvalid argument" in out["switch"], out["switch"]
    equal("flush_accounting after a bad value", out["switched"], "Y")
    equal("lost", procfile.ProcFile(out["proc"]).host["lost"], 0)


def stable(text):
    """What does not change from one read to the next: all but an age."""
    return [line.rsplit(None, 1)[0] if line.startswith("backing ") else line
            for line in text.split("\n") if "mem_available_kb" not in line]


# Rows whose columns' names alone take nearly that: of vm, inval, and the one of total.
WIDEST = {"vm": 113, "inval": 120, "inval_kb": 120, "total": 225}


def check_reads(out):
    """Any way of reading gives the same text."""
    text = procfile.ProcFile(out["whole"])
    equal("schema", text.schema, 1)
    for kind in ("vm", "fault", "flush", "vpid"):
        assert text.columns[kind], f"no header of {kind}"
    equal("VMs", len(text.all("vm")), 3)
    # Columns at the same place in header and rows, and rows that do not wrap.
    for line in out["whole"].split("\n"):
        assert len(line) <= WIDEST.get(line.lstrip("# ").split(" ")[0], 106), \
            f"{len(line)} characters: {line}"
        equal("blanks at the end", line, line.rstrip())
    for name in ("again", "bytes", "sevens", "large"):
        equal(f"read by {name}", stable(out[name]), stable(out["whole"]))
    equal("a part", out["part"], out["whole"][9:9 + 20])
    # It is in the middle of the host's facts: who seeks there first finds them, too.
    equal("from the middle", stable(out["middle"]), stable(out["whole"][400:]))
    equal("behind the end", out["behind"], "")
    equal("seek back", stable(out["twice"]), stable(out["whole"]) + stable(out["whole"]))


def check_rights(out):
    """Others than root see nothing, unless told so."""
    for name in ("proc", "debugfs", "vms"):
        assert "ermission denied" in out[f"other {name}"], out[f"other {name}"]
    equal("mode of /proc/kvmmem", out["mode"], "400")
    equal("modes of directories", set(out["directories"].split()), {"700"})
    # What is asked of translate is written to it.
    equal("modes of files", set(out["files"].split()), {"400", "600"})
    assert "# kvmmem 1" in out["widened"], out["widened"]


def check_log(out):
    """kvmmem has printed nothing."""
    equal("kvmmem's lines in the log", out["log"], "")


def quiet(check):
    """A check, and that kvmmem printed nothing."""
    def both(out):
        check(out)
        check_log(out)
    return both


# The loader's own word on modules from outside the tree comes once a boot.
LOG = r"""
section log sh -c 'dmesg | grep -i kvmmem | grep -v "out-of-tree\|unknown parameter\|module verification\|invalid for parameter\|-kvmmem-\|Workqueue:" || true'
"""

def check_events(out):
    """Other users may count KVM's trace events of their own threads, but not kvmmem's."""
    for user, errors in (("other", [EACCES] * len(EVENTS)), ("root", [0] * len(EVENTS))):
        said = [one["error"] for one in out.records(user, "event=kvmmem/")]
        equal(f"errnos for {user}", said, errors)
        kvms, = out.records(user, "event=kvm/")
        equal(f"errno for KVM's to {user}", kvms["error"], 0)


SCENARIOS = [
    Scenario("input_parameters", "".join(
        f"section 'bad {value}' load_kvmmem {value} || true\n" for value in BAD_PARAMETERS) + """
section unknown load_kvmmem colour=blue
unload_kvmmem
load_kvmmem max_vms=1 max_vcpus=65536 proc_mode=0440
section parameters sh -c 'cd /sys/module/kvmmem/parameters; cat max_vms max_vcpus proc_mode'
section mode stat -c %a /proc/kvmmem
""" + LOG, quiet(check_parameters), limit=60),
    Scenario("input_writes", """
load_kvm; keep_kvmmem
write() { echo 1 >"$1"; }
for file in /proc/kvmmem /sys/kernel/debug/kvmmem/hooks /sys/kernel/debug/kvmmem/audit \\
            /sys/kernel/debug/kvmmem/registry /sys/module/kvmmem/parameters/max_vms; do
    section "write $file" write $file || true
done
section switch sh -c 'echo perhaps >/sys/module/kvmmem/parameters/flush_accounting' || true
section switched cat /sys/module/kvmmem/parameters/flush_accounting
kvmguest --pages 8 --then '
    cat /sys/kernel/debug/kvmmem/registry >/dev/null
    for file in faults tlb; do
        section "write $file" sh -c "echo 1 >/sys/kernel/debug/kvmmem/vms/$KVMGUEST_ID/$file" || true
    done'
section proc cat /proc/kvmmem
""" + LOG, quiet(check_writes)),
    Scenario("input_reads", """
load_kvm; keep_kvmmem
kvmguest --pages 8 --vms 3 --then '
    # All VMs are followed: who takes their memory away is known.
    wait_for sh -c "! grep -q ^inval.*[[:space:]]- /proc/kvmmem"
    section whole cat /proc/kvmmem
    section again cat /proc/kvmmem
    section bytes sh -c "dd if=/proc/kvmmem bs=1 2>/dev/null"
    section sevens sh -c "dd if=/proc/kvmmem bs=7 2>/dev/null"
    section large sh -c "dd if=/proc/kvmmem bs=1M 2>/dev/null"
    section part sh -c "dd if=/proc/kvmmem bs=1 skip=9 count=20 2>/dev/null"
    section middle sh -c "dd if=/proc/kvmmem bs=400 skip=1 2>/dev/null"
    section behind sh -c "dd if=/proc/kvmmem bs=100000 skip=3 2>/dev/null"
    section twice sh -c "exec 3</proc/kvmmem; cat <&3; cat /proc/kvmmem"
' 2>/dev/null
""" + LOG, quiet(check_reads), limit=90),
    Scenario("input_events", """
load_kvm; keep_kvmmem
echo 1 >/proc/sys/kernel/perf_event_paranoid
section other perfopen 1000 kvm/kvm_page_fault """ + " ".join(f"kvmmem/{name}" for name in EVENTS)
             + """
section root perfopen 0 kvm/kvm_page_fault """ + " ".join(f"kvmmem/{name}" for name in EVENTS)
             + """
unload_kvmmem
""", check_events),
    Scenario("input_rights", """
load_kvm; keep_kvmmem
mkdir -p /etc
echo other:x:1000:1000::/:/bin/sh >/etc/passwd
other() { su other -c "$*"; }
kvmguest --pages 8 --then '
    cat /sys/kernel/debug/kvmmem/registry >/dev/null
    section directories sh -c "find /sys/kernel/debug/kvmmem -type d | xargs stat -c %a"
    section files sh -c "find /sys/kernel/debug/kvmmem -type f | xargs stat -c %a"'
section mode stat -c %a /proc/kvmmem
section "other proc" other cat /proc/kvmmem || true
section "other debugfs" other cat /sys/kernel/debug/kvmmem/hooks || true
section "other vms" other ls /sys/kernel/debug/kvmmem/vms || true
unload_kvmmem
load_kvmmem proc_mode=0444
section widened other cat /proc/kvmmem
""" + LOG, quiet(check_rights)),
]
