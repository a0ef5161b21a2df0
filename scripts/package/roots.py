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

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "lab"))

# pylint: disable=wrong-import-position
import kernels
import kernels_archive
import kernels_unpack

# By suite: patterns of the kernels whose headers it has, and packages. Packages
# are built where dh-dkms is oldest, and installed there and where dkms is newer.
SUITES = {
    "bookworm": ([r"6\.1\.", r"6\.12\."],
                 ["debhelper", "dh-dkms", "dh-python", "lintian", "rpm"]),
    "trixie": ([r"6\.12\.", r"7\.[0-9]+\."], []),
}
_PACKAGES = ["bash-completion", "dkms", "gcc", "kmod", "make", "openssl", "python3"]

# Nothing in a root survives a power cut anyway, and nobody reads its manuals but ours.
_OPTIONS = ["--mode=root", "--variant=apt", "--quiet", "--dpkgopt=force-unsafe-io",
            "--aptopt=Acquire::Languages \"none\"",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            "--dpkgopt=path-exclude=/usr/share/doc/*/*",
            "--dpkgopt=path-include=/usr/share/doc/kvmmem-*/*",
            "--dpkgopt=path-exclude=/usr/share/man/*",
            "--dpkgopt=path-include=/usr/share/man/man8/kvmmem*"]

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


def _headers(archive, patterns):
    """The packages with the newest headers of each kernel."""
    for pattern in patterns:
        release = kernels_unpack.choose_release(archive, pattern)
        if not release:
            raise archive.missing(f"kernel {pattern} with headers")
        yield f"linux-headers-{release}"


def _make(suite, root):
    """Fill the directory `root` with a release of Debian."""
    patterns, packages = SUITES[suite]
    lists = root.with_name(f"{root.name}.apt")
    for left in (lists, root):
        _remove(left)
    suites = [suite, f"{suite}-security", f"{suite}-backports"]
    archive = kernels_archive.Archive(lists, suites)
    packages = [*_PACKAGES, *packages, *_headers(archive, patterns)]
    main, security = kernels_archive.machine_mirrors()
    uris = [main, security or main, main]
    command = ["mmdebstrap", *_OPTIONS, f"--include={','.join(packages)}", suite, root,
               *(f"deb [signed-by={kernels_archive.KEYRING}] {uri} {name} main"
                 for uri, name in zip(uris, suites))]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
    except FileNotFoundError as error:
        raise kernels.KernelError("mmdebstrap is needed and not installed") from error
    _remove(lists)
    if done.returncode:
        _remove(root)
        raise kernels.KernelError(f"no root of {suite}:\n{done.stdout}")


def _remove(path):
    """Remove what may hold a root of a run that was killed."""
    if path.exists():
        if any(f" {path}/" in line for line in open("/proc/mounts", encoding="utf-8")):
            raise kernels.KernelError(f"something is mounted below {path}")
        shutil.rmtree(path)


def get(suite):
    """The path of the clean root of a release, made if need be."""
    recipe = repr((SUITES[suite], _PACKAGES, _OPTIONS))
    root = home() / f"{suite}-{hashlib.sha256(recipe.encode()).hexdigest()[:8]}"
    with _locked(suite):
        if not root.exists():
            print(f"# making a clean {suite} (some minutes, once)", flush=True)
            for old in home().glob(f"{suite}-*"):
                _remove(old)
            scratch = home() / f"new-{suite}"
            _make(suite, scratch)
            scratch.rename(root)
    return root


def run(suite, argv, scratch, binds=(), timeout=600):
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
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child",
               "/bin/sh", "-c", _ENTER, "enter", get(suite), root, changes, *words, "--", *argv]
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
