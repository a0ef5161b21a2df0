# SPDX-License-Identifier: GPL-2.0
"""What a tenant can make large makes nothing of the host's long, and what is not a
reader's business stays hidden.

Each scenario is somebody who may open /dev/kvm (scripts/tenant) and goes to an
extreme, or a reader in a place where readers should not be.
"""

import functools
import pathlib
import re

import debugkernel
import features
import hostmodule
import image
import kmod
import procfile
from host import Scenario
from suite_lab import equal, same
from suite_life import LOOK, check_registry_empty, states

HERE = pathlib.Path(__file__).resolve().parent
TENANT = HERE.parent / "tenant"


def prepare(picture, kernel, vendor):
    """Add kvmmem.ko, the tenant, and the module that holds a lock."""
    kmod.prepare(picture, kernel, vendor)
    picture.add("lab/bin/tenant", image.program("tenant", TENANT).read_bytes(), 0o755)
    picture.add_file(hostmodule.build(kernel, hostmodule.HOLDLOCK), "lab/holdlock.ko")
    for name in ("namesake", "owner", "stuckread"):
        picture.add(f"lab/bin/{name}",
                    image.helper_program(HERE / f"host/{name}.c").read_bytes(), 0o755)


HELPERS = LOOK + r"""
# tenant_on NAME ACT ARGUMENT...: one that stays until tenant_off NAME.
tenant_on() {
    local name=$1
    shift
    mkfifo $name.fifo
    tenant "$@" >$name.out 2>&1 &
    eval "${name}_pid=$!"
    wait_for grep -q "^tenant" $name.out
    section $name cat $name.out
}
tenant_off() {
    : >$1.fifo
    eval "wait \$${1}_pid" || true
}
now_ms() { awk '{ printf "%d\n", $1 * 1000 }' /proc/uptime; }
"""


def tenant(out, name):
    """What a tenant said."""
    return out.records(name, "tenant ")[0]


def proc(out, name):
    """A section with /proc/kvmmem."""
    return procfile.ProcFile(out[name])


def check_births(out):
    """However fast VMs come and go, each has its record."""
    said = tenant(out, "births")
    same("vCPUs that ran", said["ran"], 2 * said["vms"])
    text = proc(out, "after")
    equal("lost", text.host["lost"], 0)
    ended = text.find("total")
    same("VMs and vCPUs that ended", (ended["vms_ended"], ended["vcpus_ended"]),
         (said["vms"], 2 * said["vms"]))
    assert ended["entries"] >= said["ran"], ended
    check_registry_empty(out)


def check_traced(out):
    """Births and deaths while a reader of RCU Tasks Trace stays: each has its record."""
    check_births(out)
    equal("the reader is there", out["modules"], "1")


def check_queued(out):
    """Nothing of kvmmem's waits in a workqueue in which tenants' works sleep."""
    young = tenant(out, "young")
    assert "verdict" in out["asked"], out["asked"]
    equal("the old VM's directory is gone, the new one's is there", out["dirs"].split(),
          [young["id"]])
    assert int(out["took"]) < 20000, f"it took {out['took']} ms"
    text = proc(out, "during")
    equal("VMs that ended", text.find("total")["vms_ended"], 1)
    check_registry_empty(out)


def check_namesake(out):
    """A VM of another's name waits for its directory, and nobody writes to the log."""
    assert out.values("namesake")["same"] > 20, out["namesake"]
    assert "appeared" in out["namesake"], out["namesake"]
    equal("lines in the log", int(out["log"]), 0)


def check_wide(out):
    """One VM of 1,024 vCPUs, made as fast as KVM can."""
    text, said = proc(out, "wide proc"), tenant(out, "wide")
    equal("vCPUs that ran", said["ran"], 1024)
    equal("vcpus", text.find("vm", id=said["id"])["vcpus"], 1024)
    equal("vpid rows", len({row["vcpu"] for row in text.all("vpid", vm=said["id"])}), 1024)
    equal("lost", text.host["lost"], 0)
    for row in procfile.table(out["wide audit"]):
        equal(f"difference of {row['counter']}", row["difference"], 0)


def check_users(out):
    """A user has a share; what is over it is counted, and others have their records."""
    text = proc(out, "proc")
    one, two = tenant(out, "one"), tenant(out, "two")
    equal("vCPUs of the user that have a record",
          len({row["vcpu"] for row in text.all("vpid", vm=one["id"])}), 8)
    equal("root's VM has its record", text.find("vm", id=two["id"])["vcpus"], 4)
    equal("vCPUs of root that have a record",
          len({row["vcpu"] for row in text.all("vpid", vm=two["id"])}), 4)
    assert text.host["lost"] > 0, "nothing is lost"
    row, = [line.split() for line in out["registry"].split("\n") if line.startswith("user ")]
    equal("uid, VMs and vCPUs", row[1:4], ["1000", "1", "8"])
    assert int(row[4]) >= 4, f"{row[4]} refused, at least 4 were"


def check_left(out):
    """VMs that a user has made are under a share, whoever has them now."""
    text = proc(out, "proc")
    equal("VMs that have a record", len(text.all("vm")), 5)
    equal("root's VM has its record", text.find("vm", id=tenant(out, "two")["id"])["vcpus"], 1)
    row, = [line.split() for line in out["registry"].split("\n") if line.startswith("user ")]
    equal("uid and VMs", row[1:3], ["0", "5"])
    assert int(row[4]) >= 4, f"{row[4]} refused, at least 4 were"


def check_dying(out):
    """Who is stuck in a reading of a VM that ends holds up no other VM's counts."""
    assert "stuck" in out["stuck"], out["stuck"]
    text, young = proc(out, "during"), tenant(out, "young")
    row, = text.all("vm")
    equal("vcpus of the VM that came later", (row["id"], row["vcpus"]), (young["id"], 2))
    equal("VMs that ended", text.find("total")["vms_ended"], 301)
    equal("lost", text.host["lost"], 0)
    assert re.search(r"^read [1-9]", out["reader"], re.M), out["reader"]
    assert young["id"] in out["dirs"].split(), out["dirs"]
    check_registry_empty(out)


def check_lock(out, most_ms):
    """A process whose mmap lock is held makes nobody wait."""
    ident = tenant(out, "held")["id"]
    row = {name: proc(out, name).find("vm", id=ident) for name in ("before", "during", "after")}
    age = {name: proc(out, name).find("backing", vm=ident)["age_ms"]
           for name in ("before", "during", "after")}
    equal("resident_kb while the lock is held", row["during"]["resident_kb"],
          row["before"]["resident_kb"])
    assert age["during"] >= 500, f"the last result is {age['during']} ms old"
    assert age["after"] < age["during"], f"age {age}"
    assert int(out["took"]) < most_ms, f"a reading took {out['took']} ms"
    other = proc(out, "during").find("vm", id=tenant(out, "other")["id"])
    equal("resident_kb of the other VM", other["resident_kb"], other["mem_kb"])
    age = proc(out, "during").find("backing", vm=other["id"])["age_ms"]
    assert age < 1000, f"the other VM was last walked {age} ms ago"


def check_lock_load(out):
    """Who holds a process's mmap lock keeps nothing from being counted, and nobody waits."""
    held, other = (tenant(out, name)["id"] for name in ("held", "other"))
    calls = {name: {ident: proc(out, name).find("inval", vm=ident)["calls"]
                    for ident in (held, other)} for name in ("during", "after")}
    equal("calls while the lock is held", calls["during"], {held: 0, other: 0})
    equal("calls afterwards", calls["after"], {held: 0, other: 0})
    assert int(out["took"]) < 4000, f"unloading took {out['took']} ms"


def check_orphan(out):
    """Nothing is known of the memory of a process that is gone."""
    ident = tenant(out, "parent")["id"]
    assert proc(out, "whole").find("vm", id=ident)["resident_kb"] is not None
    text = proc(out, "gone")
    for column in ("resident_kb", "swap_kb", "ksm_kb"):
        equal(f"{column} of the orphan", text.find("vm", id=ident)[column], None)
    equal("age_ms", text.find("backing", vm=ident)["age_ms"], None)
    assert text.find("vm", id=ident)["mem_kb"] > 0
    *_, total = procfile.table(out["backing"])
    known = {key for key in total if total[key] is not None and key[:4] != "ept_"}
    equal("what the total knows", (known, total["ept"]), ({"slot", "ept"}, "gone"))


def check_ftrace(out):
    """Without ftrace kvmmem says so; with it again it attaches, and finds who came."""
    before, after = states(out, "blind"), states(out, "seeing")
    destroy = before["kvm_arch_destroy_vm"]
    equal("kvm_arch_destroy_vm", (destroy["state"], destroy["why_not"]),
          ("failed", "ftrace-is-off"))
    equal("VMs while nobody hears of deaths", proc(out, "unseen").host["vms"], 0)
    for name in ("kvm_arch_destroy_vm", "kvm_page_fault"):
        equal(f"state of {name}", after[name]["state"], "attached")
    equal("vcpus of the VM that came meanwhile",
          proc(out, "seen").find("vm", id=tenant(out, "meanwhile")["id"])["vcpus"], 2)
    equal("VMs when it is gone", proc(out, "gone").host["vms"], 0)


def check_builtin(out):
    """With KVM built in, a file is not taken for a VM by its name."""
    text = proc(out, "proc")
    equal("VMs", [row["id"] for row in text.all("vm")], [tenant(out, "real")["id"]])
    for name in ("kvm-vm", "kvm-vcpu:0"):
        equal(f"files called {name}", len(re.findall(rf"> /\S*/{name}$", out["files"], re.M)), 2)


# On 5.10 a VM has 288 vCPUs at most.
MANY_VCPUS = (*features.KERNELS[1:], *debugkernel.NAMES)


def scenario(name, script, check, **fields):
    """One scenario."""
    return Scenario(f"tenant_{name}", HELPERS + script, check, **fields)


def births(vms, kernels):
    """So many VMs, each entered once on both vCPUs."""
    return scenario("births", f"""
load_kvm; load_kvmmem
section births tenant births {vms} 2
section after proc
section registry registry
""", check_births, kernels=kernels, limit=240)


# Newer ones refuse to switch ftrace off.
FTRACE_OFF = tuple(name for name in (*features.KERNELS, *debugkernel.NAMES)
                   if name not in ("7.3", "newest"))

SCENARIOS = [
    # More than the reserve holds in any case; on a kernel that takes a third of a second
    # for each that must do.
    births(1000, features.KERNELS),
    births(200, debugkernel.NAMES),
    scenario("wide", """
load_kvm; load_kvmmem
tenant_on wide hold 1024 wide.fifo
section "wide proc" proc
section "wide audit" audit
tenant_off wide
""", check_wide, limit=120, host={"memory_mb": 768}, kernels=MANY_VCPUS),
    scenario("users", """
load_kvm; load_kvmmem max_vcpus=16 user_share=50
chmod 666 /dev/kvm
tenant_on one hold 12 one.fifo 1000
tenant_on two hold 4 two.fifo
section proc proc
section registry registry
tenant_off one
tenant_off two
unload_kvmmem
""", check_users),
    scenario("left", """
load_kvm
chmod 666 /dev/kvm
mkfifo left.fifo
owner left left.fifo 8 >left.out &
left=$!
wait_for grep -q "^owner" left.out
load_kvmmem max_vms=8 user_share=50
tenant_on two hold 1 two.fifo
section proc proc
section registry registry
tenant_off two
echo >left.fifo
wait $left
unload_kvmmem
""", check_left),
    scenario("dying", """
load_kvm; load_kvmmem
tenant_on old hold 1 old.fifo
registry >/dev/null
mkfifo stuck.fifo
stuckread /sys/kernel/debug/kvmmem/vms/*/backing $PWD/stuck.fifo >stuck.out 2>&1 &
reader=$!
wait_for grep -q ^stuck stuck.out
section stuck cat stuck.out
tenant_off old
# More than the reserve holds.
section births tenant births 300 1
tenant_on young hold 2 young.fifo
section during proc
: >stuck.fifo
wait $reader
section reader cat stuck.out
section dirs vm_dirs
tenant_off young
section registry registry
""", check_dying),
    *(scenario("lock", """
load_kvm; keep_kvmmem
tenant_on held hold 1 held.fifo
tenant_on other hold 1 other.fifo
section before proc
insmod /lab/holdlock.ko pid=$held_pid
sleep 1.2
before=$(now_ms)
proc >reading
after=$(now_ms)
section during cat reading
section took echo $((after - before))
rmmod holdlock
section after proc
tenant_off held
tenant_off other
""", functools.partial(check_lock, most_ms=most_ms), kernels=kernels)
      for most_ms, kernels in ((300, features.KERNELS), (1000, debugkernel.NAMES))),
    scenario("lock_load", """
load_kvm
tenant_on held hold 1 held.fifo
tenant_on other hold 1 other.fifo
insmod /lab/holdlock.ko pid=$held_pid
load_kvmmem
known() { [ $(awk '$1 == "inval" && $3 != "-"' /proc/kvmmem | wc -l) = $1 ]; }
wait_for known 2
section during proc
before=$(now_ms)
unload_kvmmem
after=$(now_ms)
section took echo $((after - before))
load_kvmmem
rmmod holdlock; wait_for known 2
section after proc
tenant_off held
tenant_off other
""", check_lock_load),
    # Nobody knows when such a reader is done; nothing of kvmmem's waits for it.
    scenario("traced", """
load_kvm
insmod /lab/holdlock.ko traced=1
load_kvmmem
section births tenant births 100 2
echo 0 >/sys/module/kvmmem/parameters/flush_accounting
echo 1 >/sys/module/kvmmem/parameters/flush_accounting
section after proc
section registry registry
unload_kvmmem
load_kvmmem
unload_kvmmem
section modules sh -c 'grep -c "^holdlock " /proc/modules'
rmmod holdlock
""", check_traced, kernels=features.KERNELS, limit=60),
    *(scenario("queued", f"""
load_kvm; load_kvmmem
mkfifo held
kvmguest --pages 64 --hold held >guest.out & guest=$!
wait_for grep -q result guest.out
registry >/dev/null
insmod /lab/holdlock.ko queued={queued}
before=$(now_ms)
echo gva 0 0x1000 >$(echo /sys/kernel/debug/kvmmem/vms/*)/translate
section asked cat /sys/kernel/debug/kvmmem/vms/*/translate
cat /sys/kernel/debug/kvmmem/vms/*/alignment >/dev/null
echo >held
wait $guest
tenant_on young hold 1 young.fifo
ready() {{ grep -q "^tenant id=$(ls /sys/kernel/debug/kvmmem/vms) " young.out; }}
wait_for ready
ended() {{ grep -A1 "^# total" /proc/kvmmem | awk '$1 == "total" {{ exit !$3 }}'; }}
wait_for ended
section took echo $(($(now_ms) - before))
section during proc
section dirs ls /sys/kernel/debug/kvmmem/vms
tenant_off young
section registry registry
# Whoever lets go of ftrace waits for works on each processor: the kernel's own way.
rmmod holdlock
unload_kvmmem
""", check_queued, limit=60, kernels=kernels)
      # More than may run at once on each.
      for queued, kernels in ((600, [name for name in (*features.KERNELS, *debugkernel.NAMES)
                                     if name not in ("7.3", "newest")]),
                              (1200, ("7.3", "newest")))),
    scenario("orphan", """
load_kvm; load_kvmmem backing_max_age_ms=0
tenant_on parent orphan parent.fifo
section whole proc
tenant_off parent
section gone proc
section backing cat /sys/kernel/debug/kvmmem/vms/*/backing
kill $(pidof tenant)
unload_kvmmem
""", check_orphan),
    scenario("namesake", """
load_kvm; keep_kvmmem
section namesake namesake 100 'appeared() { [ -e /sys/kernel/debug/kvmmem/vms/$KVMGUEST_ID/faults ]; }
    for try in 1 2 3 4 5 6 7 8 9; do appeared || sleep 0.2; done
    appeared && echo appeared'
section log sh -c 'dmesg | grep -c "with parent .vms. already present" || true'
""", check_namesake, host={"cpus": 2}),
    scenario("ftrace", """
load_kvm
unload_kvmmem 2>/dev/null || true
echo 0 >/proc/sys/kernel/ftrace_enabled
load_kvmmem
section blind hooks
tenant_on meanwhile hold 2 meanwhile.fifo
section unseen proc
echo 1 >/proc/sys/kernel/ftrace_enabled
seen() { hooks | grep kvm_arch_destroy_vm | grep -q attached; }
wait_for seen
section seeing hooks
wait_for grep -q "^vm " /proc/kvmmem
section seen proc
tenant_off meanwhile
section gone proc
unload_kvmmem
""", check_ftrace, kernels=FTRACE_OFF),
    scenario("builtin", """
load_kvm
tenant_on real hold 1 real.fifo
for place in /tmp /root; do
    touch $place/kvm-vm $place/kvm-vcpu:0
done
exec 7</tmp/kvm-vm 8</tmp/kvm-vcpu:0
# Of KVM's own device, so that its functions are KVM's.
number=$(cut -d: -f2 /sys/class/misc/kvm/dev)
mkdir own
for name in kvm-vm kvm-vcpu:0; do mknod own/$name c 10 $number; done
exec 5<own/kvm-vm 6<own/kvm-vcpu:0
section files ls -l /proc/$$/fd
load_kvmmem
section proc proc
unload_kvmmem
exec 5<&- 6<&- 7<&- 8<&-
tenant_off real
""", check_builtin),
]
