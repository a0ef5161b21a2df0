# SPDX-License-Identifier: GPL-2.0
"""No section of kvmmem's with preemption off, under RCU or in a probe is long.

kvmmem is built with sections.h, which times each by a clock that counts
instructions, and meets whoever makes things large (scripts/tenant). On Debian's own
kernel, so that nothing but kvmmem and what it calls there is counted.
"""

import pathlib
import re

import image
import kmod
import procfile
import suite_backing
import suite_tenant
import swap
from host import Scenario
from suite_lab import equal
from suite_tenant import HELPERS

HEADER = pathlib.Path(__file__).resolve().parent / "sections.h"
TENANT = HEADER.parents[1] / "tenant"
LONGEST = 50000
# Places that must have been there, or the trial was none.
PLACES = ("memory/hostwalk.c", "memory/eptwalk.c", "memory/backing.c", "memory/budget.c",
          "registry/records.c", "registry/scan.c", "registry/info.c", "registry/reaper.c",
          "registry/total.c", "registry/users.c", "count/tlb.c", "count/flow.c", "count/inval.c",
          "show/audit.c", "probe ")


def prepare(picture, kernel, vendor):
    """The module that times its sections in place of the plain one."""
    suite_tenant.prepare(picture, kernel, vendor)
    suite_backing.prepare(picture, kernel, vendor)
    built = kmod.build(kernel, header=HEADER)
    picture.add_file(built / "kvmmem.ko", "lab/kvmmem.ko")
    picture.add("lab/bin/tenant", image.program("tenant", TENANT).read_bytes(), 0o755)


def lengths(text):
    """{place: instructions} of the spans in a trace."""
    longest = {}
    for place, length in re.findall(r"span ((?:probe \w+)|(?:\S+:\d+ \w+)) (\d+)$", text, re.M):
        place = re.sub(r"^\S*kmod/", "", place)
        longest[place] = max(longest.get(place, 0), int(length))
    return longest


def check_memfd(out):
    """The same of a guest_memfd of which little is there, far apart; and its pages."""
    check(out, ("memory/memfd.c",))
    said = suite_tenant.tenant(out, "memfd")
    slot, = [row for row in procfile.table(out["slots"]) if row["slot"] == 1]
    equal("private_kb", slot["private_kb"], said["private_kb"])


def check(out, places=PLACES):
    """Each place that was reached, and what it took at the most."""
    assert "span lost" not in out["trace"], "more sections at once than are followed"
    longest = lengths(out["trace"])
    for place in places:
        assert any(one.startswith(place) for one in longest), f"no section in {place}: {longest}"
    order = sorted(longest.items(), key=lambda item: -item[1])
    assert order[0][1] <= LONGEST, \
        f"longer than {LONGEST} instructions: {[one for one in order if one[1] > LONGEST]}"
    # A clock that stands still would pass, too.
    assert order[0][1] > 1000, f"the longest is {order[0]}"


def check_sections(out):
    """The same, a VM's end is not long by its vCPUs, and the guest was in huge pages."""
    check(out)
    death = lengths(out["trace"])["probe life_on_vm_destroy"]
    assert death < 15000, f"the end of a VM of 1,024 vCPUs takes {death} instructions"
    huge = sum(row["host_2m_kb"] or 0 for row in procfile.ProcFile(out["huge"]).all("backing"))
    assert huge >= 700 << 10, f"{huge} KiB were in huge pages"


def check_many(out):
    """What is done for all VMs is done for a thousand."""
    check(out, ("registry/records.c", "registry/total.c", "registry/scan.c", "registry/users.c"))
    equal("VMs", procfile.ProcFile(out["proc"]).host["vms"], 1000)


SCENARIOS = [
    Scenario("sections_many", HELPERS + r"""
echo 20000 >/sys/kernel/tracing/buffer_size_kb
load_kvm
mkfifo left.fifo
ulimit -n 4096; chmod 666 /dev/kvm
owner left left.fifo 1000 >left.out &
left=$!
wait_for grep -q "^owner" left.out
load_kvmmem backing_max_age_ms=0 walk_share=100 user_share=100
section proc proc
read_all() {
    for path in /proc/kvmmem /sys/kernel/debug/kvmmem/[a-u]*; do
        [ ! -f $path ] || cat $path >/dev/null 2>&1 || true
    done
}
read_all
for name in flush_accounting service_time huge_flows invalidations; do
    for value in 0 1; do echo $value >/sys/module/kvmmem/parameters/$name; done
done
read_all
unload_kvmmem
load_kvmmem user_share=100
echo >left.fifo
wait $left
read_all
unload_kvmmem
section trace cat /sys/kernel/tracing/trace
""", check_many, vendors=("amd",), kernels=("6.1",), limit=300,
             host={"icount": True, "memory_mb": 1024}),
    Scenario("sections", suite_backing.LOOK + HELPERS + "load_kvm\n" +
             swap.swap_on() + r"""
echo 20000 >/sys/kernel/tracing/buffer_size_kb
mkdir -p /tmp/bin
cat >/tmp/bin/read_all <<'END'
#!/bin/sh
for path in /proc/kvmmem /sys/kernel/debug/kvmmem/vms/*/* /sys/kernel/debug/kvmmem/[a-u]*; do
    [ ! -f $path ] || cat $path >/dev/null 2>&1 || true
done
END
chmod 755 /tmp/bin/read_all
PATH=$PATH:/tmp/bin
# They are older than kvmmem: it has to find them among the descriptors.
tenant_on wide hold 1024 wide.fifo
tenant_on dups dups 20000 64 dups.fifo
load_kvmmem backing_max_age_ms=0 walk_share=100 huge_flows=1
read_all
tenant_on slots slots 32000 1 slots.fifo
tenant_on files files files.fifo
tenant_on other hold 512 other.fifo
tenant births 60 2 >/dev/null
for number in 1 2 3 4 5 6 7 8; do tenant_on vm$number hold 1 vm$number.fifo; done
kvmguest --pages 2048 --rounds 2 --drop --then read_all >/dev/null
# A thousand ranges of which one call takes all away.
tenant_on spread spread 1000 spread.fifo
known() { awk '$1 == "inval" && $2 ~ /^'$spread_pid'-/ { n = $3 != "-" } END { exit !n }' /proc/kvmmem; }
wait_for known
: >spread.fifo
gone() { awk '$1 == "inval_kb" && $2 ~ /^'$spread_pid'-/ { n = $3 >= 4000 } END { exit !n }' /proc/kvmmem; }
wait_for gone
read_all
tenant_off spread
kvmguest --pages 24576 --backing shmem --advise pageout --then read_all >/dev/null
kvmguest --pages 184320 --backing thp --then 'read_all; cat /proc/kvmmem >huge' >/dev/null
section huge cat huge
kvmguest --pages 8192 --page-size 2m --rounds 3 --dirty-log --then read_all >/dev/null
read_all
for name in flush_accounting service_time huge_flows; do
    for value in 0 1; do echo $value >/sys/module/kvmmem/parameters/$name; done
done
read_all
tenant_off wide
tenant_off dups
tenant_off other
read_all
# It goes while VMs are there, whose records go with it.
unload_kvmmem
load_kvmmem
read_all
for number in 1 2 3 4 5 6 7 8; do tenant_off vm$number; done
tenant_off slots
tenant_off files
read_all
unload_kvmmem
section trace cat /sys/kernel/tracing/trace
""", check_sections, vendors=("amd",), kernels=("6.1",), limit=300,
             host={"icount": True, "memory_mb": 2560}),
    Scenario("sections_memfd", HELPERS + r"""
load_kvm
load_kvmmem backing_max_age_ms=0 walk_share=100
tenant_on memfd memfd memfd.fifo
proc >/dev/null
section slots cat /sys/kernel/debug/kvmmem/vms/*/backing
tenant_off memfd
unload_kvmmem
section trace cat /sys/kernel/tracing/trace
""", check_memfd, vendors=("amd",), kernels=("7.3",), limit=120, host={"icount": True}),
]
