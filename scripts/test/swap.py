# SPDX-License-Identifier: GPL-2.0
"""Swap in the emulated host, and whether all of a guest's memory has gone there."""

from suite_lab import equal


def swap_on():
    """Swap on a disk of its own, or where there is none on one in memory."""
    return """
if insert virtio_pci 2>/dev/null && insert virtio_blk 2>/dev/null && wait_file /dev/vda; then
    disk=/dev/vda
else
    insert brd rd_nr=1 rd_size=65536
    disk=/dev/ram0
fi
mkswap $disk
swapon $disk
"""


def swapped(_out, vm, rows):
    """All of the slot is in swap."""
    equal("swap_kb", rows[1]["swap_kb"], 4000)
    equal("swap_kb of the VM", vm["swap_kb"], 4000)


def cached(when):
    """Shell lines that tell how much shared memory is in the page cache."""
    return f"""
echo 1 >/proc/sys/vm/stat_refresh
section "cached {when}" sed -n 's/^Shmem: */shmem_kb=/p' /proc/meminfo
"""


def swapped_shmem(out, vm, rows):
    """All is in swap, or in the page cache still, which is KCSAN's way: MADV_PAGEOUT unmaps
    pages there and does not write some few of them."""
    if "kcsan" not in out["release now"]:
        swapped(out, vm, rows)
    row = rows[1]
    left = out.values("cached after")["shmem_kb"] - out.values("cached before")["shmem_kb"]
    # The scenario's own files are there, too, and have five pages.
    assert 4000 <= row["swap_kb"] + left <= 4020, f"{left} KiB in the page cache, {row}"
    assert row["swap_kb"] >= 3600 and not row["resident_kb"], f"{row}"
