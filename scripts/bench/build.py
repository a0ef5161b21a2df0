# SPDX-License-Identifier: GPL-2.0
"""The modules that are measured, built for the kernel they are measured on.

They are built in a copy, so the tree stays as it is, and kept by content.
"""

import hashlib
import pathlib
import shutil
import tempfile

import image

ROOT = pathlib.Path(__file__).resolve().parents[2]
_KVMMEM = ("Kbuild", "dkms.conf", "include", "kmod")


def _files(parts):
    for part in parts:
        if part.is_file():
            yield part
        else:
            yield from sorted(path for path in part.rglob("*.[chS]")
                              if not path.name.endswith(".mod.c"))
            yield from sorted(part.glob("Kbuild"))


def _make(kernel, home, files, name, out):
    with tempfile.TemporaryDirectory(prefix="kvmmem-build-") as scratch:
        for path in files:
            target = pathlib.Path(scratch) / path.relative_to(home)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        done = kernel.run(["make", "-s", "-C", str(kernel.kdir), f"M={scratch}", "modules"])
        built = pathlib.Path(scratch) / f"{name}.ko"
        if not built.exists():
            raise image.ImageError(f"building {name}.ko failed:\n{done.stdout}")
        shutil.copy(built, out)


def _module(kernel, home, parts, name):
    files = list(_files([home / part for part in parts]))
    state = hashlib.sha256(f"{kernel.release} {kernel.version}".encode())
    for path in files:
        state.update(str(path.relative_to(home)).encode() + b"\0" + path.read_bytes())
    return image.cached("bench", name, state.hexdigest()[:16],
                        lambda out: _make(kernel, home, files, name, out))


def kvmmem(kernel):
    """kvmmem.ko of this tree, with its debug information."""
    return _module(kernel, ROOT, _KVMMEM, "kvmmem")


def empty(kernel):
    """empty.ko, probes that do nothing."""
    return _module(kernel, ROOT / "scripts/bench/empty", ("Kbuild", "empty.c"), "empty")
