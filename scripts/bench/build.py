# SPDX-License-Identifier: GPL-2.0
"""What is measured and what it is measured with, built once and kept by content."""

import hashlib
import pathlib
import shutil
import subprocess
import tempfile

import image
import kmod

KERNEL_SOURCE = pathlib.Path("/usr/src/linux-source-6.1.tar.xz")
HERE = pathlib.Path(__file__).resolve().parent


# Who asks whether somebody wants to hear of each fault.
_ASK = ("count/flow", "count/inval", "count/latency", "count/mmio", "count/probes", "count/stuck",
        "count/tlb", "count/violation", "registry/records", "registry/tally")


def kvmmem(kernel, blind=False):
    """kvmmem.ko of this tree, with its debug information; blind to who observes."""
    try:
        return kmod.build(kernel, **(blind and {"flags": "-DKVMMEM_BLIND", "files": _ASK} or {})
                          ) / f"kvmmem.ko{kmod.DEBUG}"
    except kmod.BuildError as error:
        raise image.ImageError(str(error)) from error


def _cached(name, key, sources, make):
    state = hashlib.sha256(key.encode())
    for path in sources:
        state.update(path.read_bytes())
    return image.cached("bench", name, state.hexdigest()[:16], make)


def empty(kernel):
    """empty.ko, probes that do nothing."""
    home = HERE / "empty"

    def make(out):
        with tempfile.TemporaryDirectory(prefix="kvmmem-build-") as scratch:
            for name in ("Kbuild", "empty.c"):
                shutil.copy(home / name, scratch)
            done = kernel.run(["make", "-s", "-C", str(kernel.kdir), f"M={scratch}", "modules"])
            built = pathlib.Path(scratch) / "empty.ko"
            if not built.exists():
                raise image.ImageError(f"empty.ko does not build:\n{done.stdout}")
            shutil.copy(built, out)

    return _cached("empty", f"{kernel.release} {kernel.version}",
                   (home / "Kbuild", home / "empty.c"), make)


def readcost():
    """The program that reads files and tells what that took."""
    source = HERE / "readcost.c"

    def make(out):
        done = subprocess.run(["gcc", "-static", "-O2", "-Wall", "-Werror", "-o", out, source],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise image.ImageError(f"readcost.c does not compile:\n{done.stdout}")

    return _cached("readcost", "", (source,), make)


def kvm_stat():
    """The kernel's kvm_stat, out of linux-source; None where that is not installed."""
    if not KERNEL_SOURCE.exists():
        return None

    def make(out):
        with out.open("wb") as file:
            subprocess.run(["tar", "-xOf", KERNEL_SOURCE, "--occurrence=1",
                            "linux-source-6.1/tools/kvm/kvm_stat/kvm_stat"],
                           check=True, stdout=file)

    return _cached("kvm_stat", f"{KERNEL_SOURCE} {KERNEL_SOURCE.stat().st_mtime_ns}", (), make)
