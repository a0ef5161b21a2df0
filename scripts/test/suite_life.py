# SPDX-License-Identifier: GPL-2.0
"""Orders of life: kvmmem, KVM, VMs and processes come and go in any order."""

import pathlib
import re

import hostmodule
import image
import kmod
import procfile
from host import Scenario
from suite_lab import equal, same

OWNER = pathlib.Path(__file__).resolve().parent / "host/owner.c"


def prepare(picture, kernel, vendor):
    """kvmmem.ko, who makes a VM that is not its main thread's, and KVM's namesake."""
    kmod.prepare(picture, kernel, vendor)
    picture.add_file(hostmodule.build(kernel, hostmodule.DECOY), "lab/decoy.ko")
    picture.add("lab/bin/owner", image.helper_program(OWNER).read_bytes(), 0o755)


# What a scenario looks at, as functions for its script.
LOOK = """
proc() { cat /proc/kvmmem; }
registry() { cat /sys/kernel/debug/kvmmem/registry; }
vm_dirs() { registry >/dev/null; ls /sys/kernel/debug/kvmmem/vms; }
hooks() { cat /sys/kernel/debug/kvmmem/hooks; }
audit() { cat /sys/kernel/debug/kvmmem/audit; }
"""

OWNER_HELPERS = """
mkfifo fifo
# owned HOW: such a VM, and what /proc/kvmmem says of it.
owned() {
    owner $1 fifo >owner &
    wait_for grep -q "^owner" owner
    [ ! "$late" ] || load_kvmmem
    section owner cat owner
    section proc proc
}
"""

GUEST = """section guest kvmguest --pages 64 --then '
    section counted cat /proc/kvmmem
    section stats kvmstat $KVMGUEST_ID pf_taken'
"""


def proc(out, name):
    """A section with /proc/kvmmem."""
    return procfile.ProcFile(out[name])


def check_owner(out):
    """A VM is that of the process which made it, by its id in all places."""
    owner = out.records("owner", "owner ")[0]
    row, = proc(out, "proc").all("vm")
    equal("id and pid", (row["id"], row["pid"]), (owner["id"], owner["pid"]))


def check_thread(out):
    """Events name the VM by its id, though another thread made it."""
    check_owner(out)
    named = set(re.findall(r" ept_violation: vm=(\S+)", out["trace"]))
    equal("VMs in events", named, {out.records("owner", "owner ")[0]["id"]})


def check_bare(out):
    """Root that may not administer the host has a share of the records."""
    users = [line.split()[1:] for line in out["registry"].splitlines() if line.startswith("user ")]
    equal("uid, VMs, vCPUs", [row[:3] for row in users], [["0", "2", "1"]])
    assert int(users[0][3]) > 0, "nothing was refused"


def check_counted(out, guest="guest", counted="counted", stats="stats"):
    """A guest's row is what was foretold and what KVM says."""
    ident = out.values(guest)["id"]
    text = proc(out, counted)
    row = text.find("fault", vm=ident)
    same("ept_violations", row["ept_violations"], out.values(stats)["pf_taken"])
    equal("ept_violations", row["ept_violations"],
          out.records(guest, "expect ")[0]["violations"])
    equal("lost", text.host["lost"], 0)
    return text


def states(out, name="hooks"):
    """Hooks by name."""
    return {row["name"]: row for row in procfile.table(out[name])}


def check_empty(text):
    """No VM in any row."""
    equal("vms", text.host["vms"], 0)
    for kind, rows in text.rows.items():
        if kind != "total":
            equal(f"rows of type {kind}", rows, [])


def check_registry_empty(out, name="registry"):
    """All records are back in the reserve."""
    rows = procfile.table(out[name])
    assert rows, f"{name} has no row"
    for row in rows:
        equal(f"live records of {row['of']}", row["live"], 0)


def check_before(out):
    """kvmmem came first."""
    text = proc(out, "nothing")
    check_empty(text)
    for key in ("ept", "vpid"):
        equal(key, text.host[key], None)
    assert text.host["isa"] in ("vmx", "svm"), text.host["isa"]
    equal("lost", text.host["lost"], 0)
    for name, row in states(out, "waiting").items():
        assert row["state"] == "waiting" or row["why_not"] in ("by-parameter", "tsc-not-usable"), \
            f"state of {name} is {row['state']}"
    equal("ept", check_counted(out).host["ept"], "on")
    equal("state of kvm_page_fault", states(out)["kvm_page_fault"]["state"], "attached")
    equal("state of kvm_arch_destroy_vm",
          states(out)["kvm_arch_destroy_vm"]["state"], "attached")


def check_again(out):
    """KVM left and came back."""
    check_counted(out, "guest1", "counted1", "stats1")
    text = proc(out, "gone")
    check_empty(text)
    equal("ept", text.host["ept"], None)
    # What has ended is counted, and nothing is missing.
    (total,), (last,) = text.rows["total"], proc(out, "counted1").rows["total"]
    for what in ("ept_violations", "write", "exec", "mmio"):
        equal(f"{what} of all", total[what], last[what])
    equal("VMs that ended", total["vms_ended"], last["vms_ended"] + 1)
    for what, value in last.items():
        equal(f"{what} of all is known", total[what] is not None, value is not None)
    for name, row in states(out, "waiting").items():
        assert row["state"] == "waiting" or row["why_not"] in ("by-parameter", "tsc-not-usable"), \
            f"state of {name} is {row['state']}"
    check_counted(out, "guest2", "counted2", "stats2")
    check_registry_empty(out)


def check_decoy(out):
    """Hooks are at KVM's own functions: what ends is heard of."""
    check_counted(out, "guest", "counted", "stats")
    equal("live VMs", proc(out, "over").host["vms"], 0)
    check_registry_empty(out)
    rows = procfile.table(out["audit"])
    assert rows, "nothing was compared"
    for row in rows:
        equal(f"difference of {row['counter']}", row["difference"], 0)


def check_older(out):
    """A VM that was there first has a record, and is counted from then on."""
    ident = out.values("guest")["id"]
    text = proc(out, "found")
    equal("vcpus", text.find("vm", id=ident)["vcpus"], 2)
    before = text.find("fault", vm=ident)["ept_violations"]
    after = proc(out, "later").find("fault", vm=ident)["ept_violations"]
    assert after > before, f"{before} faults, and {after} later"
    equal("directories", out["dirs"].split(), [ident])
    for row in procfile.table(out["audit"]):
        equal(f"difference of {row['counter']}", row["difference"], 0)
        assert row["kvm"] > 0 or row["counter"] == "flushes", f"no {row['counter']}"
    check_empty(proc(out, "gone"))
    check_registry_empty(out)


def check_full_speed(out):
    """kvmmem came and went under running guests, and was right each time."""
    texts = [procfile.ProcFile(text) for text in out.all("round")]
    equal("rounds", len(texts), 4)
    for text in texts:
        equal("vms", text.host["vms"], 2)
        equal("lost", text.host["lost"], 0)
    assert sum(row["ept_violations"] for text in texts for row in text.all("fault")) > 0, \
        "no fault was counted"


def check_closed(out):
    """The VM is gone, its process is not."""
    ident = out.values("guest")["id"]
    check_empty(proc(out, "closed"))
    equal("directories", out["dirs"].split(), [])
    assert "State" in out["process"], f"the process of {ident} is gone"
    check_registry_empty(out)


def check_many(out):
    """200 VMs left nothing behind."""
    equal("created", out.values("created")["vms"], 200)
    check_empty(proc(out, "after"))
    equal("directories", out["dirs"].split(), [])
    check_registry_empty(out)
    seen = states(out)
    equal("deaths heard", seen["kvm_arch_destroy_vm"]["events"], 200)
    # All that is there is the reserve, which fills itself when a quarter is gone.
    equal("objects in kvmmem's slabs", int(out["slabs"]),
          sum(row["reserve"] for row in procfile.table(out["registry"])))


def check_bound(out):
    """What does not fit in the table is counted in lost, and nothing else is."""
    first, second = out.values("first")["id"], out.values("guest")["id"]
    text = proc(out, "counted")
    equal("VMs with a row", [vm["id"] for vm in text.all("vm")], [first])
    foretold = out.records("guest", "expect ")[0]["violations"]
    equal("lost", text.host["lost"], foretold)
    same("pf_taken", foretold, out.values("stats")["pf_taken"])
    equal("vms", text.host["vms"], 1)
    assert second != first
    later = proc(out, "roomy")
    equal("lost", later.host["lost"], foretold)
    equal("VMs once there is room", len(later.all("vm")), 1)


def check_two(out):
    """Two processes with a VM each, at the same time."""
    text = proc(out, "both")
    for name in ("small", "large"):
        ident = out.values(name)["id"]
        row = text.find("fault", vm=ident)
        equal(f"{name}: ept_violations", row["ept_violations"],
              out.records(name, "expect ")[0]["violations"])
        same(f"{name}: pf_taken", row["ept_violations"],
             out.values(f"stats {name}")["pf_taken"])
    equal("vms", text.host["vms"], 2)
    equal("vcpus", sorted(vm["vcpus"] for vm in text.all("vm")), [1, 4])


def check_hidden(out):
    """Without KVM: what can be known, and '-'."""
    text = proc(out, "alone")
    check_empty(text)
    for key in ("ept", "vpid"):
        equal(key, text.host[key], None)
    equal("page_kb", text.host["page_kb"], 4)
    for key in ("mem_total_kb", "mem_available_kb"):
        assert text.host[key] > 100000, f"{key} is {text.host[key]}"
    equal("thp", text.host["thp"], "always")
    equal("ksm", text.host["ksm"], "off")
    for key in ("swap_total_kb", "swap_used_kb", "guest_kb", "lost",
                "hugepages_2048kB_free"):
        equal(key, text.host[key], 0)


def scenario(name, script, check, **host):
    """One scenario; every script begins with what it may look at."""
    return Scenario(f"life_{name}", LOOK + script, check, limit=100,
                    host=host)


FULL_SPEED = """
load_kvm
kvmguest --pages 64 --rounds 2 --drop --forever >a.out & a=$!
kvmguest --pages 64 --vcpus 2 --rounds 2 --drop --forever >b.out & b=$!
renice -n 15 -p $a -p $b        # so that loading takes as long as without them
wait_for grep -q expect a.out
wait_for grep -q expect b.out
for i in 1 2 3 4; do
    load_kvmmem
    sleep 0.1
    section round proc
    unload_kvmmem
done
"""

SCENARIOS = [
    scenario("after_kvm", "load_kvm; load_kvmmem" + "\n" + GUEST, check_counted),
    scenario("decoy", "load_kvm; insmod /lab/decoy.ko; load_kvmmem" + "\n" +
             GUEST.replace("pf_taken'", """pf_taken
    section audit cat /sys/kernel/debug/kvmmem/audit'""") + """
section over proc
section registry registry
unload_kvmmem
rmmod decoy
""", check_decoy),
    scenario("vm_older_than_kvmmem", """
load_kvm
kvmguest --pages 64 --vcpus 2 --rounds 2 --drop --forever >guest.out & guest=$!
wait_for grep -q expect guest.out
load_kvmmem
section found proc
sleep 0.3
section later proc
section dirs vm_dirs
kill -STOP $guest
sleep 0.2
section audit audit
kill -KILL $guest
wait $guest || true
section guest cat guest.out
section gone proc
section registry registry
""", check_older),
    scenario("full_speed", FULL_SPEED, check_full_speed, cpus=2),
    scenario("closed_vm", """
load_kvm; keep_kvmmem
mkfifo held
kvmguest --pages 8 --close-then-hold --hold held >guest.out & guest=$!
wait_for grep -q result guest.out
section closed proc
section dirs vm_dirs
section process cat /proc/$guest/status
section registry registry
echo >held
wait $guest
section guest cat guest.out
""", check_closed),
    scenario("two_processes", """
load_kvm; keep_kvmmem
mkfifo one two
kvmguest --pages 50 --hold one >small.out & small=$!
kvmguest --pages 200 --vcpus 4 --turns --hold two >large.out & large=$!
wait_for grep -q result small.out
wait_for grep -q result large.out
section both proc
for name in small large; do
    section $name cat $name.out
    section "stats $name" kvmstat $(sed -n 's/^guest id=\\([^ ]*\\).*/\\1/p' $name.out) pf_taken
done
echo >one; echo >two
wait $small $large
""", check_two),
    scenario("bound", """
load_kvm; load_kvmmem max_vms=1 flush_accounting=0 service_time=0
mkfifo held
kvmguest --pages 8 --hold held >first.out & first=$!
wait_for grep -q result first.out
section first cat first.out
""" + GUEST + """
echo >held
wait $first
kvmguest --pages 8 --then 'section roomy cat /proc/kvmmem'
""", check_bound),
    scenario("many_vms", """
load_kvm; load_kvmmem
# Without what processors hold back, which /proc/slabinfo takes for used.
slabs() {
    for cache in /sys/kernel/slab/kvmmem_*; do
        [ ! -e $cache/shrink ] || echo 1 >$cache/shrink
    done
    awk '/^kvmmem/ { n += $2 } END { print n + 0 }' /proc/slabinfo
}
section created kvmguest --create-only 200
section after proc
section dirs vm_dirs
sleep 0.5
section registry registry
section hooks hooks
section slabs slabs
""", check_many),
    scenario("thread", OWNER_HELPERS + """
load_kvm; load_kvmmem
echo 1 >$_tracing/events/kvmmem/ept_violation/enable
owned thread
echo 0 >$_tracing/events/kvmmem/ept_violation/enable
section trace grep ept_violation: $_tracing/trace
echo >fifo
""", check_thread),
    # Whoever has its file, too, is met first when kvmmem looks through all processes.
    scenario("handed", OWNER_HELPERS + """
load_kvm
late=1
owned handed
echo >fifo
""", check_owner),
    scenario("bare", OWNER_HELPERS + """
load_kvm; load_kvmmem max_vcpus=2 user_share=50
owned bare
owner bare fifo >second &
wait_for grep -q "^owner" second
section registry registry
""", check_bare),
    scenario("kvm_again", """
load_kvm; keep_kvmmem
""" + GUEST.replace("guest ", "guest1 ", 1).replace("counted", "counted1").replace("stats", "stats1")
             + """
unload_kvm
section gone proc
section waiting hooks
load_kvm
""" + GUEST.replace("guest ", "guest2 ", 1).replace("counted", "counted2").replace("stats", "stats2")
             + "section registry registry\n", check_again),
    scenario("without_kvm", """
unload_kvm
load_kvmmem
section alone proc
""", check_hidden),
    scenario("before_kvm", """
unload_kvm
load_kvmmem
section nothing proc
section waiting hooks
load_kvm
""" + GUEST + "section hooks hooks\n", check_before),
]
