# SPDX-License-Identifier: GPL-2.0
"""What stands behind guests' memory, compared with everybody else who knows.

/proc/kvmmem and debugfs are compared, to the KiB, with /proc/<pid>/smaps, with
/proc/<pid>/pagemap and /proc/kpageflags, with KVM's own pages_4k/2m/1g, and with
the slots that the guest made.
"""

import pathlib
import re

import features
import image as images
import kmod
from host import Scenario
from procfile import ProcFile, table
from swap import cached, swap_on, swapped, swapped_shmem

HERE = pathlib.Path(__file__).resolve().parent


def prepare(image, kernel, vendor):
    """The module, programs that measure and churn, and modules for swap."""
    kmod.prepare(image, kernel, vendor)
    for name in ("pagewitness", "readcost", "memchurn", "memguest"):
        image.add(f"lab/bin/{name}", images.helper_program(HERE / f"host/{name}.c").read_bytes(),
                  0o755)
    for module in ("brd", "virtio_blk", "virtio_pci"):
        try:
            image.add_module(kernel, module)
        except images.ImageError:
            pass                        # built in, or this kernel has none


def equal(what, got, expected):
    """Assert with both numbers."""
    assert got == expected, f"{what} is {got}, expected {expected}"


# Everything that is known of the VMs of a process, while it stands still.
LOOK = """
wait_file() {
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        [ ! -e $1 ] || return 0
        sleep 0.05
    done
    return 1
}
look() {
    local name=$1 pid=${KVMGUEST_PID} id=${KVMGUEST_ID}
    section "release $name" uname -r
    section "smaps $name" cat /proc/$pid/smaps
    section "proc $name" cat /proc/kvmmem
    section "slots $name" cat /sys/kernel/debug/kvmmem/vms/$id/backing
    echo 1 >/proc/sys/vm/stat_refresh
    section "meminfo $name" awk '/SecPageTables/' /proc/meminfo
    section "kvm $name" kvmstat $id pages_4k pages_2m pages_1g nx_lpage_splits
    section "pages $name" pagewitness $pid $(awk '/^slot id=/ {
        for (i = 2; i <= NF; i++) { split($i, a, "="); v[a[1]] = a[2] }
        print v["hva"], v["bytes"] }' guest.out)
}
"""


def smaps_of(text, ranges):
    """Sums of the fields of the VMAs that lie in the ranges."""
    sums, inside = {}, False
    for line in text.splitlines():
        head = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
        if head:
            begin, end = int(head[1], 16), int(head[2], 16)
            inside = any(begin < last and first < end for first, last in ranges)
            if inside:
                assert any(first <= begin and end <= last for first, last in ranges), \
                    f"a VMA is larger than a slot: {line}"
        elif inside:
            field = re.match(r"(\w+): +(\d+) kB", line)
            if field:
                sums[field[1]] = sums.get(field[1], 0) + int(field[2])
    return sums


def check_flows(name, row, kvm):
    """What came and went is what KVM has now; None: it does not say."""
    if kvm is None:
        equal(f"{name}: huge", {value for key, value in row.items() if key != "vm"}, {None})
        return
    if row["table_zapped"] is not None:
        return      # huge_flows: what kernel threads do is nobody's
    equal(f"{name}: {row}", row["installed"] + row["recovered"] - row["nx_split"]
          - row["dirty_log_split"] - row["zapped"], kvm["pages_2m"] + kvm["pages_1g"])


def check_look(out, name, alias=0):
    """One look: every number has a witness. Returns (vm rows, slot rows)."""
    slots = out.records("guest", "slot id=")
    ranges = sorted({(int(str(s["hva"]), 16), int(str(s["hva"]), 16) + int(str(s["bytes"]), 16))
                     for s in slots})
    smaps = smaps_of(out[f"smaps {name}"], ranges)
    proc = ProcFile(out[f"proc {name}"])
    ident = slots[0]["id"]
    vm = proc.vm(ident)
    huge = sum(smaps.get(key, 0) for key in ("AnonHugePages", "ShmemPmdMapped", "FilePmdMapped"))
    hugetlb = smaps.get("Private_Hugetlb", 0) + smaps.get("Shared_Hugetlb", 0)
    pages = out.records(f"pages {name}", "range ")
    rows = table(out[f"slots {name}"].split("\n# flow")[0])
    total = next(row for row in rows if row["slot"] == "total")
    rows = [row for row in rows if row["slot"] != "total"]

    # KVM's own slots (Intel's real mode) have no witness but themselves.
    private = [row for row in rows if row["slot"] > 500]

    def own(key):
        return vm[key] - sum(row[key] for row in private)

    if not alias:
        equal(f"{name}: host_4k_kb", own("host_4k_kb"), smaps["Rss"] - huge)
        equal(f"{name}: host_2m_kb", own("host_2m_kb"), huge + hugetlb)
        equal(f"{name}: swap_kb", own("swap_kb"), smaps["Swap"])
        equal(f"{name}: resident_kb", own("resident_kb"), smaps["Rss"] + hugetlb)
    equal(f"{name}: host_1g_kb", vm["host_1g_kb"], 0)
    equal(f"{name}: ksm_kb", vm["ksm_kb"], sum(page["ksm"] for page in pages))
    equal(f"{name}: resident_kb and pagemap", own("resident_kb"),
          sum(page["present"] for page in pages))
    kvm = out.values(f"kvm {name}")
    told = features.mappings_are_told(out[f"release {name}"])
    for size, kb in (("4k", 4), ("2m", 2048), ("1g", 1 << 20)):
        equal(f"{name}: ept_{size}_kb", vm[f"ept_{size}_kb"],
              kvm[f"pages_{size}"] * kb if told else None)
    check_flows(name, proc.find("huge", vm=ident), kvm if told else None)
    equal(f"{name}: mem_kb", vm["mem_kb"], sum(int(str(s["bytes"]), 16) for s in slots) // 1024
          + sum(row["size_kb"] for row in private))

    if not told:
        assert vm["ept_table_kb"] > 0, f"{name}: ept_table_kb is {vm['ept_table_kb']}"
    elif vm["mode"] != "shadow":
        # KVM accounts the tables of the whole host, all but the roots.
        equal(f"{name}: ept_table_kb", vm["ept_table_kb"],
              int(out[f"meminfo {name}"].split()[1]) + 4)

    for slot, page in zip(slots, pages):
        row = next(r for r in rows if r["slot"] == slot["slot"])
        what = f"{name}: slot {slot['slot']}"
        equal(f"{what}: size_kb", row["size_kb"], int(str(slot["bytes"]), 16) // 1024)
        equal(f"{what}: gpa", row["gpa"], slot["gpa"])
        equal(f"{what}: resident_kb", row["resident_kb"], page["present"])
        equal(f"{what}: ksm_kb", row["ksm_kb"], page["ksm"])
        equal(f"{what}: zero_kb", row["zero_kb"], page["zero"])
        equal(f"{what}: hole_kb", row["hole_kb"], row["size_kb"] - row["resident_kb"]
              - row["swap_kb"] - row["zero_kb"])
        equal(f"{what}: nodes", row["nodes_kb"],
              f"0:{row['resident_kb']}" if row["resident_kb"] else None)
        host_huge = row["host_2m_kb"] + row["host_1g_kb"]
        if row["ept"] == "walked":
            assert row["gap_kb"] + row["unfaulted_kb"] <= host_huge, f"{what}: gap"
            equal(f"{what}: causes", sum(row[key] for key in row if key.startswith("gap_")
                                         and key != "gap_kb"), row["gap_kb"])
    for key in ("host_4k_kb", "host_2m_kb", "host_1g_kb", "swap_kb", "ksm_kb", "resident_kb"):
        equal(f"{name}: {key} of all slots", sum(row[key] for row in rows), vm[key])
        equal(f"{name}: {key} in total", total[key], vm[key])
    if all(row["ept"] == "walked" for row in rows):
        for key in ("ept_4k_kb", "ept_2m_kb", "ept_1g_kb"):
            equal(f"{name}: {key} of all slots", sum(row[key] for row in rows), vm[key])
    return vm, {row["slot"]: row for row in rows}


# The guest's memory is not taken away before kvmmem follows it.
FOLLOWED = (""" --each 'i=0; until grep -q "^inval  *$KVMGUEST_ID  *[0-9]" /proc/kvmmem; do
    i=$((i + 1)); [ $i -lt 100 ] || exit 1; sleep 0.05; done; sleep 0.1'""")


def guest(name, arguments, check=None, before="load_kvm", then="", alias=0, options="",
          **how):
    """A scenario with one guest that is looked at when it has run."""
    def judge(out):
        got = check_look(out, "now", alias)
        if check:
            check(out, *got)

    return Scenario(name, f"""
{LOOK}
# khugepaged shall not fill holes between two looks
echo 0 >/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none
{before}
keep_kvmmem backing_max_age_ms=0 {options}
cat >/tmp/then.sh <<'SCRIPT'
. /lab/lib.sh
{LOOK}
{then}
look now
SCRIPT
kvmguest {arguments} --then 'sh -e /tmp/then.sh' >guest.out || {{ cat guest.out; exit 1; }}
sed -n '/^@@lab/,$p' guest.out
section guest grep -E '^(guest|slot id=|expect|result)' guest.out
""", judge, **how)


def slot1(**expected):
    """A check of columns of the slot with the data."""
    def check(out, _vm, rows):
        told = features.mappings_are_told(out["release now"])
        for key, value in expected.items():
            if not told and re.match("ept|gap|cause|unfaulted", key):
                value = None
            equal(f"slot 1: {key}", rows[1][key], value)
    return check


def recovered(out, _vm, _rows):
    """Split by execution, then given back by KVM's worker."""
    _, rows = check_look(out, "split")
    if not features.mappings_are_told(out["release now"]):
        equal("split: ept", rows[1]["ept"], "shadow-mmu")
        return
    equal("split: gap_nx_split_kb", rows[1]["gap_nx_split_kb"], 4 * MB)
    equal("split: cause", rows[1]["cause"], "nx-split")
    rows = check_look(out, "now")[1]
    equal("recovered: gap_kb", rows[1]["gap_kb"], 0)
    equal("recovered: unfaulted_kb", rows[1]["unfaulted_kb"], 4 * MB)
    equal("recovered: cause", rows[1]["cause"], "not-yet-faulted")


def shadow(_out, _vm, rows):
    """Under shadow paging KVM's tables cannot be walked, and the rows say so."""
    equal("ept", rows[1]["ept"], "shadow-mmu")
    equal("ept_2m_kb", rows[1]["ept_2m_kb"], None)
    equal("gap_kb", rows[1]["gap_kb"], None)
    equal("host_2m_kb", rows[1]["host_2m_kb"], 2 * MB)


def merged(_out, vm, rows):
    """Something was merged, and is still in memory."""
    assert rows[1]["ksm_kb"] > 2000, f"only {rows[1]['ksm_kb']} KiB merged"
    equal("ksm_kb", vm["ksm_kb"], rows[1]["ksm_kb"])
    equal("resident_kb", rows[1]["resident_kb"], 4000)


def flows(**expected):
    """A check of the huge row."""
    def check(out, vm, _rows):
        row = ProcFile(out["proc now"]).find("huge", vm=vm["id"])
        told = features.mappings_are_told(out["release now"])
        for key, value in expected.items():
            equal(key, row[key], value if told else None)
    return check


def back_by_count(out, vm, _rows):
    """Both are back: from Linux 6.13 on in place, before by a fault."""
    in_place = tuple(map(int, out["release now"].split(".")[:2])) >= (6, 13)
    flows(installed=2 if in_place else 4, recovered=2 if in_place else 0, dirty_log_split=2,
          nx_split=0, zapped=0)(out, vm, None)


def both(*checks):
    """Several checks."""
    def check(*got):
        for one in checks:
            one(*got)
    return check


def check_cost(out):
    """A refresh costs at most a fifth of reading smaps, for every kind of memory."""
    for kind in ("small", "huge"):
        cost = {what: out.values(f"{what} {kind}")["cost"] for what in ("smaps", "fresh", "cached")}
        refresh = cost["fresh"] - cost["cached"]
        assert 0 < refresh * 5 <= cost["smaps"], \
            f"{kind}: a refresh takes {refresh} instructions, smaps {cost['smaps']}"


def check_sparse(out):
    """64 GiB of nothing cost no more than twice what 1 GiB costs."""
    cost = [out.values(f"fresh {size}")["cost"] - out.values(f"cached {size}")["cost"]
            for size in ("1g", "64g")]
    assert 0 < cost[1] <= 2 * cost[0], f"64 GiB: {cost[1]} instructions, 1 GiB: {cost[0]}"


def measured(name, arguments, before=""):
    """Shell lines that measure a guest's columns and its smaps."""
    return f"""
{before}
kvmguest {arguments} --then '
    echo 0 >/sys/module/kvmmem/parameters/backing_max_age_ms
    section "fresh {name}" readcost /proc/kvmmem 15
    echo 3600000 >/sys/module/kvmmem/parameters/backing_max_age_ms
    section "cached {name}" readcost /proc/kvmmem 15
    section "smaps {name}" readcost /proc/$KVMGUEST_PID/smaps 15'
"""


def check_churn(out):
    """No splat is for the lab to see; in the end all is exact again."""
    quiet = out.values("quiet")
    equal("rounds", quiet["rounds"], 1000)
    reads = out.values("reads")["reads"]
    assert reads >= 20, f"only {reads} readings meanwhile"
    for text in out.all("sample"):
        for row in ProcFile(text).rows["vm"]:
            if row["resident_kb"] is not None:
                assert row["resident_kb"] + row["swap_kb"] <= row["mem_kb"] + 2048 * 12, row
    vm = ProcFile(out["proc"]).vm(quiet["id"])
    equal("mem_kb", vm["mem_kb"], 4096)
    equal("resident_kb", vm["resident_kb"], 1024)
    equal("swap_kb", vm["swap_kb"], 0)
    rows = table(out["slots"])
    equal("hole_kb", rows[0]["hole_kb"], 4096 - 1024)
    for row in table(out["records"]):
        equal(f"records of {row['of']}", row["live"], 1)


CHURN = """
load_kvm
load_kvmmem backing_max_age_ms=0 huge_flows=1
echo 2000 >/sys/kernel/mm/ksm/pages_to_scan
echo 20 >/sys/kernel/mm/ksm/sleep_millisecs
echo 1 >/sys/kernel/mm/ksm/run
echo 100 >/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs
mkfifo hold
kvmguest --pages 1024 --backing thp --rounds 2 --drop --forever >/dev/null & busy=$!
memchurn 1000 42 <hold >churn.out & churn=$!
exec 9>hold
reads=0
while ! grep -q quiet churn.out && kill -0 $churn; do
    cat /proc/kvmmem >sample
    cat /sys/kernel/debug/kvmmem/vms/*/backing >/dev/null 2>&1 || :
    reads=$((reads + 1))
done
section sample cat sample
section reads echo reads=$reads
section quiet cat churn.out
kill $busy
wait $busy || :
echo 2 >/sys/kernel/mm/ksm/run
section proc cat /proc/kvmmem
section slots sh -c 'cat /sys/kernel/debug/kvmmem/vms/*/backing'
section records cat /sys/kernel/debug/kvmmem/registry
section hooks cat /sys/kernel/debug/kvmmem/hooks
exec 9>&-
wait $churn
"""

KSM = """
echo 4000 >/sys/kernel/mm/ksm/pages_to_scan
echo 10 >/sys/kernel/mm/ksm/sleep_millisecs
echo 1 >/sys/kernel/mm/ksm/run
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    [ $(cat /sys/kernel/mm/ksm/full_scans) -lt 4 ] || break
    sleep 0.2
done
echo 0 >/sys/kernel/mm/ksm/run
"""

def check_again(out):
    """What was split is made huge again by KVM, and split once more."""
    row, = ProcFile(out["proc"]).rows["huge"]
    told = features.mappings_are_told(out["release"])
    for column, count in (("installed", 4), ("nx_split", 4), ("zapped", 0)):
        equal(column, row[column], count if told else None)


NX = "load_kvm; echo force >/sys/module/kvm/parameters/nx_huge_pages"
RECOVER = """
cd /sys/module/kvm/parameters
ratio=$(cat nx_huge_pages_recovery_ratio)
echo 1 >nx_huge_pages_recovery_ratio
_set 100 nx_huge_pages_recovery_period_ms
cd /tmp
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    [ $(kvmstat $KVMGUEST_ID nx_lpage_splits | tr -dc 1-9)0 != 0 ] || break
    sleep 0.2
done
echo $ratio >/sys/module/kvm/parameters/nx_huge_pages_recovery_ratio
_set 0 /sys/module/kvm/parameters/nx_huge_pages_recovery_period_ms
"""

HUGETLB = "load_kvm; echo 8 >/proc/sys/vm/nr_hugepages"
MB = 1024

SCENARIOS = [
    guest("small", "--pages 1000",
          slot1(kind="anon", host_4k_kb=4000, ept_4k_kb=4000, gap_kb=0)),
    guest("thp", "--pages 2048 --backing thp",
          both(slot1(kind="anon", host_2m_kb=8 * MB, ept_2m_kb=8 * MB, gap_kb=0,
                     unfaulted_kb=0),
               flows(installed=4, zapped=0, nx_split=0, dirty_log_split=0, recovered=0,
                     table_zapped=None))),
    # What is taken away is seen from some moments after the VM's birth on.
    guest("thp_dropped", "--pages 2048 --backing thp --rounds 3 --drop --each 'sleep 0.5'",
          flows(installed=12, zapped=8, nx_split=0, dirty_log_split=0, recovered=0)),
    guest("hugetlb", "--pages 1024 --backing hugetlb2m",
          slot1(kind="hugetlb", host_2m_kb=4 * MB, ept_2m_kb=4 * MB), before=HUGETLB),
    guest("memfd_hugetlb", "--pages 1024 --backing memfd-hugetlb",
          slot1(kind="hugetlb", host_2m_kb=4 * MB, ept_2m_kb=4 * MB), before=HUGETLB),
    guest("memfd", "--pages 512 --backing memfd",
          slot1(kind="shmem", host_4k_kb=2 * MB, ept_4k_kb=2 * MB)),
    guest("shmem", "--pages 512 --backing shmem", slot1(kind="shmem", host_4k_kb=2 * MB)),
    guest("shmem_thp", "--pages 1024 --backing shmem --page-size 2m",
          slot1(kind="shmem", host_2m_kb=4 * MB, ept_2m_kb=4 * MB, gap_kb=0),
          before="load_kvm; echo advise >/sys/kernel/mm/transparent_hugepage/shmem_enabled"),
    guest("file", "--pages 300 --backing file:/tmp/memory",
          slot1(kind="shmem", host_4k_kb=1200)),
    guest("readonly", "--pages 64 --readonly-slot --access read",
          slot1(flags="readonly")),
    guest("zero_pages", "--pages 64 --access read", slot1(zero_kb=256, resident_kb=0)),
    guest("alias", "--pages 1024 --backing thp --alias",
          slot1(host_2m_kb=4 * MB), alias=2),
    guest("misaligned", "--pages 1024 --backing thp --misalign",
          slot1(host_2m_kb=4 * MB, ept_2m_kb=0, ept_4k_kb=4 * MB, gap_kb=4 * MB,
                gap_misaligned_kb=4 * MB, cause="misaligned-slot")),
    guest("unfaulted", "--pages 512 --backing thp --slot-mb 8 --prefault --stride 1",
          slot1(host_2m_kb=2 * MB, unfaulted_kb=0)),
    guest("holes", "--pages 1024 --punch 2", slot1(host_4k_kb=2 * MB, hole_kb=2 * MB)),
    guest("holes_in_thp", "--pages 1024 --backing thp --punch 512",
          slot1(host_4k_kb=4 * MB - 8, hole_kb=8)),
    guest("ksm", "--pages 1000 --advise mergeable", merged, then=KSM),
    guest("dirty_log_counted", "--pages 1024 --backing thp --dirty-log",
          flows(installed=2, dirty_log_split=2, nx_split=0, recovered=0, zapped=0)),
    guest("dirty_log_and_back_counted", "--pages 1024 --backing thp --rounds 3 --dirty-log=1"
          " --dirty-log-off=2", back_by_count),
    guest("nx_split_counted", "--pages 1024 --backing thp --access write,exec",
          flows(installed=2, nx_split=2, dirty_log_split=0, recovered=0, zapped=0), before=NX),
    # Some slot is logged for ever, where a display's memory is.
    guest("nx_split_beside", "--pages 1024 --backing thp --access write,exec --display",
          flows(installed=2, nx_split=2, dirty_log_split=0, recovered=0, zapped=0), before=NX),
    guest("dropped_beside", "--pages 1024 --backing thp --advise dontneed --display" + FOLLOWED,
          flows(installed=2, nx_split=0, dirty_log_split=0, recovered=0, zapped=2)),
    guest("dirty_log", "--pages 1024 --backing thp --dirty-log",
          both(slot1(host_2m_kb=4 * MB, ept_2m_kb=0, ept_4k_kb=4 * MB, gap_kb=4 * MB,
                     gap_dirty_log_kb=4 * MB, cause="dirty-logging", flags="dirty"),
               flows(installed=2, dirty_log_split=2, nx_split=0, recovered=0)),
          options="huge_flows=1"),
    guest("dirty_log_and_back", "--pages 1024 --backing thp --rounds 3 --dirty-log=1"
          " --dirty-log-off=2",
          both(slot1(ept_2m_kb=4 * MB, ept_4k_kb=0, gap_kb=0, cause=None, flags=None),
               flows(dirty_log_split=2, nx_split=0, zapped=0)),
          options="huge_flows=1"),
    guest("nx_split", "--pages 1024 --backing thp --access write,exec",
          both(slot1(ept_2m_kb=0, ept_4k_kb=4 * MB, gap_nx_split_kb=4 * MB, cause="nx-split"),
               flows(nx_split=2, dirty_log_split=0)),
          before=NX, options="huge_flows=1"),
    guest("nx_split_and_back", "--pages 1024 --backing thp --access write,exec", recovered,
          before=NX, then="look split\n" + RECOVER),
    Scenario("nx_split_again", f"""
{NX}
load_kvmmem
section release uname -r
cat >/tmp/recover.sh <<'SCRIPT'
. /lab/lib.sh
{LOOK}
{RECOVER}
SCRIPT
kvmguest --pages 1024 --backing thp --access write,exec --rounds 2 \\
    --each '[ $KVMGUEST_ROUND != 1 ] || sh -e /tmp/recover.sh' \\
    --then 'section proc cat /proc/kvmmem'
""", check_again),
    guest("swapped", "--pages 1000 --advise pageout", swapped,
          before="load_kvm" + swap_on(), vendors=("amd",)),
    guest("swapped_shmem", "--pages 1000 --backing shmem --advise pageout", swapped_shmem,
          before="load_kvm" + swap_on() + cached("before"), then=cached("after"),
          vendors=("amd",)),
    guest("swapped_brd", "--pages 1000 --advise pageout", swapped,
          before="load_kvm" + swap_on(), vendors=("intel",)),
    guest("shadow_paging", "--pages 512 --backing thp", shadow, before="load_kvm_shadow"),
    Scenario("cost", f"""
load_kvm
load_kvmmem
{measured("small", "--pages 16384")}
{measured("huge", "--pages 65536 --backing thp")}
""", check_cost, vendors=("amd",), host={"icount": True}, limit=60),
    Scenario("cost_of_nothing", f"""
load_kvm
load_kvmmem
{measured("1g", "--pages 256 --slot-mb 1024")}
{measured("64g", "--pages 256 --slot-mb 65536")}
""", check_sparse, vendors=("amd",), host={"icount": True}, limit=60),
    Scenario("churn", CHURN.replace("load_kvm\n", "load_kvm\n" + LOOK + swap_on(), 1), check_churn,
             host={"cpus": 2}, limit=120),
    guest("several_slots", "--pages 1000 --slots 10 --slot-mb 16"),
]
