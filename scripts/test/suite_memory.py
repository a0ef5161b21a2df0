# SPDX-License-Identifier: GPL-2.0
"""Memory that is not what it seems: devices, obsolete tables, guest_memfd, nodes.

memguest (host/memguest.c) makes the VMs that kvmguest does not make. Its first slot
has the page tables and the code, the second one 512 pages that the guest touches.
"""

import pathlib
import re

import debugkernel
import features
import hostmodule
import image as images
import suite_backing
import suite_tenant
from host import Scenario
from procfile import ProcFile, table
from suite_backing import LOOK, equal

KB = 4
DATA_KB = 512 * KB
BASE_KB = 128 * KB
EXTRA_KB = 32 * KB
# Columns of the older rows, and KVM's names of them.
OLDER = {"unsync": "mmu_unsync", "pte_write": "mmu_pte_write", "flooded": "mmu_flooded",
         "recycled": "mmu_recycled", "zapped": "mmu_shadow_zapped"}

HERE = pathlib.Path(__file__).resolve().parent


def prepare(image, kernel, vendor):
    """The guests, a tenant, and who holds a process's lock."""
    suite_backing.prepare(image, kernel, vendor)
    suite_tenant.prepare(image, kernel, vendor)
    program = images.helper_program(HERE / "host/lastvm.c")
    image.add("lab/bin/lastvm", program.read_bytes(), 0o755)


class Seen:
    """What there was to see while the VM lived."""

    def __init__(self, out):
        self.out = out
        self.release = out["release now"]
        self.told = features.mappings_are_told(self.release)
        made = out.records("guest", "slot id=")
        self.ident = made[0]["id"]
        self.hvas = {int(str(slot["hva"]), 16) for slot in made}
        self.proc = ProcFile(out["proc now"])
        self.vm = self.proc.vm(self.ident)
        rows = table(out["slots now"])
        self.total = next(row for row in rows if row["slot"] == "total")
        self.slots = {row["slot"]: row for row in rows if row["slot"] != "total"}
        # KVM's own slots (Intel's real mode).
        self.private_kb = sum(row["size_kb"] for slot, row in self.slots.items() if slot > 500)
        self.kvm = out.values("kvm now") | (out.values("older") if "older" in out else {})
        self.secondary_kb = int((out["meminfo now"].split() or [0, 0])[1])

    def rmap_entries(self):
        """Entries of the reverse mappings of all slots: one a page of each size."""
        entries = 0
        for row in self.slots.values():
            first = int(str(row["gpa"]), 16) >> 12
            last = first + row["size_kb"] // KB - 1
            entries += sum((last >> 9 * level) - (first >> 9 * level) + 1 for level in range(3))
        return entries

    def check_total(self, walked="walked"):
        """The last row of the slots: KVM's own numbers, and what the walk is worth."""
        for size, kb in (("4k", 4), ("2m", 2048), ("1g", 1 << 20)):
            equal(f"total: ept_{size}_kb", self.total[f"ept_{size}_kb"],
                  self.kvm[f"pages_{size}"] * kb if self.told else None)
        equal("total: ept", self.total["ept"], walked if self.told else "shadow-mmu")


def guest(name, what, check, before="load_kvm", then="", **how):
    """A scenario with one VM that is looked at when it has run."""
    command = what if what.startswith("kvmguest") else f"memguest {what}"
    return Scenario(name, f"""
{LOOK}
{before}
keep_kvmmem backing_max_age_ms=0
cat >/tmp/then.sh <<'SCRIPT'
. /lab/lib.sh
{LOOK}
look now
{then}
SCRIPT
{command} 'sh -e /tmp/then.sh' >guest.out || {{ cat guest.out; exit 1; }}
sed -n '/^@@lab/,$p' guest.out
section guest grep -E '^slot id=' guest.out
""", lambda out: check(Seen(out)), **how)


def obsolete(seen):
    """vCPU 0 still names the tables from before the deletion, vCPU 1 runs on new ones."""
    seen.check_total()
    if seen.told:
        equal("slot 1: ept_4k_kb", seen.slots[1]["ept_4k_kb"], DATA_KB)
        equal("slot 1: ept", seen.slots[1]["ept"], "walked")
        # Those of vCPU 0 are still there, and nobody can tell how many they are.
        equal("ept_table_kb", seen.vm["ept_table_kb"], None)


def idle(seen):
    """Nobody has run since: what the vCPUs name is obsolete."""
    seen.check_total("no-root")
    if seen.told:
        equal("slot 1: ept", seen.slots[1]["ept"], "no-root")
        equal("slot 1: ept_4k_kb", seen.slots[1]["ept_4k_kb"], None)
        equal("ept_4k_kb", seen.vm["ept_4k_kb"], 0)
        equal("ept_table_kb", seen.vm["ept_table_kb"], None)


def four_levels(seen):
    """Tables of four levels on a processor that has five, and everything is found."""
    seen.check_total()
    if seen.told:
        equal("slot 1: ept_4k_kb", seen.slots[1]["ept_4k_kb"], DATA_KB)
        equal("ept_table_kb", seen.vm["ept_table_kb"], seen.secondary_kb + 4)


def smm(seen):
    """In SMM the guest ran on a root of its own, with the page of the handler."""
    seen.check_total("differs")
    equal("slot 1: ept_4k_kb", seen.slots[1]["ept_4k_kb"], DATA_KB if seen.told else None)
    if seen.told:
        found = sum(row["ept_4k_kb"] for row in seen.slots.values())
        equal("ept_4k_kb of all slots", found, seen.vm["ept_4k_kb"] - KB)
        equal("ept_table_kb", seen.vm["ept_table_kb"], None)
    # Its way back changed CR4.PGE, for which KVM flushes: the guest asked for it by RSM.
    rows = [row for row in seen.proc.rows["vpid"] if row["vm"] == seen.ident]
    equal("flushes for other", sum(row["other"] for row in rows),
          2 if features.sregs_are_flushed(seen.release) else 0)
    if features.pge_is_counted(seen.release):
        assert sum(row["guest"] for row in rows) > 0, f"{rows}"


def older_mmu(seen):
    """EPT or NPT by the older MMU: KVM's own numbers, and no walk."""
    seen.check_total("shadow-mmu")
    equal("slot 1: ept", seen.slots[1]["ept"], "shadow-mmu")
    equal("slot 1: ept_4k_kb", seen.slots[1]["ept_4k_kb"], None)
    assert seen.vm["ept_table_kb"] >= 4 * KB, f"ept_table_kb is {seen.vm['ept_table_kb']}"
    check_older(seen)


def check_older(seen):
    """The row of the older MMU, before and after KVM's statistics were cleared."""
    row = seen.proc.find("older", vm=seen.ident)
    for column, field in OLDER.items():
        equal(column, row[column], seen.kvm[field])
    equal("rmap_kb", row["rmap_kb"], -(-seen.rmap_entries() * 8 // 1024))
    after = ProcFile(seen.out["cleared"]).find("older", vm=seen.ident)
    for column in OLDER:
        if column != "unsync":
            equal(f"{column} after KVM's was cleared", after[column], row[column])


def shadow(seen):
    """Shadow paging, and the tables of a deleted slot are zapped."""
    seen.check_total("shadow-mmu")
    check_older(seen)
    row = seen.proc.find("older", vm=seen.ident)
    assert row["zapped"] > 0, "nothing was zapped"


def device(seen):
    """A device's memory is none of the guest's, and was not seen by smaps either."""
    seen.check_total()
    own_kb = BASE_KB + DATA_KB + seen.private_kb
    equal("device_kb", seen.vm["device_kb"], EXTRA_KB)
    equal("mem_kb", seen.vm["mem_kb"], own_kb)
    equal("guest_kb", seen.proc.host["guest_kb"], own_kb)
    slot = seen.slots[2]
    for key, value in {"kind": "device", "size_kb": EXTRA_KB, "device_kb": EXTRA_KB, "hole_kb": 0,
                       "resident_kb": 0, "zero_kb": 0}.items():
        equal(f"slot 2: {key}", slot[key], value)
    equal("total: device_kb", seen.total["device_kb"], EXTRA_KB)
    equal("total: hole_kb", seen.total["hole_kb"], own_kb - sum(
        row["resident_kb"] + row["zero_kb"] for row in seen.slots.values()))
    equal("slot 1: device_kb", seen.slots[1]["device_kb"], 0)
    memfd = features.guest_memfd_is_told(seen.release)
    equal("private_kb", seen.vm["private_kb"], 0 if memfd else None)


def memfd(seen):
    """Half of the guest_memfd's pages are there, and no process need map them."""
    equal("private_kb", seen.vm["private_kb"], EXTRA_KB // 2)
    slot = seen.slots[2]
    equal("slot 2: private_kb", slot["private_kb"], EXTRA_KB // 2)
    equal("slot 2: size_kb", slot["size_kb"], EXTRA_KB)
    equal("slot 2: hole_kb", slot["hole_kb"], None)
    equal("slot 1: private_kb", seen.slots[1]["private_kb"], 0)
    equal("total: private_kb", seen.total["private_kb"], EXTRA_KB // 2)
    equal("total: hole_kb", seen.total["hole_kb"], None)
    seen.check_total()


def maps_by_node(seen):
    """{node: KiB} of the slots' mappings, by the kernel's numa_maps."""
    found = {}
    for line in seen.out["numa_maps"].splitlines():
        words = line.split()
        if int(words[0], 16) in seen.hvas:
            for node, pages in re.findall(r"\bN(\d+)=(\d+)", line):
                found[int(node)] = found.get(int(node), 0) + int(pages) * KB
    return found


def numa(seen):
    """Each vCPU has touched its half from its node first; the kernel says the same."""
    wanted = maps_by_node(seen)
    own = sum(row["resident_kb"] for slot, row in seen.slots.items() if slot > 500)
    rows = {row["node"]: row for row in seen.proc.all("numa", vm=seen.ident)}
    equal("nodes", sorted(rows), [0, 1])
    for node, row in rows.items():
        equal(f"node {node}: vcpu_pct", row["vcpu_pct"], 50)
        assert row["mem_kb"] >= 1024, f"node {node}: {row['mem_kb']} KiB"
        if not own:
            equal(f"node {node}: mem_kb", row["mem_kb"], wanted[node])
    equal("mem_kb of all nodes", sum(row["mem_kb"] for row in rows.values()),
          seen.vm["resident_kb"])
    if not seen.told:
        equal("table_kb", [row["table_kb"] for row in rows.values()], [None, None])
        return
    tables = [int(kb) for kb in re.findall(r"SecPageTables: +(\d+)", seen.out["nodes"])]
    equal("table_kb of all nodes", sum(row["table_kb"] for row in rows.values()),
          seen.vm["ept_table_kb"])
    off = [rows[node]["table_kb"] - tables[node] for node in (0, 1)]
    # KVM accounts all tables but the root.
    assert sorted(off) == [0, 4], f"table_kb is {off} off what the kernel says of the nodes"


def one_node(seen):
    """Where there is one node, all is there."""
    row = seen.proc.find("numa", vm=seen.ident)
    equal("numa", row, {"vm": seen.ident, "node": 0, "mem_kb": seen.vm["resident_kb"],
                        "table_kb": seen.vm["ept_table_kb"], "vcpu_pct": 100})


def fresh(seen):
    """A vCPU that has not run yet is nowhere, and KVM has made no table for it."""
    equal("vcpu_pct", seen.proc.find("numa", vm=seen.ident)["vcpu_pct"], None)
    if seen.told:
        equal("ept_table_kb", seen.proc.find("backing", vm=seen.ident)["ept_table_kb"], 0)


def check_flows(out):
    """Two VMs of one process: each has its own, though nobody can listen for it."""
    text = ProcFile(out["proc"])
    rows = [text.find("huge", vm=row["id"]) for row in text.all("vm")]
    equal("VMs", len(rows), 2)
    told = features.mappings_are_told(out["release"])
    for row in rows:
        equal(f"huge of {row.pop('vm')}", row,
              dict.fromkeys(row) | ({"installed": 2, "nx_split": 0, "dirty_log_split": 0,
                                     "recovered": 0, "zapped": 0} if told else {}))


def check_switched(out):
    """Whoever counts has taken over from whoever did: each mapping came and went once."""
    for name in ("on", "off"):
        row, = ProcFile(out[name]).rows["huge"]
        equal(f"{name}: installed", row["installed"], 2)
        equal(f"{name}: zapped", row["zapped"], 2)


def check_busy(out):
    """However often somebody else counts, what came less what went is what there is."""
    row, = ProcFile(out["proc"]).rows["huge"]
    kvm = out.values("kvm")
    assert len(out["switched"].split()) >= 5, "it was hardly switched"
    assert row["installed"] > 100 and row["zapped"] > 100, f"{row}"
    equal(f"{row}", row["installed"] + row["recovered"] - row["nx_split"] -
          row["dirty_log_split"] - row["zapped"], kvm["pages_2m"] + kvm["pages_1g"])


def prefaulted(seen):
    """Nobody has faulted, and four mappings are there."""
    equal("pages_2m", seen.kvm["pages_2m"], 4)
    equal("installed", seen.proc.find("huge", vm=seen.ident)["installed"], 4)
    equal("violations", seen.proc.find("fault", vm=seen.ident)["ept_violations"], 0)


def check_joined(out):
    """What was counted one by one is not counted again when a process has a second VM."""
    row = ProcFile(out["proc"]).find("huge", vm=out.records("guest", "slot id=")[0]["id"])
    equal("installed and zapped", (row["installed"], row["zapped"]), (4, 4))


def check_dropped(out):
    """What is taken away and comes back is counted both ways, however little it is.

    That is so with a display, whose slot is logged, and under shadow paging, too."""
    for name, pages in (("one", 1), ("display", 4), ("shadow", 4)):
        row, = ProcFile(out[name]).rows["huge"]
        told = features.mappings_are_told(out["release"])
        for key, value in (("installed", 3 * pages), ("zapped", 2 * pages),
                           ("dirty_log_split", 0), ("recovered", 0)):
            equal(f"{name}: {key}", row[key], value if told else None)


def check_unheard(out):
    """Nobody hears of the older MMU's changes, so that its counts tell."""
    row, = ProcFile(out["proc"]).rows["huge"]
    backing, = ProcFile(out["proc"]).rows["backing"]
    equal("ept_2m_kb", backing["ept_2m_kb"], 4096)
    equal("installed", row["installed"], 2)
    equal("table_zapped", row["table_zapped"], None)


def check_waiting(out):
    """Who holds the locks of many VMs leaves the walks over others their time."""
    held = [row["resident_kb"] for row in ProcFile(out["reading"]).all("vm")
            if row["comm"] == "kvmguest"]
    equal("resident_kb of those whose lock is held", held, [None] * LOCKED)
    other = ProcFile(out["reading"]).find("vm", comm="tenant")
    equal("resident_kb of the VM behind them", other["resident_kb"], other["mem_kb"])
    assert int(out["took"]) < 400, f"the reading took {out['took']} ms"


def check_block(out):
    """The memory of a block device is a file's, though its node is on a tmpfs."""
    slot, *_ = table(out["slots"])
    equal("kind", slot["kind"], "file")


CLEAR = """
for field in mmu_shadow_zapped mmu_pte_write mmu_flooded mmu_recycled; do
    echo 0 >/sys/kernel/debug/kvm/$KVMGUEST_ID/$field
done
section cleared cat /proc/kvmmem
"""
NODES = """
section numa_maps cat /proc/$KVMGUEST_PID/numa_maps
section nodes cat /sys/devices/system/node/node0/meminfo /sys/devices/system/node/node1/meminfo
"""
LOCKED = 48
STATS = "section older kvmstat $KVMGUEST_ID " + " ".join(OLDER.values()) + "\n"

SCENARIOS = [
    guest("obsolete_root", "obsolete", obsolete),
    guest("obsolete_roots_only", "idle", idle),
    guest("four_levels", "plain", four_levels, vendors=("amd",), host={"cmdline": "no5lvl"}),
    guest("smm_root", "smm", smm),
    guest("tdp_mmu_off", "plain", older_mmu, before="load_kvm kvm.tdp_mmu=N", then=STATS + CLEAR,
          kernels=(*features.KERNELS[1:], *debugkernel.NAMES)),
    guest("older_shadow", "obsolete", shadow, before="load_kvm_shadow", then=STATS + CLEAR),
    Scenario("flows_of_two", """
load_kvm; load_kvmmem huge_flows=1
section release uname -r
kvmguest --pages 1024 --backing thp --vms 2 --then 'section proc cat /proc/kvmmem'
""", check_flows),
    Scenario("flows_joined", """
load_kvm; load_kvmmem huge_flows=1
memguest second ". /lab/lib.sh; section proc cat /proc/kvmmem" >guest.out || { cat guest.out; exit 1; }
sed -n '/^@@lab/,$p' guest.out
section guest grep '^slot id=' guest.out
""", check_joined, kernels=(*features.KERNELS[1:], *debugkernel.NAMES)),
    Scenario("flows_dropped", """
guest() {
    load_kvmmem
    kvmguest --backing thp --rounds 3 --drop --each 'sleep 0.5' --then "
        section $1 cat /proc/kvmmem" $2
    unload_kvmmem
}
section release uname -r
load_kvm
guest one "--pages 512"
guest display "--pages 2048 --display"
unload_kvm
load_kvm_shadow
guest shadow "--pages 2048 --mode flat --display"
""", check_dropped, limit=60),
    Scenario("flows_switched", """
load_kvm
for was in 1 0; do
    load_kvmmem huge_flows=$was
    kvmguest --pages 1024 --backing thp --advise dontneed --then "
        echo $((1 - was)) >/sys/module/kvmmem/parameters/huge_flows
        section $([ $was = 1 ] && echo off || echo on) cat /proc/kvmmem"
    unload_kvmmem
done
""", check_switched, kernels=(*features.KERNELS[1:], *debugkernel.NAMES)),
    Scenario("flows_busy", """
load_kvm; keep_kvmmem
rounds=100
[ $(kvm_vendor) != kvm-intel ] || rounds=20
cat >/tmp/over.sh <<'SCRIPT'
. /lab/lib.sh
: >/tmp/over
while [ ! -e /tmp/off ]; do sleep 0.05; done
section proc cat /proc/kvmmem
section kvm kvmstat $KVMGUEST_ID pages_2m pages_1g
SCRIPT
kvmguest --pages 4096 --backing thp --vcpus 2 --drop --rounds $rounds --then 'sh -e /tmp/over.sh' \
    >busy.out & busy=$!
while [ ! -e /tmp/over ] && kill -0 $busy; do
    echo switched >>switched
    for on in 1 0; do
        echo $on >/sys/module/kvmmem/parameters/huge_flows
        sleep 0.05
    done
done
: >/tmp/off
wait $busy
sed -n '/^@@lab/,$p' busy.out
section switched cat switched
""", check_busy, kernels=(*features.KERNELS[1:], *debugkernel.NAMES)),
    Scenario("flows_unheard", """
load_kvm kvm.tdp_mmu=N; load_kvmmem huge_flows=1
kvmguest --pages 1024 --backing thp --then 'section proc cat /proc/kvmmem'
""", check_unheard, kernels=(*features.KERNELS[1:], *debugkernel.NAMES)),
    Scenario("walks_waiting", suite_tenant.HELPERS + f"""
load_kvm
mkfifo many.fifo
kvmguest --pages 1 --vms {LOCKED} --hold many.fifo >many.out &
many=$!
wait_for grep -q ^result many.out
insmod /lab/holdlock.ko pid=$many
load_kvmmem
tenant_on other hold 1 other.fifo
before=$(now_ms)
cat /proc/kvmmem >reading
after=$(now_ms)
section reading cat reading
section took echo $((after - before))
rmmod holdlock
tenant_off other
: >many.fifo
wait $many
""", check_waiting, limit=60),
    Scenario("block_device", """
load_kvm; load_kvmmem
insert brd rd_nr=1 rd_size=65536 || :
mkfifo block.fifo
lastvm block.fifo /dev/ram0 &
exec 7>block.fifo
wait_for grep -q "^vm " /proc/kvmmem
section slots cat /sys/kernel/debug/kvmmem/vms/*/backing
echo >&7
echo >&7
exec 7>&-
wait $!
""", check_block),
    guest("device", "device", device),
    guest("guest_memfd", "memfd", memfd, kernels=("7.3", "newest")),
    guest("prefaulted", "prefault", prefaulted, kernels=("6.12", "7.3", "newest")),
    guest("numa_one_node", "plain", one_node),
    guest("numa_fresh", "fresh", fresh),
    guest("numa_two_nodes", "kvmguest --pages 1024 --vcpus 2 --turns --pin 0,1 --then", numa,
          then=NODES, vendors=("amd",), host={"cpus": 2, "nodes": 2}),
]
