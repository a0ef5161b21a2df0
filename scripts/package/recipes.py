# SPDX-License-Identifier: GPL-2.0
"""What is in the clean systems that roots.py makes: one for each kind of use."""

import dataclasses
import pathlib
import re

# What apt asks for each release of Debian.
SUITES = {
    "bookworm": ("bookworm", "bookworm-security", "bookworm-backports"),
    "trixie": ("trixie", "trixie-security", "trixie-backports"),
    "testing": ("testing", "testing-security"),
}
_CONTROL = pathlib.Path(__file__).resolve().parent / "debian/control"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A clean system. Kernels are pairs: a pattern of releases, and a flavour."""

    suite: str
    packages: tuple
    variant: str = "apt"
    kernels: tuple = ()                 # whose newest headers are installed
    later: tuple = ()                   # whose headers' packages are in /var/kernels
    small: bool = False                 # without manuals and /usr/share/doc, but ours


def _user(suite, kernel, later, more=()):
    """A host that the packages are installed on, and that gets a new kernel."""
    packages = ("bash-completion", "dkms", "gcc", "kmod", "make", "openssl", "python3", "systemd",
                "xz-utils", *more)
    return Recipe(suite, packages, kernels=(kernel,), later=(later,), small=True)


def build_depends():
    """The packages that debian/control wants to be there."""
    wanted = re.search(r"(?ms)^Build-Depends:(.*?)^\S", _CONTROL.read_text())[1]
    return tuple(item.split()[0] for item in wanted.split(",") if item.strip())


# Where the packages are made; built again, by a build daemon; looked at; tested by
# autopkgtest; and used.
RECIPES = {
    "make": Recipe("bookworm", ("debhelper", "dh-dkms", "dh-python", "git", "make", "rpm")),
    **{f"{suite}-build": Recipe(suite, build_depends(), "buildd") for suite in SUITES},
    "lint": Recipe("testing", ("apparmor", "checkpolicy", "lintian", "make", "mandoc", "rpm",
                               "rpmlint", "systemd")),
    "autopkgtest": Recipe(
        "testing", ("apparmor", "autopkgtest", "binutils", "busybox-static", "dkms", "gcc", "kmod",
                    "libc6-dev", "linux-headers-cloud-amd64", "linux-image-cloud-amd64", "make",
                    "python3", "qemu-system-x86", "xz-utils", "zstd")),
    "bookworm": _user("bookworm", (r"6\.1\.", "cloud-amd64"), (r"6\.12\.", "cloud-amd64"),
                      ("rpm",)),
    "trixie": _user("trixie", (r"6\.12\.", "cloud-amd64"), (r"7\.[0-9]+\.", "cloud-amd64")),
    "testing": _user("testing", (r"7\.[0-9]+\.", "cloud-amd64"), (r"7\.[0-9]+\.", "amd64")),
}
