# SPDX-License-Identifier: GPL-2.0
"""Inside the emulated host: what one reading by the kernel's kvm_stat costs."""

import importlib.machinery
import importlib.util
import sys
import time

sys.dont_write_bytecode = True


def main():
    """Read once to warm up, and once to measure."""
    loader = importlib.machinery.SourceFileLoader("kvm_stat", "/bench/kvm_stat")
    spec = importlib.util.spec_from_loader("kvm_stat", loader)
    kvm_stat = importlib.util.module_from_spec(spec)
    loader.exec_module(kvm_stat)
    sys.argv = ["kvm_stat", "-1", "-d"]
    kvm_stat.assign_globals()
    stats = kvm_stat.Stats(kvm_stat.get_options())
    stats.get()
    start = time.monotonic_ns()
    stats.get()
    print(f"ns={time.monotonic_ns() - start}")


main()
