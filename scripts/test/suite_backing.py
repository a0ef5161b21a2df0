# SPDX-License-Identifier: GPL-2.0
"""What stands behind guests' memory, compared with everybody else who knows.

/proc/kvmmem and debugfs are compared, to the KiB, with /proc/<pid>/smaps, with
/proc/<pid>/pagemap and /proc/kpageflags, with KVM's own pages_4k/2m/1g, and with
the slots that the guest made.
"""

import pathlib
import re

import image as images
import kmod
from host import Scenario
from procfile import ProcFile, table

HERE = pathlib.Path(__file__).resolve().parent


def prepare(image, kernel, vendor):
    """The module, and a witness that reads pagemap."""
    kmod.prepare(image, kernel, vendor)
    source = HERE / "host/pagewitness.c"
    program = images.cached(
        "programs", "pagewitness", images._digest(source.read_bytes()),
        lambda out: images._command(["gcc", "-static", "-O2", "-Wall", "-Wextra", "-Werror",
                                     "-o", out, source]))
    image.add("lab/bin/pagewitness", program.read_bytes(), 0o755)
    for module in ("zram", "virtio_blk", "virtio_pci", "loop"):
        try:
            image.add_module(kernel, module)
        except images.ImageError:
            pass                        # built in, or this kernel has none


def equal(what, got, expected):
    """Assert with both numbers."""
    assert got == expected, f"{what} is {got}, expected {expected}"


# Everything that is known of the VMs of a process, while it stands still.
LOOK = """
look() {
    local name=$1 pid=${KVMGUEST_PID} id=${KVMGUEST_ID}
    section "smaps $name" cat /proc/$pid/smaps
    section "proc $name" cat /proc/kvmmem
    section "slots $name" cat /sys/kernel/debug/kvmmem/vms/$id/backing
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


def check_look(out, name, alias=0):
    """One look: every number has a witness. Returns (vm rows, slot rows)."""
    slots = out.records("guest", "slot id=")
    own = [slot for slot in slots if slot["slot"] != alias or not alias]
    ranges = sorted({(int(str(s["hva"]), 16), int(str(s["hva"]), 16) + int(str(s["bytes"]), 16))
                     for s in own})
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

    if not alias:
        equal(f"{name}: host_4k_kb", vm["host_4k_kb"], smaps["Rss"] - huge)
        equal(f"{name}: host_2m_kb", vm["host_2m_kb"], huge + hugetlb)
        equal(f"{name}: swap_kb", vm["swap_kb"], smaps["Swap"])
        equal(f"{name}: resident_kb", vm["resident_kb"], smaps["Rss"] + hugetlb)
    equal(f"{name}: host_1g_kb", vm["host_1g_kb"], 0)
    equal(f"{name}: ksm_kb", vm["ksm_kb"], sum(page["ksm"] for page in pages))
    equal(f"{name}: resident_kb and pagemap", vm["resident_kb"],
          sum(page["present"] for page in pages))
    kvm = out.values(f"kvm {name}")
    equal(f"{name}: ept_4k_kb", vm["ept_4k_kb"], kvm["pages_4k"] * 4)
    equal(f"{name}: ept_2m_kb", vm["ept_2m_kb"], kvm["pages_2m"] * 2048)
    equal(f"{name}: ept_1g_kb", vm["ept_1g_kb"], kvm["pages_1g"] << 20)
    equal(f"{name}: mem_kb", vm["mem_kb"], sum(int(str(s["bytes"]), 16) for s in slots) // 1024
          + sum(row["size_kb"] for row in rows if row["slot"] > 500))

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


def guest(name, arguments, check=None, before="load_kvm", then="", alias=0, **how):
    """A scenario with one guest that is looked at when it has run."""
    def judge(out):
        got = check_look(out, "now", alias)
        if check:
            check(out, *got)

    return Scenario(name, f"""
{before}
load_kvmmem backing_max_age_ms=0
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
    def check(_out, _vm, rows):
        for key, value in expected.items():
            equal(f"slot 1: {key}", rows[1][key], value)
    return check


HUGETLB = "load_kvm; echo 8 >/proc/sys/vm/nr_hugepages"
MB = 1024

SCENARIOS = [
    guest("small", "--pages 1000",
          slot1(kind="anon", host_4k_kb=4000, ept_4k_kb=4000, gap_kb=0)),
    guest("thp", "--pages 2048 --backing thp",
          slot1(kind="anon", host_2m_kb=8 * MB, ept_2m_kb=8 * MB, gap_kb=0, unfaulted_kb=0)),
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
    guest("several_slots", "--pages 1000 --slots 10 --slot-mb 16"),
]
