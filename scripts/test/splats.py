#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What in a kernel's log makes a scenario fail, on samples; the last line says how many
were judged as they should be.
"""

import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lab"))

import host     # pylint: disable=wrong-import-position

BAR = "=" * 66
RACE = f"""{BAR}
BUG: KCSAN: data-race in {{0}} / {{0}}
read to 0xffff888001 of 8 bytes by task 77 on cpu 1:
 {{0}}+0x12/0x40{{1}}
{{2}}value changed: 0x1 -> 0x2
{BAR}
"""
NONE = ("", "kvm: loaded\n", RACE.format("tick_do_update", "", ""),
        RACE.format("ktime_get_mono_fast_ns / timekeeping_update", " [kvmmem]", ""),
        # An interrupt's work is not that of whom it interrupted.
        RACE.format("tick_do_update", "\n asm_sysvec_apic_timer_interrupt+0x1a/0x20\n"
                    " kvmmem_tlb_flushed+0x10/0x90 [kvmmem]", ""))
SOME = ("BUG: KASAN: slab-use-after-free in kvmmem_vm_put+0x1/0x2 [kvmmem]",
        "WARNING: possible circular locking dependency detected",
        "WARNING: CPU: 1 PID: 7 at kernel/rcu/tree.c:1 rcu_y+0x1/0x2",
        "BUG: sleeping function called from invalid context at mm/x.c:1",
        "UBSAN: array-index-out-of-bounds in kmod/count/tlb.c:1:2",
        "INFO: task cat:77 blocked for more than 120 seconds.",
        "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks: rcu stall",
        "unreferenced object 0xffff888001 (size 64):",
        "refcount_t: underflow; use-after-free.",
        "Oops: general protection fault, probably for non-canonical address",
        "debugfs: Directory '12-3' with parent 'vms' already present!",
        RACE.format("kvmmem_tlb_flushed", " [kvmmem]", ""),
        # Of somebody else's race, while another processor says something.
        RACE.format("tick_do_update", "", "WARNING: CPU: 0 at x.c:1\nCall Trace:\n"))


def main():
    """Judge all."""
    wrong = [text for text in NONE if host.splat(text)] + \
            [text for text in SOME if not host.splat("something before\n" + text + "\n")]
    for text in wrong:
        print(f"FAIL splats: {text!r}")
    print(f"{len(NONE) + len(SOME) - len(wrong)} passed, {len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
