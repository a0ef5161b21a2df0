# SPDX-License-Identifier: GPL-2.0
"""The real thing: Debian's own QEMU boots Debian's own kernel as a guest, while every
file of kvmmem is read in every way.

The suites' guests are small and their numbers foretold. This one is neither: it has
firmware, option ROMs, an emulated APIC, devices and user space. What KVM counts is
the only witness; the audit compares, with the guest stopped.
"""

import pathlib
import shutil

import image
import kernels
import procfile
import suite_storm
from host import Scenario
from suite_lab import equal
from suite_life import check_registry_empty

FIRMWARE = ("/usr/share/seabios/bios-256k.bin", "/usr/share/qemu/kvmvapic.bin",
            "/usr/share/qemu/linuxboot_dma.bin")
MEMORY_MB = 192

INIT = """#!/bin/busybox sh
export PATH=/bin
busybox mount -t proc proc /proc
busybox mount -t devtmpfs devtmpfs /dev
exec </dev/null >/dev/ttyS0 2>&1
busybox echo "guest is $(busybox uname -r)"
busybox mount -t tmpfs tmpfs /tmp
# Memory that comes and goes, processes that come and go.
for round in 1 2; do
    busybox dd if=/dev/zero of=/tmp/memory bs=1M count=16 2>/dev/null
    busybox sha256sum /tmp/memory
    busybox rm /tmp/memory
done
busybox echo "guest is busy no more"
busybox sleep 100000
"""


def guest_archive():
    """The file system of the guest."""
    picture = image.Image()
    picture.add_file(shutil.which("busybox"), "bin/busybox")
    picture.link("bin/sh", "busybox")
    picture.add("init", INIT, 0o755)
    return picture.archive()


def prepare(picture, kernel, vendor):
    """Add kvmmem.ko, QEMU, and what it boots: always Debian's, whatever kernel is tested."""
    suite_storm.prepare(picture, kernel, vendor)
    picture.add_program("qemu-system-x86_64", "usr/bin/qemu-system-x86_64")
    for path in FIRMWARE:
        picture.add_file(path)
    picture.add_file(pathlib.Path(kernels.get("6.1").vmlinuz), "lab/guest/vmlinuz")
    picture.add("lab/guest/initrd", guest_archive())


SCRIPT = r"""
load_kvm
load_kvmmem huge_flows=1
mkfifo monitor
/usr/bin/qemu-system-x86_64 -accel kvm -cpu host -machine pc -m @MB@ \
    -nodefaults -no-user-config -display none -no-reboot -serial file:guest.out -monitor stdio \
    -kernel /lab/guest/vmlinuz -initrd /lab/guest/initrd \
    -append 'console=ttyS0 quiet panic=-1 nokaslr' <monitor >monitor.out 2>&1 & qemu=$!
exec 9>monitor
# An emulated processor is slow, and readers never wait.
renice -n -10 -p $qemu
# await TEXT FILE: in as long as it takes.
await() {
    until grep -qs "$1" "$2"; do
        [ -d /proc/$qemu ] || fail "QEMU is gone: $(cat monitor.out)"
        sleep 2
    done
}
until [ -e guest.out ]; do
    [ -d /proc/$qemu ] || fail "QEMU is gone: $(cat monitor.out)"
    sleep 1
done
winds= number=0
for wind in "read readers=2" peek kill; do
    number=$((number + 1))
    # shellcheck disable=SC2086
    storm $wind seconds=36000 >wind.$number 2>&1 &
    winds="$winds $!"
    renice -n 5 -p $!
done
begun=$(cut -d' ' -f1 /proc/uptime)
await 'guest is busy no more' guest.out
section time echo "from=$begun to=$(cut -d' ' -f1 /proc/uptime)"
section running cat /proc/kvmmem
echo stop >&9
sleep 1
section status sh -c "echo info status >&9; sleep 1; cat monitor.out"
section stopped cat /proc/kvmmem
section audit cat /sys/kernel/debug/kvmmem/audit
id=$(awk '$1 == "vm" { print $2 }' /proc/kvmmem)
section stats kvmstat $id pf_taken tlb_flush pages_4k pages_2m exits
section smaps sh -c "awk '/^Rss/ { n += \$2 } END { print n }' /proc/$qemu/smaps"
echo cont >&9
echo quit >&9
wait $qemu || fail "QEMU ended with $?: $(cat monitor.out)"
exec 9>&-
# shellcheck disable=SC2086
kill -TERM $winds
for wind in $winds; do
    wait $wind || echo "process $wind ended with $?"
done
section winds sh -c 'cat wind.*'
section guest cat guest.out
# Who was just reading the VM's memory may be the last to let go of it.
ended() { ! grep -q "^vm " /proc/kvmmem; }
wait_for ended
section registry cat /sys/kernel/debug/kvmmem/registry
section after cat /proc/kvmmem
unload_kvmmem
"""


def check(out):
    """Debian came up; what kvmmem counted is what KVM counted."""
    assert "guest is 6.1" in out["guest"], out["guest"][-2000:]
    assert "paused" in out["status"], out["status"]
    sums = {line.split()[0] for line in out["guest"].splitlines() if "/tmp/memory" in line}
    equal("sums of the same memory", len(sums), 1)
    text = procfile.ProcFile(out["stopped"])
    row, = text.all("vm")
    assert row["mem_kb"] >= MEMORY_MB << 10, f"mem_kb {row['mem_kb']}"
    assert (MEMORY_MB << 10) // 8 < row["resident_kb"] <= int(out["smaps"]), \
        f"resident_kb {row['resident_kb']}, of the process {out['smaps']}"
    equal("lost", text.host["lost"], 0)
    audit = procfile.table(out["audit"])
    assert {"ept_violations", "flushes"} <= {one["counter"] for one in audit}, out["audit"]
    for one in audit:
        equal(f"difference of {one['counter']}", one["difference"], 0)
        assert one["kvm"] > 100 or one["counter"] != "ept_violations", out["audit"]
    winds = out.records("winds", "storm ")
    equal("readers", len(winds), 3)
    assert all(one["did"] > 10 for one in winds), out["winds"]
    equal("VMs afterwards", procfile.ProcFile(out["after"]).host["vms"], 0)
    check_registry_empty(out)


SCENARIOS = [
    Scenario("real_debian", SCRIPT.replace("@MB@", str(MEMORY_MB)), check, vendors=("amd",),
             limit=600,
             # The guest's clock ticks by instructions: by ours it would do little else.
             host={"icount": True, "memory_mb": 1536}),
]
