# SPDX-License-Identifier: GPL-2.0
"""Programs of this machine's own Debian packages, unpacked and not installed.

Installing Prometheus or PCP would start services that listen on every address. Each
set of packages is fetched once, by apt, and kept in the cache.
"""

import pathlib
import subprocess
import tempfile

import kernels

SETS = {"prometheus": ("prometheus", "prometheus-node-exporter"),
        "pcp": ("pcp", "pcp-conf", "libpcp3", "libpcp-archive1", "libpcp-gui2", "libpcp-import1",
                "libpcp-mmv1", "libpcp-pmda3", "libpcp-trace2", "libpcp-web1", "python3-pcp")}


def _run(*argv, **options):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, argv))}:\n{done.stdout}")


def _download(packages, directory):
    # apt's own user may not write here.
    argv = ("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *packages)
    try:
        _run(*argv, cwd=directory)
    except RuntimeError:
        # The package lists may be absent or old.
        _run("apt-get", "-q", "update")
        _run(*argv, cwd=directory)


def root(name):
    """The directory with the files of a set, as they would be below /."""
    home = kernels.cache() / "debian"
    home.mkdir(exist_ok=True)
    place = home / f"{name}.root"
    if not place.exists():
        with tempfile.TemporaryDirectory(dir=home) as scratch:
            _download(SETS[name], scratch)
            for package in pathlib.Path(scratch).glob("*.deb"):
                _run("dpkg-deb", "-x", package, pathlib.Path(scratch) / "root")
            (pathlib.Path(scratch) / "root").rename(place)
    return place


def program(name, path):
    """A program of a set."""
    return root(name) / path
