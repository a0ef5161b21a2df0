#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Readers under AppArmor, in an emulated host with the kernel that is installed.

    confined.py FILE        the profiles, as the kernel takes them
"""

import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))

# pylint: disable=wrong-import-position,import-error
import host
import kernels
import kmod

SCRIPT = """
load_kvm
load_kvmmem
[ -e /sys/kernel/security/lsm ] || mount -t securityfs securityfs /sys/kernel/security
cat /lab/policy >/sys/kernel/security/apparmor/.load
as() {
    local profile=$1
    shift
    sh -c "printf 'exec $profile' >/proc/self/attr/exec; exec $*" || echo "status $?"
}
section free cat /proc/kvmmem
section reader as reader cat /proc/kvmmem
section hooks as reader cat /sys/kernel/debug/kvmmem/hooks
section other as reader cat /proc/modules
section file-only as file-only cat /proc/kvmmem
section without as without cat /proc/kvmmem
"""


def facts(text):
    """What it says of the host; what was free at that moment left out."""
    return [line for line in text.splitlines()
            if line.startswith("host") and "available" not in line]


def main(policy):
    """Print a line a check."""
    def prepare(image, kernel, vendor):
        kmod.prepare(image, kernel, vendor)
        image.add_file(pathlib.Path(policy), "lab/policy")

    kernel = kernels.get("installed")
    scenario = host.Scenario("confined", SCRIPT, limit=100, host={"cmdline": "lsm=apparmor"})
    result, = host.Host(host.Machine("amd"), kernel, prepare=[prepare]).run([scenario])
    out = host.Output(result.output)
    denied = "Permission denied"
    checks = (
        ("the emulated host", result.ok),
        ("who is not confined reads it", len(facts(out["free"])) > 10),
        ("a reader with our rules reads the same", facts(out["reader"]) == facts(out["free"])),
        ("... and hooks", "kvm_page_fault" in out["hooks"]),
        ("... and nothing else", denied in out["other"]),
        ("one without the capability reads nothing", denied in out["file-only"]),
        ("one without the file reads nothing", denied in out["without"]))
    for name, passed in checks:
        print("ok" if passed else "FAIL", name)
    if not all(passed for _, passed in checks):
        print(result.reason, result.output, result.log, result.tail, sep="\n")
    print(f"# kernel {kernel.release}")


if __name__ == "__main__":
    main(sys.argv[1])
