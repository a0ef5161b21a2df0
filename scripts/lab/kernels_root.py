# SPDX-License-Identifier: GPL-2.0
"""Unpacked packages, and commands run with another release's toolchain.

The headers of a newer kernel bring programs linked against a newer libc and
ask for a newer compiler. Rather than a second machine, such a build gets a
build root: the /usr of that release under everything else of this machine.
All other top-level directories are bound to the same paths, so the source,
the headers in the cache and the result have one name inside and outside.
"""

import concurrent.futures
import os
import pathlib
import signal
import subprocess

from kernels_archive import Archive, KernelError

_PACKAGES = ("gcc", "libc6-dev", "make", "kmod", "bash", "dash", "coreutils", "sed",
             "grep", "mawk", "findutils", "diffutils", "tar", "gzip", "xz-utils",
             "perl-base", "base-files")
# What reads and writes BTF; it brings libelf, which objtool is linked to.
_BTF_PACKAGE = {"bullseye": "dwarves"}

# The root's own; binding the machine's would mix two releases.
_KEPT = {"usr", "etc", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "lost+found"}
# Below usr, but belonging to the machine's administrator, not to the release.
_BOUND_BELOW_USR = ("/usr/src", "/usr/local")

# Exec'd throughout, so that one process id covers the whole chain.
_ENTER = """
set -e
root=$1 cwd=$2
shift 2
while [ "$1" != -- ]; do
    mount --rbind "$1" "$root$1"
    shift
done
shift
exec chroot "$root" /usr/bin/env -C "$cwd" "$@"
"""


def _unpack_one(deb, tree):
    """tar rather than dpkg-deb -x, which would replace the /lib link by a directory."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb],
                          stdout=subprocess.PIPE) as archive:
        tar = subprocess.run(
            ["tar", "-x", "-C", tree, "-f", "-", "--keep-directory-symlink",
             "--no-same-owner", "--exclude=./usr/share/doc", "--exclude=./usr/share/man",
             "--exclude=./usr/share/locale", "--exclude=./usr/share/info"],
            stdin=archive.stdout, text=True, stderr=subprocess.PIPE)
    if archive.returncode or tar.returncode:
        raise KernelError(f"cannot unpack {pathlib.Path(deb).name}: {tar.stderr.strip()}")


def unpack(debs, tree):
    """Unpack packages over each other into `tree`, a merged-/usr layout."""
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / "usr" / name).mkdir(parents=True, exist_ok=True)
        if not (tree / name).is_symlink():
            (tree / name).symlink_to("usr/" + name)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda deb: _unpack_one(deb, tree), debs))


def make_root(tree, suite, apt_directory):
    """Fill `tree` with the toolchain of a release.

    Packages are unpacked, not configured: compilers need none of their
    scripts, and so neither dpkg in the root nor root's rights are needed.
    The links that would be made by scripts are made here.
    """
    archive = Archive(apt_directory, [suite, suite + "-security"])
    if not archive.stanzas("gcc"):
        raise archive.missing("gcc")
    packages = [*_PACKAGES, _BTF_PACKAGE.get(suite, "pahole")]
    unpack(archive.download_with_dependencies(packages), tree)
    for name, target in (("awk", "mawk"), ("cc", "gcc"), ("sh", "dash")):
        link = tree / "usr/bin" / name
        if not link.exists():
            link.symlink_to(target)
    (tree / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (tree / "etc/group").write_text("root:x:0:\n")


def _bindings():
    """Top-level directories of this machine to be seen inside a build root."""
    found = []
    for entry in sorted(os.scandir("/"), key=lambda e: e.name):
        if entry.is_dir() and entry.name not in _KEPT:
            found.append(entry.path)
    return found + [path for path in _BOUND_BELOW_USR if os.path.isdir(path)]


def _entering(root, cwd, argv):
    """The command that runs `argv` in a mount namespace where `root` is /."""
    bindings = _bindings()
    for path in bindings:
        (root / path[1:]).mkdir(parents=True, exist_ok=True)
    unshare = ["unshare", "--mount"]
    if os.geteuid() != 0:
        unshare.append("--map-root-user")
    return [*unshare, "/bin/sh", "-c", _ENTER, "enter",
            str(root), str(cwd), *bindings, "--", *argv]


def _environment(extra, root):
    """The caller's environment, less what would leak into a build.

    The flags of a make that called us belong to its own targets and job
    server, and a library path of this machine to this machine's programs.
    """
    env = {key: value for key, value in os.environ.items()
           if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "GNUMAKEFLAGS")}
    if root:
        env = {key: value for key, value in env.items() if not key.startswith("LD_")}
        env.update(PATH="/usr/sbin:/usr/bin", LC_ALL="C")
    env.update(extra or {})
    return env


def run(argv, root=None, cwd=None, env=None, timeout=None, capture=True):
    """Run a command here or, if given one, in a build root.

    Returns a subprocess.CompletedProcess whose stdout has both streams in
    their order. At a timeout everything the command started is killed.
    """
    argv = [str(word) for word in argv]
    cwd = os.path.abspath(cwd or os.getcwd())
    command = _entering(root, cwd, argv) if root else argv
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} if capture else {}
    with subprocess.Popen(command, cwd=cwd, env=_environment(env, root), text=True,
                          errors="replace", stdin=subprocess.DEVNULL,
                          start_new_session=True, **streams) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(argv, process.returncode, output, None)
