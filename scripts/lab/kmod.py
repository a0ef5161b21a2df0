#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Builds kvmmem's modules for a kernel, outside of the tree.

Builds are cached by content: the same sources for the same kernel with the
same options are built once. What they are built in stays, too, one tree for each
kernel and options, in which make compiles again what has changed.
"""

import contextlib
import fcntl
import os
import pathlib
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
import kernels

TREE = pathlib.Path(__file__).resolve().parents[2]
SOURCES = ("Kbuild", "Makefile", "dkms.conf", "include", "kmod")
_MADE = (".o", ".ko", ".mod", ".cmd", ".d", ".mod.c", ".order", ".symvers")
# Ends the name of a module as it was built.
DEBUG = ".debug"
# What nobody has used for so long goes.
_KEPT_DAYS = 5


class BuildError(Exception):
    """The compiler said no; the message is what it printed."""


def _sources(tree):
    """The files of SOURCES in a tree, by their paths in it."""
    for name in SOURCES:
        path = tree / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and not file.name.endswith(_MADE):
                yield file.relative_to(tree), file


def _contents():
    return {name: file.read_bytes() for name, file in _sources(TREE)}


def _where(kernel):
    """What a kernel's modules depend on beside their sources."""
    gcc = pathlib.Path(shutil.which("gcc") or "/nowhere").resolve()
    return (kernel.release, kernel.kdir, getattr(kernel, "version", ""),
            getattr(kernel, "compiler", ""), gcc, gcc.exists() and gcc.stat().st_mtime_ns)


def _key(kernel, contents, *more):
    return kernels.digest(*_where(kernel), *more,
                          *(part for item in contents.items() for part in item))


def _sync(work, contents):
    """Make the sources in @work these; what is the same keeps its time."""
    for name, file in list(_sources(work)) if work.exists() else []:
        if name not in contents:
            file.unlink()
    for name, content in contents.items():
        _put(work / name, content)


def _put(path, content):
    if not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@contextlib.contextmanager
def _alone(path, wait=True):
    """Nobody else has @path meanwhile. Locks stay: somebody may be about to take one."""
    with path.with_name(path.name.removesuffix(".new") + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield


def _prune(home):
    """Remove what has not been used for long, and what nobody uses now."""
    def old(path):
        return path.is_dir() and time.time() - path.stat().st_mtime > _KEPT_DAYS * 86400

    for path in home.iterdir():
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            if old(path):
                with _alone(path, wait=False):
                    if old(path):
                        shutil.rmtree(path, ignore_errors=True)


def _make(kernel, work, options):
    """Build in @work; returns what the compiler printed."""
    # Whoever is killed leaves objects that are newer than their sources, and not whole.
    building = work / "building"
    building.touch()
    made = kernel.run(["make", f"-j{os.cpu_count()}", "-C", str(work),
                       f"KDIR={kernel.kdir}", *options], timeout=600)
    building.unlink()
    if made.returncode:
        raise BuildError(f"kvmmem does not build for {kernel.name}:\n{made.stdout}")
    return made.stdout or ""


def _build(kernel, key, into):
    """The directory of a build, made by into(directory) if it is not there."""
    done = kernels.cache() / "kvmmem" / f"{kernel.name}-{key}"
    done.parent.mkdir(parents=True, exist_ok=True)
    _prune(done.parent)
    with _alone(done):
        if not (done / "kvmmem.ko").is_file():
            new = done.with_name(done.name + ".new")
            for stale in (new, done):
                shutil.rmtree(stale, ignore_errors=True)
            into(new)
            new.rename(done)
        os.utime(done)
    return done


def build(kernel, *options, flags="", header=None, files=()):
    """The directory with kvmmem.ko for a kernel; options: of make (KVMMEM_KUNIT=1, ...).

    Without what debuggers want to know; that is in kvmmem.ko.debug.
    With @flags of the compiler, or a @header that comes before everything, for @files of
    kmod/ alone ("count/probes"), or for all."""
    contents = _contents()
    own = header.read_bytes() if header else b""
    wide = ("", None) if files else (flags, header and header.name)
    key = kernels.digest(*_where(kernel), *options, *wide)
    work = kernels.cache() / "kvmmem" / f"{kernel.name}-{key}.tree"
    if header:
        flags = f"-include {work / header.name} {flags}".strip()
    flags = [f"CFLAGS_kmod/{name}.o={flags}" for name in files] or \
        ([f"KCFLAGS={flags}"] if flags else [])

    def into(done):
        with _alone(work):
            if (work / "building").exists():
                shutil.rmtree(work)
            _sync(work, contents)
            if header:
                _put(work / header.name, own)
            log = _make(kernel, work, [*options, *flags])
            os.utime(work)
            done.mkdir()
            (done / "build.log").write_text(log)
            for module in work.glob("*.ko"):
                shutil.copy(module, done / f"{module.name}{DEBUG}")
                # 34 MB less in each emulated host's files, several times over.
                subprocess.run(["strip", "--strip-debug", "-o", done / module.name, module],
                               check=True)

    return _build(kernel, _key(kernel, contents, own, *options, *flags), into)


def build_whole(kernel, *options):
    """As build(), from nothing: with all objects and, in build.log, what was printed."""
    contents = _contents()

    def into(done):
        _sync(done, contents)
        (done / "build.log").write_text(_make(kernel, done, options))

    return _build(kernel, _key(kernel, contents, "whole", *options), into)


def prepare(image, kernel, _vendor):
    """Add kvmmem.ko to an emulated host's files."""
    image.add_file(build(kernel) / "kvmmem.ko", "lab/kvmmem.ko")


if __name__ == "__main__":
    try:
        print(build(kernels.get(sys.argv[1]), *sys.argv[2:]) / "kvmmem.ko")
    except (BuildError, kernels.KernelError) as error:
        sys.exit(f"{error}")
