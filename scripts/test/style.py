#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What the compiler, sparse, checkpatch and the project's own rules say.

Prints a line a check and "N passed, N failed".
"""

import importlib
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

sys.dont_write_bytecode = True
SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
TREE = SCRIPTS.parent
sys.path.insert(0, str(SCRIPTS / "lab"))

# pylint: disable=wrong-import-position
import debugkernel
import features
import kernels
import kmod
import layers

# Of the kernel's source, without the rest of it.
KERNEL_SCRIPTS = ("checkpatch.pl", "spelling.txt", "const_structs.checkpatch", "kernel-doc")
TARBALL = pathlib.Path("/usr/src/linux-source-6.12.tar.xz")
# Reasons, of which kernel style knows nothing: a module from outside of the tree.
IGNORED = ("FILE_PATH_CHANGES", "LINUX_VERSION_CODE", "SPDX_LICENSE_TAG", "MACRO_ARG_REUSE",
           "MACRO_ARG_PRECEDENCE", "COMPLEX_MACRO", "CONFIG_DESCRIPTION", "CONSTANT_COMPARISON")
LONGEST = 500


def files(*patterns):
    """Files of the tree that git knows or would."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", *patterns],
        cwd=TREE, stdout=subprocess.PIPE, text=True, check=True)
    return [TREE / name for name in listed.stdout.split("\n") if name and (TREE / name).exists()]


def build_warnings():
    """What W=1 and sparse print."""
    built = kmod.build_whole(kernels.get("6.1"), "W=1", "C=2")
    log = (built / "build.log").read_text()
    return "\n".join(re.findall(r"^.*(?:warning|error).*$", log, re.M))


def fewer_options():
    """It builds for a kernel without what its configuration can leave out."""
    kmod.build(kernels.get("7.3"), header=SCRIPTS / "test/options.h")
    return ""


def kernel_scripts():
    """The directory with KERNEL_SCRIPTS."""
    directory = kernels.cache() / "kernel-scripts"
    directory.mkdir(parents=True, exist_ok=True)
    missing = {name for name in KERNEL_SCRIPTS if not (directory / name).exists()}
    if missing:
        with tarfile.open(TARBALL) as tar:
            for member in tar:
                folder, name = pathlib.PurePath(member.name).parts[1:2], member.name.split("/")[-1]
                if folder == ("scripts",) and name in missing and member.name.count("/") == 2:
                    (directory / name).write_bytes(tar.extractfile(member).read())
                    missing.remove(name)
                if not missing:
                    break
    return directory


def checkpatch():
    """The kernel's own style checker."""
    run = subprocess.run(
        ["perl", kernel_scripts() / "checkpatch.pl", "--no-tree", "--terse", "--file", "--strict",
         "--max-line-length=100", "--ignore", ",".join(IGNORED),
         *files("kmod/*.c", "kmod/*.h", "include/*.h")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    found = "\n".join(line for line in run.stdout.split("\n")
                      if re.search(r": (ERROR|WARNING|CHECK):", line))
    return found or (f"checkpatch ended with {run.returncode}: {run.stdout[-300:]}"
                     if run.returncode else "")


def kernel_doc():
    """Comments that other files rely on are whole."""
    run = subprocess.run(
        ["perl", kernel_scripts() / "kernel-doc", "-none", "-Wall",
         *files("kmod/*.c", "kmod/*.h", "include/*.h")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return run.stdout.strip() or ("" if not run.returncode else f"status {run.returncode}")


def house():
    """Includes and calls run down, and in no circle."""
    return "\n".join(layers.broken(TREE, kmod.build_whole(kernels.get("6.1"), "W=1", "C=2")))


def house_is_seen():
    """The check of the house fails when it should: three wrongs, put in on purpose."""
    built = kmod.build_whole(kernels.get("6.1"), "W=1", "C=2")
    wrongs = (("count/fault.c", "show/table.h", "kmod/count/fault.c includes it: kmod/show/table.h"),
              ("memory/backing.h", "count/tlb.h", "kmod/memory/backing.h includes it: kmod/count/"),
              ("registry/pool.h", "registry/life.h", "a circle: "))
    missed = []
    for where, what, said in wrongs:
        with tempfile.TemporaryDirectory(prefix="kvmmem-house-") as directory:
            tree = pathlib.Path(directory)
            shutil.copytree(TREE / "kmod", tree / "kmod")
            with (tree / "kmod" / where).open("a") as file:
                file.write(f'#include "{what}"\n')
            if not any(line.startswith(said) for line in layers.broken(tree, built)):
                missed.append(f"{where} may include {what}")
    return "\n".join(missed)


def sizes():
    """No file is longer than it should be."""
    counted = ((path, len(path.read_text(errors="replace").split("\n")) - 1)
               for path in files("kmod", "include", "scripts"))
    return "\n".join(f"{path.relative_to(TREE)}: {lines} lines"
                     for path, lines in counted if lines > LONGEST)


def licenses():
    """Each source names its license."""
    return "\n".join(str(path.relative_to(TREE)) for path in files("kmod", "include", "scripts")
                     if path.suffix not in (".rst", ".json", ".md", ".txt")
                     and "SPDX-License-Identifier" not in path.read_text(errors="replace")[:400]
                     and not re.search(r"debian/|copyright|/data/", str(path)))


def compat():
    """Kernel versions are told apart in the compat headers only."""
    return "\n".join(f"{path.relative_to(TREE)}" for path in files("kmod/*.c", "kmod/*.h")
                     if "compat" not in path.parts
                     and re.search(r"LINUX_VERSION_CODE|KERNEL_VERSION\(", path.read_text()))


def skips():
    """Each scenario runs in each cell of the matrix, or features.py says why it does not."""
    suites = [importlib.import_module(f"suite_{name}") for name in features.SUITES]
    scenarios = [scenario for suite in suites for scenario in suite.SCENARIOS]
    bad = []
    for kernel in features.KERNELS:
        for vendor in ("amd", "intel"):
            here = {scenario.name for scenario in scenarios if vendor in scenario.vendors
                    and (not scenario.kernels or kernel in scenario.kernels)}
            for name in sorted({scenario.name for scenario in scenarios} - here):
                reason, right = features.skip(name, kernel, vendor)
                if not right:
                    bad.append(f"{name} on {kernel} {vendor}: {reason}")
    # Kernels that look for mistakes: a scenario that is not for them has its reason there.
    for kernel in debugkernel.NAMES:
        here = {scenario.name for scenario in scenarios
                if not scenario.kernels or kernel in scenario.kernels}
        bad += [f"{scenario.name} on {kernel}: no reason is given in features.py"
                for scenario in scenarios if scenario.name not in here
                and not features.unfit(scenario, kernel)]
    return "\n".join(dict.fromkeys(bad))


def main():
    """Run all; the result is the exit status."""
    passed = failed = 0
    for check in (build_warnings, fewer_options, checkpatch, kernel_doc, house, house_is_seen, sizes, licenses,
                  compat, skips):
        try:
            bad = check()
        except Exception as error:  # pylint: disable=broad-exception-caught
            bad = f"{type(error).__name__}: {error}"
        if bad:
            failed += 1
            print(f"FAIL {check.__name__}:\n{bad}")
        else:
            passed += 1
            print(f"ok {check.__name__}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
