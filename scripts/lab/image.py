# SPDX-License-Identifier: GPL-2.0
"""The file system of an emulated host: an initramfs, and an ISO for Bochs.

The archive is written here ("newc", uncompressed), so no tool but strip is
needed to make one. Compiled programs and prepared modules are kept in the
cache, by content.
"""

import lzma
import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile

import kernels

HERE = pathlib.Path(__file__).resolve().parent
GUEST = HERE.parent / "guest"
_ISOLINUX = "/usr/lib/ISOLINUX/isolinux.bin"
_LDLINUX = "/usr/lib/syslinux/modules/bios/ldlinux.c32"


class ImageError(Exception):
    """Something that belongs into the image cannot be had."""


def cached(kind, name, key, make):
    """The file cache()/kind/name-key, made by make(path) if it is not there."""
    home = kernels.cache() / kind
    home.mkdir(exist_ok=True)
    path = home / f"{name}-{key}"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=home) as scratch:
            made = pathlib.Path(scratch) / "made"
            make(made)
            made.replace(path)
    return path


def _command(argv):
    try:
        done = subprocess.run(argv, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
    except FileNotFoundError as error:
        raise ImageError(f"{argv[0]} is not installed: run scripts/lab/deps.sh") from error
    if done.returncode:
        raise ImageError(f"{' '.join(map(str, argv))}:\n{done.stdout}")
    return done.stdout


def program(name, directory):
    """The C files of a directory as one program, compiled for any of the hosts."""
    sources = sorted(directory.glob("*.[chS]"))
    compiled = [path for path in sources if path.suffix != ".h"]
    flags = ["-static", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread"]
    key = kernels.digest(*(path.read_bytes() for path in sources), flags)
    return cached("programs", name, key, lambda out: _command(
        ["gcc", *flags, "-o", out, *compiled]))


def helper_program(source):
    """A program of one C file, and headers beside it, compiled for any of the hosts."""
    source = pathlib.Path(source)
    headers = b"".join(path.read_bytes() for path in sorted(source.parent.glob("*.h")))
    flags = ["-static", "-O2", "-Wall", "-Wextra", "-Werror"]
    return cached("programs", source.stem, kernels.digest(source.read_bytes(), headers, flags),
                  lambda out: _command(["gcc", *flags, "-o", out, source]))


def _prepare_module(path, out):
    data = path.read_bytes()
    if path.suffix == ".xz":
        data = lzma.decompress(data)
    elif path.suffix == ".zst":
        data = subprocess.run(["zstd", "-dqc"], input=data, check=True,
                              stdout=subprocess.PIPE).stdout
    out.write_bytes(data)
    _command(["strip", "--strip-debug", out])


def prepared_module(path):
    """A module, uncompressed and without its debug sections."""
    path = pathlib.Path(path)
    key = kernels.digest(path, path.stat().st_mtime_ns, path.stat().st_size)
    return cached("modules", path.name.split(".")[0], key,
                  lambda out: _prepare_module(path, out))


def _module_name(path):
    return pathlib.Path(path).name.split(".")[0].replace("-", "_")


def module_order(kernel, name):
    """Paths of a module and what it depends on, in the order to load them; none if it
    is part of the kernel."""
    wanted = name.replace("-", "_")
    for line in (kernel.modules / "modules.dep").read_text().splitlines():
        target, _, needs = line.partition(":")
        if _module_name(target) == wanted:
            return [kernel.modules / path for path in reversed([target, *needs.split()])]
    if wanted in map(_module_name, (kernel.modules / "modules.builtin").read_text().split()):
        return []
    raise ImageError(f"kernel {kernel.name} has no module {name}")


def libraries(program):
    """The shared objects that a dynamically linked program is loaded with."""
    done = subprocess.run(["ldd", program], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    if done.returncode:
        return []
    if "not found" in done.stdout:
        raise ImageError(f"{program}: {done.stdout}")
    return [pathlib.Path(path)
            for path in re.findall(r"(/\S+) \(0x[0-9a-f]+\)", done.stdout)]


class Image:
    """Files by their path in the emulated host."""

    def __init__(self):
        self._entries = {}              # path -> (mode, data, device)
        for name in ("dev", "proc", "sys", "tmp", "run"):
            self._directory(name)

    def _directory(self, path):
        path = str(path).strip("/")
        while path and path != ".":
            self._entries.setdefault(path, (stat.S_IFDIR | 0o755, b""))
            path = os.path.dirname(path)

    def add(self, path, data, mode=0o644):
        """A file with this content."""
        path = str(path).strip("/")
        self._directory(os.path.dirname(path))
        data = data.encode() if isinstance(data, str) else data
        self._entries[path] = (stat.S_IFREG | mode, data)

    def link(self, path, target):
        """A symbolic link."""
        path = str(path).strip("/")
        self._directory(os.path.dirname(path))
        self._entries[path] = (stat.S_IFLNK | 0o777, str(target).encode())

    def add_file(self, source, path=None):
        """A file of this machine, at the same path if none is given."""
        source = pathlib.Path(source)
        self.add(path or source, source.read_bytes(), source.stat().st_mode & 0o777)

    def add_program(self, program, path=None):
        """A program with the libraries it needs; a name is looked for in PATH."""
        found = shutil.which(str(program))
        if not found:
            raise ImageError(f"{program} is not installed")
        self.add_file(os.path.realpath(found), path or found)
        for library in libraries(found):
            self.add_file(library)

    def add_tree(self, source, path=None, skip=("__pycache__", "*.pyc")):
        """A directory of this machine with all that is in it."""
        source = pathlib.Path(source)
        for item in sorted(source.rglob("*")):
            inner = item.relative_to(source)
            if any(part for part in skip if inner.match(part)
                   or part in inner.parts):
                continue
            target = pathlib.Path(path or source) / inner
            if item.is_symlink() and not item.is_dir():
                self.add(target, item.read_bytes(), item.stat().st_mode & 0o777)
            elif item.is_file():
                self.add_file(item, target)

    def add_module(self, kernel, name):
        """A module and its dependencies; `insert NAME` in the host loads them."""
        names = []
        for source in module_order(kernel, name):
            module = source.name.split(".")[0]
            names.append(module)
            self.add(f"lab/modules/{module}.ko", prepared_module(source).read_bytes())
        self.add(f"lab/modules/{name}.order", " ".join(names) + "\n")

    def archive(self):
        """The whole as a cpio archive."""
        out = []
        length = 0

        def put(data):
            nonlocal length
            pad = -(length + len(data)) % 4
            out.append(data + b"\0" * pad)
            length += len(data) + pad

        def entry(inode, path, mode, data):
            name = path.encode() + b"\0"
            links = 2 if stat.S_ISDIR(mode) else 1
            fields = (inode, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name), 0)
            put(b"070701" + b"".join(b"%08X" % field for field in fields) + name)
            put(data)

        for inode, path in enumerate(sorted(self._entries), 1):
            entry(inode, path, *self._entries[path])
        entry(0, "TRAILER!!!", 0, b"")
        return b"".join(out)


def base(kernel, vendor):
    """An image with a shell, KVM for the vendor, the guest, and our helpers."""
    image = Image()
    busybox = shutil.which("busybox")
    if not busybox or libraries(busybox):
        raise ImageError("a static busybox is not installed: run scripts/lab/deps.sh")
    image.add_file(busybox, "bin/busybox")
    for name in _command([busybox, "--list"]).split():
        if name not in ("busybox", "init", "linuxrc"):
            image.link(f"bin/{name}", "busybox")
    image.add("init", (HERE / "host/init").read_bytes(), 0o755)
    helpers = (HERE / "host/lib.sh").read_text()
    image.add("lab/lib.sh", helpers)
    # Each public helper is a command too, for sh -c and xargs.
    for name in re.findall(r"^([a-z]\w+)\(\)", helpers, re.M):
        image.add(f"lab/bin/{name}", f'#!/bin/sh\n. /lab/lib.sh\n{name} "$@"\n', 0o755)
    image.add("lab/bin/kvmguest", program("kvmguest", GUEST).read_bytes(), 0o755)
    image.add("lab/bin/insmod", helper_program(HERE / "host/insmod.c").read_bytes(), 0o755)
    image.add_module(kernel, {"amd": "kvm-amd", "intel": "kvm-intel"}[vendor])
    return image


def write_iso(path, kernel, archive, cmdline):
    """A bootable CD, which is what Bochs can boot a kernel from."""
    with tempfile.TemporaryDirectory() as scratch:
        tree = pathlib.Path(scratch)
        (tree / "isolinux").mkdir()
        for source in (_ISOLINUX, _LDLINUX):
            if not os.path.exists(source):
                raise ImageError(f"{source} is missing: run scripts/lab/deps.sh intel")
            shutil.copy(source, tree / "isolinux")
        shutil.copy(kernel.vmlinuz, tree / "vmlinuz")
        (tree / "initrd").write_bytes(archive)
        (tree / "isolinux/isolinux.cfg").write_text(
            "default lab\nprompt 0\ntimeout 0\nlabel lab\n"
            f" kernel /vmlinuz\n append initrd=/initrd {cmdline}\n")
        _command(["xorriso", "-as", "mkisofs", "-quiet", "-o", path,
                  "-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat",
                  "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", tree])
