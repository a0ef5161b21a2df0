#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""A Bochs without its debugger, which is more than twice as fast as Debian's.

    bochs.py          build it in the cache from Debian's source, unless it is there

Emulated Intel hosts use it once it is there. The build takes a few minutes;
remove the directory bochs of the cache to be rid of it.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
import kernels
import kernels_archive
from kernels_archive import KernelError

_SUITE = "trixie"
_FEATURES = (
    "--with-nogui", "--disable-docbook", "--enable-smp", "--enable-x86-64",
    "--enable-vmx=2", "--enable-cpu-level=6", "--enable-avx", "--enable-evex",
    "--enable-pci", "--enable-cdrom", "--enable-large-ramfile",
    "--enable-long-phy-address", "--enable-all-optimizations",
    "--disable-debugger", "--disable-plugins", "--disable-readline")


class SourceArchive(kernels_archive.Archive):
    """Knows of source packages, too."""

    def _configure(self):
        super()._configure()
        path = self.directory / "sources.list"
        binary = path.read_text()
        path.write_text(binary + re.sub(r"^deb ", "deb-src ", binary, flags=re.M))

    def upstream(self, package, destination):
        """Fetch the upstream tarball of a source package; returns its path."""
        listed = self._apt("apt-get", "-q", "--print-uris", "source", package).stdout
        found = re.search(r"^'(\S+)' (\S+\.orig\.tar\.\w+) \d+ (\S+)$", listed, re.M)
        if not found:
            raise self.missing(f"source of {package}")
        uri, name, digest = found.groups()
        target = destination / name
        self._apt("/usr/lib/apt/apt-helper", "download-file", uri, str(target), digest)
        return target


def program():
    """The path of the fast Bochs, or None if it was not built."""
    path = kernels.cache() / "bochs/bochs"
    return path if path.exists() else None


def _step(argv, cwd):
    done = subprocess.run(argv, cwd=cwd, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise KernelError(f"{argv[0]} failed in {cwd}:\n{done.stdout[-3000:]}")


def build():
    """Build it, unless it is there."""
    home = kernels.cache() / "bochs"
    if program():
        return program()
    scratch = home.with_name("bochs.new")
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "tree").mkdir(parents=True)
    tarball = SourceArchive(scratch / "apt", [_SUITE]).upstream("bochs", scratch)
    tree = scratch / "tree"
    _step(["tar", "-x", "-f", tarball, "--strip-components=1"], tree)
    _step(["./configure", *_FEATURES], tree)
    _step(["make", f"-j{os.cpu_count()}"], tree)
    (scratch / "done").mkdir()
    shutil.copy(tree / "bochs", scratch / "done")
    subprocess.run(["strip", scratch / "done/bochs"], check=True)
    shutil.rmtree(home, ignore_errors=True)
    (scratch / "done").rename(home)
    shutil.rmtree(scratch)
    return program()


if __name__ == "__main__":
    try:
        print(build())
    except KernelError as problem:
        sys.exit(f"bochs.py: {problem}")
