# SPDX-License-Identifier: GPL-2.0
"""A module that holds a process's mmap lock for as long as it is loaded."""

import hashlib
import pathlib
import shutil
import tempfile

import image

TENANT = pathlib.Path(__file__).resolve().parent.parent / "tenant"


def build(kernel):
    """The module that holds a process's mmap lock."""
    home = TENANT / "holdlock"
    sources = [(home / name).read_bytes() for name in ("Kbuild", "holdlock.c")]
    digest = hashlib.sha256(b"".join([f"{kernel.release} {kernel.kdir}".encode(), *sources]))

    def make(out):
        with tempfile.TemporaryDirectory(prefix="kvmmem-build-") as scratch:
            for name in ("Kbuild", "holdlock.c"):
                shutil.copy(home / name, scratch)
            made = kernel.run(["make", "-C", str(kernel.kdir), f"M={scratch}", "modules"])
            built = pathlib.Path(scratch) / "holdlock.ko"
            if not built.exists():
                raise image.ImageError(f"holdlock.ko does not build:\n{made.stdout}")
            shutil.copy(built, out)

    return image.cached("holdlock", kernel.name, digest.hexdigest()[:16], make)
