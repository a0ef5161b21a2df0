#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Builds kvmmem's modules for a kernel, outside of the tree.

Builds are cached by content: the same sources for the same kernel with the
same options are built once.
"""

import fcntl
import hashlib
import os
import pathlib
import shutil
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
import kernels

TREE = pathlib.Path(__file__).resolve().parents[2]
SOURCES = ("Kbuild", "Makefile", "dkms.conf", "include", "kmod")
_LEFT_OUT = (".o", ".ko", ".mod", ".cmd", ".d", ".mod.c", ".order", ".symvers")


class BuildError(Exception):
    """The compiler said no; the message is what it printed."""


def _files():
    for name in SOURCES:
        path = TREE / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and not file.name.endswith(_LEFT_OUT):
                yield file


def _key(release, options):
    digest = hashlib.sha256(f"{release} {' '.join(options)}".encode())
    for file in _files():
        digest.update(str(file.relative_to(TREE)).encode() + b"\0")
        digest.update(file.read_bytes())
    return digest.hexdigest()[:20]


def _copy(target):
    for file in _files():
        copy = target / file.relative_to(TREE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, copy)


def build(kernel, *options):
    """The directory with kvmmem.ko for a kernel; options: of make (W=1, ...).

    What the compiler printed is in its file build.log."""
    done = kernels.cache() / "kvmmem" / f"{kernel.name}-{_key(f'{kernel.release} {kernel.kdir}', options)}"
    if (done / "kvmmem.ko").is_file():
        return done
    done.parent.mkdir(parents=True, exist_ok=True)
    with done.with_name(done.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (done / "kvmmem.ko").is_file():
            _build(kernel, options, done)
    return done


def _build(kernel, options, done):
    work = done.with_name(done.name + ".new")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    _copy(work)
    made = kernel.run(["make", f"-j{os.cpu_count()}", "-C", str(work),
                       f"KDIR={kernel.kdir}", *options], timeout=600)
    (work / "build.log").write_text(made.stdout or "")
    if made.returncode:
        raise BuildError(f"kvmmem does not build for {kernel.name}:\n{made.stdout}")
    shutil.rmtree(done, ignore_errors=True)
    work.rename(done)


def prepare(image, kernel, _vendor):
    """Add kvmmem.ko to an emulated host's files."""
    image.add_file(build(kernel) / "kvmmem.ko", "lab/kvmmem.ko")


if __name__ == "__main__":
    try:
        print(build(kernels.get(sys.argv[1]), *sys.argv[2:]) / "kvmmem.ko")
    except (BuildError, kernels.KernelError) as error:
        sys.exit(f"{error}")
