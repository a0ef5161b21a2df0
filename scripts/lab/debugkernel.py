# SPDX-License-Identifier: GPL-2.0
"""Kernels that look for mistakes, as more kernels: see scripts/kunit/kernel.sh."""

import dataclasses
import pathlib
import subprocess

NAME = "debug"                          # the one with KUnit and nothing that is slow
NAMES = (NAME, "kasan", "kcsan", "builtin", "newest")
# A sanitizer needs memory for itself.
_MEMORY_MB = dict.fromkeys(NAMES[1:], 1024)
# KASAN: not the first report alone.
_CMDLINE = dict.fromkeys(("kasan", "builtin", "newest"), "kasan_multi_shot")
# KCSAN: of so many accesses one is watched, for so many microseconds. By default it is
# one of 4000, for 80, which finds nothing in an emulated host; more than this takes nine
# tenths of the time. A watch keeps interrupts off, so that a processor that is alone sees
# no race: there are two, and where a scenario wants one the second is for who reads
# meanwhile.
_KCSAN = "kcsan.skip_watch=2000 kcsan.udelay_task=200"
# Noting who allocated what takes a third of the time: only for those who ask for it.
_NO_LEAKS = "kmemleak=off"
_BUILDER = pathlib.Path(__file__).resolve().parents[1] / "kunit/kernel.sh"


@dataclasses.dataclass(frozen=True)
class DebugKernel:
    """As kernels.Kernel."""

    directory: pathlib.Path
    name: str = NAME

    @property
    def slower(self):
        """How much longer a scenario may take, by vendor."""
        return {"intel": 10} if self.name != NAME else {}

    def machine(self, wanted):
        """A machine for this kernel, that has what is wanted of it."""
        cmdline = f"{wanted.cmdline} {_CMDLINE.get(self.name, '')}".strip()
        if self.name == "kcsan":
            cmdline += f" {_KCSAN}"
        if self.name != NAME and "kmemleak" not in cmdline:
            cmdline = f"{cmdline} {_NO_LEAKS}"
        return dataclasses.replace(
            wanted, cmdline=cmdline, cpus=max(wanted.cpus, 2 if self.name == "kcsan" else 1),
            memory_mb=max(wanted.memory_mb, _MEMORY_MB.get(self.name, 0)))

    @property
    def release(self):
        """What uname -r says there."""
        return self.modules.name

    @property
    def vmlinuz(self):
        """The kernel to boot."""
        return self.directory / "bzImage"

    @property
    def modules(self):
        """The directory with modules.dep."""
        return next((self.directory / "root/lib/modules").iterdir())

    @property
    def kdir(self):
        """What external modules are built with."""
        return self.directory

    @staticmethod
    def run(argv, cwd=None, env=None, timeout=None, capture=True):
        """Run a command on this machine, whose compiler built the kernel."""
        assert env is None
        return subprocess.run(
            argv, cwd=cwd, timeout=timeout, check=False, text=True,
            stdout=subprocess.PIPE if capture else None,
            stderr=subprocess.STDOUT if capture else None)


def get(name=NAME):
    """Build it, if it is not built, and return it."""
    built = subprocess.run([str(_BUILDER), name], stdout=subprocess.PIPE, text=True,
                           check=False)
    if built.returncode:
        raise RuntimeError(f"the {name} kernel was not built")
    return DebugKernel(pathlib.Path(built.stdout.strip().split("\n")[-1]), name)
