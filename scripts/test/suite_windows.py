# SPDX-License-Identifier: GPL-2.0
"""Somebody comes between two steps of kvmmem's, each time.

kvmmem is built with windows.h, which holds those moments open.
"""

import hashlib
import pathlib

import image as images
import kmod
from host import Scenario
from suite_lab import equal

HERE = pathlib.Path(__file__).resolve().parent
HEADER = HERE / "windows.h"
TIMES = 20


def prepare(image, kernel, vendor):
    """The module with its windows open in place of the plain one."""
    kmod.prepare(image, kernel, vendor)
    digest = hashlib.sha256(HEADER.read_bytes()).hexdigest()[:8]
    built = kmod.build(kernel, f"KCFLAGS=-include {HEADER} -DWINDOWS={digest}")
    image.add_file(built / "kvmmem.ko", "lab/kvmmem.ko")
    image.add("lab/bin/bornguest",
              images.helper_program(HERE / "host/bornguest.c").read_bytes(), 0o755)


def check_born(out):
    """All were born, and each was asked about meanwhile."""
    found = out.values("born")
    equal("VMs", found["born"], TIMES)
    assert found["asked"] > 10 * TIMES, found


SCENARIOS = [
    # A walk finds no vCPU, then that there is one.
    Scenario("window_first_vcpu", f"""
load_kvm; load_kvmmem
section born bornguest {TIMES}
unload_kvmmem
""", check_born, limit=60, host={"cpus": 2, "cmdline": "oops=panic"}),
]
