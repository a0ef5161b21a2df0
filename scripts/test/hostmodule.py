# SPDX-License-Identifier: GPL-2.0
"""Modules that do to a host what kvmmem has to live with."""

import hashlib
import pathlib
import shutil
import tempfile

import image

HERE = pathlib.Path(__file__).resolve().parent
# Holds a process's mmap lock, or that of a file's mappings, for as long as it is loaded.
HOLDLOCK = HERE.parent / "tenant/holdlock"
# Lets ftrace shut itself down.
FTRACEKILL = HERE / "ftracekill"
# Has the TSC found unstable.
TSCLOST = HERE / "tsclost"
# Has functions that are called like KVM's.
DECOY = HERE / "decoy"
# Has a page fail while the kernel copies from it.
POISON = HERE / "poison"
# Has the kernel refuse a module that has begun to load.
REFUSE = HERE / "refuse"
# Holds up the migration of a page.
SLOWMOVE = HERE / "slowmove"


def build(kernel, home):
    """The module whose source is in that folder, which is called like it."""
    module = home.name
    sources = [(home / name).read_bytes() for name in ("Kbuild", f"{module}.c")]
    digest = hashlib.sha256(b"".join([f"{kernel.release} {kernel.kdir}".encode(), *sources]))

    def make(out):
        with tempfile.TemporaryDirectory(prefix="kvmmem-build-") as scratch:
            for name in ("Kbuild", f"{module}.c"):
                shutil.copy(home / name, scratch)
            made = kernel.run(["make", "-C", str(kernel.kdir), f"M={scratch}", "modules"])
            built = pathlib.Path(scratch) / f"{module}.ko"
            if not built.exists():
                raise image.ImageError(f"{module}.ko does not build:\n{made.stdout}")
            shutil.copy(built, out)

    return image.cached(module, kernel.name, digest.hexdigest()[:16], make)
