# SPDX-License-Identifier: GPL-2.0
"""The kernel with KUnit, lockdep and fault injection, as one more kernel."""

import dataclasses
import pathlib
import subprocess

NAME = "debug"
_BUILDER = pathlib.Path(__file__).resolve().parents[1] / "kunit/kernel.sh"


@dataclasses.dataclass(frozen=True)
class DebugKernel:
    """As kernels.Kernel, of scripts/kunit/kernel.sh."""

    directory: pathlib.Path

    name = NAME

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


def get():
    """Build it, if it is not built, and return it."""
    built = subprocess.run([str(_BUILDER)], stdout=subprocess.PIPE, text=True, check=False)
    if built.returncode:
        raise RuntimeError("the debug kernel was not built")
    return DebugKernel(pathlib.Path(built.stdout.strip().split("\n")[-1]))
