# SPDX-License-Identifier: GPL-2.0
"""Clean Debian systems to install packages in, kept in the cache.

Each is made once by mmdebstrap, with packages configured as on a real
machine, and then never written to: a command runs in an overlay over it that
is gone with the command.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.extend([str(HERE), str(HERE.parent / "lab")])

# pylint: disable=wrong-import-position
import kernels
import kernels_archive
import kernels_unpack
from recipes import RECIPES, SUITES

# Nothing in a root survives a power cut anyway.
_OPTIONS = ["--mode=root", "--quiet", "--dpkgopt=force-unsafe-io",
            "--aptopt=Acquire::Languages \"none\"",
            "--dpkgopt=path-exclude=/usr/share/locale/*"]
# Nobody reads its manuals but ours.
_SMALL = ["--dpkgopt=path-exclude=/usr/share/doc/*/*",
          "--dpkgopt=path-include=/usr/share/doc/kvmmem-*/*",
          "--dpkgopt=path-exclude=/usr/share/man/*",
          "--dpkgopt=path-include=/usr/share/man/man*/kvmmem*"]
# Packages for a system without a network: $1 is its root.
_KEEP = """--customize-hook=
mkdir -p "$1/var/kernels"
rm -f "$1"/var/cache/apt/archives/*.deb
APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -qq -y --no-install-recommends --download-only install {}
mv "$1"/var/cache/apt/archives/*.deb "$1/var/kernels/"
"""

# A root of its own for each run: $1 is the clean one, $2 the empty directory where
# it appears, $3 where what is written goes; then pairs of what is seen where.
_ENTER = """
set -e
clean=$1 root=$2 changes=$3
shift 3
mount -t tmpfs -o mode=755 none "$changes"
mkdir "$changes/upper" "$changes/work"
mount -t overlay -o "lowerdir=$clean,upperdir=$changes/upper,workdir=$changes/work" none "$root"
mount -t proc none "$root/proc"
mount -t tmpfs none "$root/tmp"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do
    mkdir -p "$root$2"
    mount --bind "$1" "$root$2"
    [ "$3" = rw ] || mount -o remount,bind,ro "$root$2"
    shift 3
done
shift
exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
    LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
"""


def home():
    """The directory in the cache for what packaging needs."""
    path = kernels.cache() / "package"
    path.mkdir(exist_ok=True)
    return path


@contextlib.contextmanager
def _locked(name):
    with (home() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _headers(archive, choices):
    """The packages with the newest headers of each kernel."""
    for pattern, flavour in choices:
        release = kernels_unpack.choose_release(archive, pattern)
        if not release:
            raise archive.missing(f"kernel {pattern} with headers")
        yield f"linux-headers-{release.replace(kernels_unpack.FLAVOUR, flavour)}"


def _options(recipe, archive):
    """Those of mmdebstrap."""
    packages = [*recipe.packages, *_headers(archive, recipe.kernels)]
    later = list(_headers(archive, recipe.later))
    reaching = [f"--aptopt={line.rstrip(';')}"
                for line in kernels_archive.reaching_options().splitlines()]
    return [*_OPTIONS, *reaching, f"--variant={recipe.variant}", f"--include={','.join(packages)}",
            *(_SMALL if recipe.small else []), *([_KEEP.format(" ".join(later))] if later else [])]


def _make(name, root):
    """Fill the directory `root` by a recipe."""
    recipe = RECIPES[name]
    suites = SUITES[recipe.suite]
    lists = root.with_name(f"{root.name}.apt")
    for left in (lists, root):
        _remove(left)
    archive = kernels_archive.Archive(lists, suites)
    main, security = kernels_archive.machine_mirrors()
    uris = [security or main if suite.endswith("-security") else main for suite in suites]
    command = ["mmdebstrap", *_options(recipe, archive), recipe.suite, root,
               *(f"deb [signed-by={kernels_archive.KEYRING}] {uri} {suite} main"
                 for uri, suite in zip(uris, suites))]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
    except FileNotFoundError as error:
        raise kernels.KernelError("mmdebstrap is needed and not installed") from error
    _remove(lists)
    if done.returncode:
        _remove(root)
        raise kernels.KernelError(f"no system {name}:\n{done.stdout}")


def _remove(path):
    """Remove what may hold a root of a run that was killed."""
    if path.exists():
        if any(f" {path}/" in line for line in open("/proc/mounts", encoding="utf-8")):
            raise kernels.KernelError(f"something is mounted below {path}")
        shutil.rmtree(path)


def get(name):
    """The path of the clean system of a recipe, made if need be."""
    recipe = RECIPES[name]
    whole = repr((recipe, SUITES[recipe.suite], _OPTIONS, recipe.small and _SMALL,
                  recipe.later and _KEEP))
    root = home() / f"{name}.{hashlib.sha256(whole.encode()).hexdigest()[:8]}"
    with _locked(name):
        if not root.exists():
            print(f"# making a clean system: {name} (some minutes, once)", flush=True)
            for old in home().glob(f"{name}.????????"):
                _remove(old)
            scratch = home() / f"new-{name}"
            _make(name, scratch)
            scratch.rename(root)
    return root


def run(name, argv, scratch, binds=(), timeout=600):
    """Run a command in a fresh copy of a root; subprocess.CompletedProcess.

    `scratch` is an empty directory. Of `binds`, pairs (path here, path there),
    the root sees the first read-only at the second; (here, there, "rw") can be
    written to. The command has no network, and leaves no process.
    """
    root, changes = scratch / "root", scratch / "changes"
    for path in (root, changes):
        path.mkdir()
    words = [word for bind in binds for word in (*bind, "ro")[:3]]
    # Whoever kills us kills all of it.
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--net", "--pid", "--fork",
               "--kill-child", "/bin/sh", "-c", _ENTER, "enter", get(name), root, changes, *words,
               "--", *argv]
    with subprocess.Popen([os.fspath(word) for word in command], text=True, errors="replace",
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, start_new_session=True) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output = process.communicate()[0] + f"\nFAIL not done within {timeout} s\n"
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(argv, process.returncode, output, None)
