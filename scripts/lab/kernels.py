#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Kernels of several Debian releases, for booting and for building modules.

    kernels.py list                      what is there
    kernels.py fetch 5.10 6.1 6.12 7.3   make sure these are there
    kernels.py build NAME DIR [ARG...]   run make in DIR against that kernel
    kernels.py source NAME DIR           unpack its KVM-related source into DIR
    kernels.py tarball NAME              the archive with all of its source

Everything lives in $KVMMEM_CACHE, or ~/.cache/kvmmem, and is fetched once;
remove kernels/NAME there to get a newer one. Nothing is installed.
"""

import argparse
import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import kernels_root
import kernels_unpack
from kernels_archive import Archive, KernelError

# Where each kernel is looked for, in order: the pattern of its release, the
# Debian release that built it, and the suites of that release to look in.
# 6.12 comes first from bookworm, whose compiler more machines have.
_PLACES = {
    "5.10": [(r"5\.10\.", "bullseye", ("", "-security"))],
    "6.1": [(r"6\.1\.", "bookworm", ("", "-security"))],
    "6.12": [(r"6\.12\.", "bookworm", ("-security", "-backports")),
             (r"6\.12\.", "trixie", ("", "-security"))],
    "7.3": [(r"7\.3\.", "trixie", ("-backports",)),
            (r"7\.", "trixie", ("-backports",))],
}
NAMES = tuple(_PLACES)

_SOURCE_PARTS = ("arch/x86/kvm", "arch/x86/include", "virt/kvm", "include", "mm",
                 "kernel/trace", "kernel/events")


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One kernel in the cache."""

    name: str
    release: str                        # as uname -r prints it
    version: str                        # of its packages
    vmlinuz: pathlib.Path
    modules: pathlib.Path               # lib/modules/<release>, with modules.dep
    kdir: pathlib.Path                  # for make -C, or KDIR=
    compiler: str                       # signature of the one that builds for it
    root: pathlib.Path | None           # build root, None if built by this machine
    btf_kvm: pathlib.Path | None        # kvm.ko, uncompressed, if it has BTF
    btf_base: pathlib.Path | None       # the BTF which that extends

    def run(self, argv, cwd=None, env=None, timeout=None, capture=True):
        """Run a command where modules for this kernel can be built.

        Paths mean the same as outside, except those below /usr and /etc.
        Variables in `env` are added to the environment. The result's stdout
        holds the output; `capture=False` lets it through instead.
        """
        return kernels_root.run(argv, self.root, cwd, env, timeout, capture)


def digest(*parts):
    """What a file in the cache is called by: of all that it was made of."""
    state = hashlib.sha256()
    for part in parts:
        state.update(part if isinstance(part, bytes) else str(part).encode())
        state.update(b"\0")
    return state.hexdigest()[:20]


def cache():
    """The directory that all this lives in."""
    path = os.environ.get("KVMMEM_CACHE")
    path = pathlib.Path(path) if path else pathlib.Path.home() / ".cache/kvmmem"
    path.mkdir(parents=True, exist_ok=True)
    return path.absolute()


@contextlib.contextmanager
def _alone(kind, name):
    """A scratch directory for making one thing, which nobody else is making.

    It is new each time, since programs started by a run that was killed may
    still be writing to theirs; what such a run left behind is removed.
    """
    (cache() / "locks").mkdir(exist_ok=True)
    (cache() / "scratch").mkdir(exist_ok=True)
    with (cache() / f"locks/{kind}-{name}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        prefix = f"{kind}-{name}."
        for stale in (cache() / "scratch").glob(prefix + "*"):
            shutil.rmtree(stale, ignore_errors=True)
        scratch = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=cache() / "scratch"))
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _say(text):
    print(f"kvmmem: {text}", file=sys.stderr, flush=True)


def build_root(suite):
    """The path of the toolchain of a Debian release, fetched if need be."""
    root = cache() / "roots" / suite
    if root.exists():
        return root
    with _alone("root", suite) as scratch:
        if not root.exists():
            _say(f"fetching the toolchain of {suite}")
            tree = scratch / "tree"
            tree.mkdir()
            kernels_root.make_root(tree, suite, scratch / "apt")
            root.parent.mkdir(exist_ok=True)
            tree.rename(root)
    return root


def _load(name):
    """The kernel as cached, or None if it is absent or incomplete."""
    home = cache() / "kernels" / name
    try:
        facts = json.loads((home / "kernel.json").read_text())
    except FileNotFoundError:
        return None
    for key in ("vmlinuz", "modules", "kdir", "btf_kvm", "btf_base"):
        facts[key] = facts[key] and home / facts[key]
    suite = facts["root"]
    facts["root"] = suite and cache() / "roots" / suite
    kernel = Kernel(name=name, **facts)
    needed = (kernel.vmlinuz, kernel.modules / "modules.dep", kernel.kdir / "Makefile")
    if not all(path.exists() for path in needed):
        return None
    return kernel


def _choose_toolchain(kdir, suite, scratch):
    """Find what builds modules for these headers: this machine, else a build root.

    Trying is the only sure test: compiler flags, the libc of the headers'
    own programs and the BTF tools all have a say. Returns the suite of the
    build root or None, the compiler's signature, and the log.
    """
    proper = kernels_unpack.compiler_variable(kdir)
    if not shutil.which(proper):
        kernels_unpack.set_compiler(kdir, "gcc")
    worked, log = kernels_unpack.try_build(kdir, None, scratch / "probe")
    if worked:
        return None, kernels_unpack.built_by(scratch / "probe"), log
    kernels_unpack.set_compiler(kdir, proper)
    worked, log = kernels_unpack.try_build(kdir, build_root(suite), scratch / "probe")
    if not worked:
        last = (log.strip().splitlines() or ["no output"])[-1]
        raise KernelError(f"no module can be built against {kdir.name}: {last}")
    return suite, kernels_unpack.built_by(scratch / "probe"), log


def _find(name, scratch):
    """(archive, release, suite) of the first place that has the kernel."""
    for number, (pattern, suite, endings) in enumerate(_PLACES[name]):
        suites = [suite + ending for ending in endings]
        archive = Archive(scratch / f"apt{number}", suites)
        release = kernels_unpack.choose_release(archive, pattern)
        if release:
            return archive, release, suite
    raise archive.missing(f"kernel {name} with headers")


def _fetch(name, scratch):
    archive, release, suite = _find(name, scratch)
    packages, version = kernels_unpack.packages_of(archive, release)
    wanted = [f"{package}={packages[package]}" for package in packages]
    tree = scratch / "tree"
    tree.mkdir()
    kernels_root.unpack(archive.download(wanted, scratch / "debs"), tree)
    facts = kernels_unpack.prepare(tree, release)
    root, compiler, log = _choose_toolchain(tree / facts["kdir"], suite, scratch)
    facts.update(release=release, version=version, compiler=compiler, root=root)
    (tree / "build.log").write_text(log)
    (tree / "kernel.json").write_text(json.dumps(facts, indent=1) + "\n")
    home = cache() / "kernels" / name
    home.parent.mkdir(exist_ok=True)
    if home.exists():
        home.rename(scratch / "incomplete")
    tree.rename(home)


def installed():
    """The newest kernel that this machine has with its headers, nothing of which is changed."""
    found = {}
    for kdir in pathlib.Path("/lib/modules").glob("*/build"):
        modules, release = kdir.parent, kdir.parent.name
        images = (pathlib.Path(f"/boot/vmlinuz-{release}"), modules / "vmlinuz")
        vmlinuz = next((path for path in images if path.exists()), None)
        if vmlinuz and (modules / "modules.dep").exists() and (kdir / "Makefile").exists():
            found[tuple(map(int, re.findall(r"\d+", release)))] = Kernel(
                "installed", release, release, vmlinuz, modules, kdir.resolve(), "gcc", None,
                None, None)
    if not found:
        raise KernelError("no kernel is installed with its headers")
    return found[max(found)]


def get(name):
    """The Kernel of that name, fetched if it is not in the cache yet."""
    if name == "installed":
        return installed()
    if name not in _PLACES:
        raise KernelError(f"no kernel {name}: there are {', '.join(NAMES)}")
    kernel = _load(name)
    if kernel is None:
        with _alone("kernel", name) as scratch:
            kernel = _load(name)
            if kernel is None:
                _say(f"fetching kernel {name}")
                _fetch(name, scratch)
                kernel = _load(name)
    if kernel.root and not kernel.root.exists():
        build_root(kernel.root.name)
    return kernel


def _untar(tarball, destination, parts):
    done = subprocess.run(["tar", "-x", "-C", destination, "-f", tarball,
                           "--strip-components=1", *parts],
                          text=True, stderr=subprocess.PIPE)
    if done.returncode:
        raise KernelError(f"cannot unpack {tarball.name}: {done.stderr.strip()}")


def _fetch_source(name, scratch):
    """The archive with all of its source, in a directory that holds nothing else."""
    archive, release, _ = _find(name, scratch)
    package = "linux-source-" + ".".join(release.split(".")[:2])
    version = kernels_unpack.packages_of(archive, release)[1]
    debs = archive.download([f"{package}={version}"], scratch / "debs")
    (scratch / "tree").mkdir()
    kernels_root.unpack(debs, scratch / "tree")
    return next((scratch / "tree/usr/src").glob(f"{package}.tar.*"))


def source(name, destination):
    """Unpack the parts of a kernel's source that concern KVM, for reading."""
    if name not in _PLACES:
        raise KernelError(f"no kernel {name}: there are {', '.join(NAMES)}")
    destination = pathlib.Path(destination).absolute()
    if destination.exists():
        if (destination / "arch/x86/kvm").is_dir():
            return
        raise KernelError(f"{destination} exists and is no kernel source")
    with _alone("source", name) as scratch:
        package = _fetch_source(name, scratch)
        destination.parent.mkdir(parents=True, exist_ok=True)
        partial = destination.with_name(f".{destination.name}.{os.getpid()}")
        partial.mkdir()
        top = package.name.partition(".tar")[0]
        try:
            _untar(package, partial, [f"{top}/{part}" for part in _SOURCE_PARTS])
            partial.rename(destination)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def tarball(name):
    """The archive with all of a kernel's source, fetched if it is not in the cache yet."""
    home = cache() / "sources" / name
    with _alone("source", name) as scratch:
        if not home.exists():
            _say(f"fetching the source of kernel {name}")
            fetched = _fetch_source(name, scratch)
            home.parent.mkdir(exist_ok=True)
            fetched.parent.rename(home)
    return next(home.glob("linux-source-*.tar.*"))


def _list():
    row = "{:<6}{:<28}{:<22}{}"
    print(row.format("name", "release", "version", "modules built by"))
    for name in NAMES:
        kernel = _load(name)
        if kernel is None:
            print(row.format(name, "-", "-", "-"))
            continue
        where = f"build root {kernel.root}" if kernel.root else "this machine"
        print(row.format(name, kernel.release, kernel.version,
                         f"{kernel.compiler}, {where}"))
        for path in (kernel.vmlinuz, kernel.modules, kernel.kdir):
            print(" " * 6 + str(path))


def main():
    """The command line; the result is the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list")
    commands.add_parser("fetch").add_argument("names", nargs="+", choices=NAMES)
    build = commands.add_parser("build")
    build.add_argument("name", choices=NAMES)
    build.add_argument("directory")
    build.add_argument("arguments", nargs=argparse.REMAINDER)
    commands.add_parser("tarball").add_argument("name", choices=NAMES)
    read = commands.add_parser("source")
    read.add_argument("name", choices=NAMES)
    read.add_argument("directory")
    args = parser.parse_args()
    try:
        if args.command == "list":
            _list()
        elif args.command == "fetch":
            for name in args.names:
                kernel = get(name)
                print(f"{name}: {kernel.release} ({kernel.version})")
        elif args.command == "source":
            source(args.name, args.directory)
        elif args.command == "tarball":
            print(tarball(args.name))
        else:
            kernel = get(args.name)
            command = ["make", "-C", os.path.abspath(args.directory),
                       f"KDIR={kernel.kdir}", *args.arguments]
            return kernel.run(command, capture=False).returncode
    except (KernelError, OSError) as error:
        _say(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
