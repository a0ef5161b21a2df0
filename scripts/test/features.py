# SPDX-License-Identifier: GPL-2.0
"""What KVM has on each kernel, and so what kvmmem must show there.

The one place that knows. Suites compare it with what kvmmem says, and
Documentation/kernels.rst is made from it and from what the suites saw.
"""

import re

# The system tests: those of make check, and of make matrix on every kernel.
SUITES = ("faults", "life", "input", "tlb", "nested", "backing", "memory", "total", "dirty",
          "inval", "tenant", "large", "rights", "tool", "export", "time", "perf", "pmu", "translate",
          "compat")

KERNELS = ("5.10", "6.1", "6.12", "7.3")

# Kernels whose modules have no BTF: prototypes are known by version there.
WITHOUT_BTF = ("5.10",)

ATTACHED = ("attached", None)
ABSENT = ("absent", "not-in-this-kernel")
UNCHECKED = ("attached", "prototype-unchecked")
# Of what nobody asks for by default, or what the suites switch off.
OFF = ("off", "by-parameter")

_PROTOTYPES = {
    "kvm_page_fault": {"5.10": "(u64,u32)", "": "(kvm_vcpu*,u64,u64)"},
    "kvm_entry": {"5.10": "(kvm_vcpu*)", "": "(kvm_vcpu*,bool)"},
    "kvm_exit": {"5.10": "(u32,kvm_vcpu*,u32)", "": "(kvm_vcpu*,u32)"},
    "kvm_pv_tlb_flush": {"": "(u32,bool)"},
    "kvm_fast_mmio": {"": "(u64)"},
    "kvm_nested_vmexit_inject": {"7.3": "(u64,u64,u64,u32,u32,u32)",
                                 "": "(u32,u64,u64,u32,u32,u32)"},
    "check_mmio_spte": {"": "(u64,u32,u32)"},
    "mark_mmio_spte": {"": "(u64*,u64,u64)"},
    "kvm_mmu_split_huge_page": {"": "(u64,u64,s32,s32)"},
    "kvm_dirty_ring_exit": {"": "(kvm_vcpu*)"},
    "kvm_pml_full": {"": "(u32)"},
}


def prototype(kernel, tracepoint):
    """A tracepoint's prototype as kvmmem can see it: None without BTF."""
    if kernel in WITHOUT_BTF:
        return None
    known = _PROTOTYPES[tracepoint]
    return known.get(kernel, known[""])


def hooks(kernel, vendor):
    """(state, why_not) of each hook by name, None for "-"."""
    tracepoint = UNCHECKED if kernel in WITHOUT_BTF else ATTACHED
    create = "prepare_memory_region" if kernel == "5.10" else "create_vm_debugfs"
    wanted = {"kvm_arch_destroy_vm": ATTACHED,
              "kvm_arch_" + create: ATTACHED,
              "kvm_arch_vcpu_postcreate": ATTACHED,
              "kvm_arch_vcpu_destroy": ATTACHED,
              "kvm_arch_commit_memory_region": ATTACHED,
              "kvm_mmu_notifier_invalidate_range_start": ATTACHED,
              "kvm_page_fault": tracepoint,
              "kvm_pv_tlb_flush": tracepoint,
              "kvm_fast_mmio": tracepoint,
              "kvm_nested_vmexit_inject": tracepoint,
              "kvm_tdp_mmu_spte_changed": OFF,
              "kvm_sched_out": OFF,
              "kvm_sched_in": OFF,
              "kvm_async_pf_not_present": OFF,
              "kvm_async_pf_ready": OFF,
              "kvm_arch_commit_memory_region": ATTACHED,
              "kvm_mmu_split_huge_page": ABSENT if kernel == "5.10" else ATTACHED,
              "kvm_dirty_ring_exit": ABSENT if kernel == "5.10" else ATTACHED,
              "kvm_pml_full": tracepoint,
              "kvm_exit" if vendor == "amd" else "kvm_entry": tracepoint,
              "kvm_entry" if vendor == "amd" else "kvm_exit": OFF}
    if kernel == "5.10":
        wanted["kvm_flush_remote_tlbs"] = ATTACHED
    if kernel != "5.10":
        wanted.update(check_mmio_spte=tracepoint, mark_mmio_spte=tracepoint)
    if vendor == "intel":
        wanted["x86_emulate_instruction"] = ATTACHED
        wanted.update({f"vmx_flush_tlb_{kind}": ATTACHED
                       for kind in ("all", "current", "guest")})
        return wanted
    there = {"5.10": ("",), "7.3": ("_all", "_current", "_guest", "_asid")}
    for kind in ("", "_all", "_current", "_guest", "_asid"):
        is_there = kind in there.get(kernel, ("_all", "_current", "_asid"))
        wanted["svm_flush_tlb" + kind] = ATTACHED if is_there else ABSENT
    return wanted


def witnesses(kernel, _vendor, shadow):
    """Counters that KVM keeps, too."""
    faults = ["shadow" if shadow else "ept_violations"] if kernel != "5.10" else []
    return faults + ["flushes"]


def unknown(_kernel, _vendor):
    """Columns of fault, flush and vpid rows that cannot be told there, with EPT or NPT."""
    return set()


def mappings_are_told(release):
    """Does KVM tell the sizes of its mappings, by a count, its tables and an event?"""
    return not release.startswith("5.10.")


def guest_memfd_is_told(release):
    """Can a slot have a guest_memfd in this kernel's configuration?"""
    return release.split(".")[0] == "7"


def invpcid_is_counted(release):
    """Does KVM count the flush for an INVPCID of all contexts under shadow paging?"""
    return not release.startswith("5.10.")


def pge_is_counted(release):
    """Does KVM count the flush for a change of CR4.PGE? 5.10 flushes without counting."""
    return not release.startswith("5.10.")


def sregs_are_flushed(release):
    """Does KVM flush when user space sets a vCPU's special registers?"""
    return tuple(map(int, release.split(".")[:2])) >= (6, 2)


def ranges_are_queued(release):
    """Does KVM keep lists of the ranges that Hyper-V guests want to be flushed?"""
    return tuple(map(int, release.split(".")[:2])) >= (6, 2)


def ranges_are_flushed(release, amd):
    """Does it flush them alone, and not all there is? 7.x does not trust INVLPGA."""
    return ranges_are_queued(release) and not (amd and int(release.split(".", maxsplit=1)[0]) >= 7)


# What a scenario may be left out for, and where it would be possible: a scenario
# that does not run although its feature is there hides something, and fails.
_LACKING = {
    "btf": ("the modules of this kernel have no BTF",
            lambda kernel, vendor: kernel not in WITHOUT_BTF),
    "disks": ("the emulator has no further disks here; swapped_brd swaps to memory",
              lambda kernel, vendor: vendor == "amd"),
    "no-disks": ("swapped has a disk to swap to", lambda kernel, vendor: vendor == "intel"),
    "icount": ("the emulator's clock counts no instructions",
               lambda kernel, vendor: vendor == "amd"),
    "vmcs": ("the processor has no VMCS", lambda kernel, vendor: vendor == "intel"),
    "nodes": ("the emulator has one NUMA node", lambda kernel, vendor: vendor == "amd"),
    "five-levels": ("the emulated processor has four levels of tables only",
                    lambda kernel, vendor: vendor == "amd"),
    "tdp-mmu": ("the older MMU is the only one there", lambda kernel, vendor: kernel != "5.10"),
    "collapse": ("there is no MADV_COLLAPSE", lambda kernel, vendor: kernel != "5.10"),
    "large-slots": ("KVM keeps 8 bytes for each page of a slot there",
                    lambda kernel, vendor: kernel != "5.10"),
    "many-slots": ("a VM has 509 slots at most there", lambda kernel, vendor: kernel != "5.10"),
    "many-vcpus": ("a VM has 288 vCPUs at most there", lambda kernel, vendor: kernel != "5.10"),
    "moves": ("nothing that copies a page can be held up there, or there is one node",
              lambda kernel, vendor: kernel != "5.10" and vendor == "amd"),
    "failures": ("pages do not fail there", lambda kernel, vendor: kernel in ("6.12", "7.3")),
    "kept-cr3": ("nothing is kept of the registers of a vCPU that never ran",
                 lambda kernel, vendor: vendor == "amd"),
    "memfd": ("no slot can have a guest_memfd there", lambda kernel, vendor: kernel == "7.3"),
    "prefault": ("KVM cannot be asked to map memory there",
                 lambda kernel, vendor: kernel in ("6.12", "7.3")),
    "giga": ("the emulated Intel processor has no pages of 1G, and one kernel shows them",
             lambda kernel, vendor: vendor == "amd" and kernel == "6.1"),
    "giga-logged": ("the emulated Intel processor has no pages of 1G, and two kernels show them",
                    lambda kernel, vendor: vendor == "amd" and kernel in ("6.1", "6.12")),
    "stale": ("nothing tells there of an entry that is too old",
              lambda kernel, vendor: kernel != "5.10"),
    "splits": ("it does not count huge mappings", lambda kernel, vendor: kernel != "5.10"),
    "ring": ("there is no dirty ring", lambda kernel, vendor: kernel != "5.10"),
    "no-icount": ("time_witness_huge has a clock that counts instructions",
                  lambda kernel, vendor: vendor == "intel"),
    "ftrace-off": ("ftrace cannot be switched off there", lambda kernel, vendor: kernel != "7.3"),
    "invpcid": ("the emulated processor has no INVPCID",
                lambda kernel, vendor: vendor == "intel"),
    "no-invpcid": ("the emulated processor has INVPCID",
                   lambda kernel, vendor: vendor == "amd"),
}
# One, or several in the order in which they are asked for.
_NEEDS = {
    "compat_wrong_prototype": "btf",
    "compat_wrong_time": "btf",
    "compat_unreadable_btf": "btf",
    "invpcid": "invpcid",
    "tlb_invpcid": "invpcid",
    "tlb_vmcs": "vmcs",
    "numa_two_nodes": "nodes",
    "inval_mbind": "nodes",
    "inval_migrate_pages": "nodes",
    "inval_numa": "nodes",
    "inval_collapse": "collapse",
    "inval_slots": "many-slots",
    "large_churn": "many-slots icount",
    "tenant_wide": "many-vcpus",
    "dirty_logs": "large-slots icount",
    "inval_cost": "icount",
    "large_files": "icount",
    "large_files_all": "many-vcpus icount",
    "large_sharers": "icount",
    "large_slots": "icount",
    "large_first": "many-slots icount",
    "large_readers": "many-slots icount",
    "large_refused": "icount",
    "tool_waiting": "icount",
    "time_witness": "no-icount",
    "faults_plugged": "stale",
    "dirty_beside": "splits",
    "dirty_giga": "giga-logged",
    "dirty_giga_beside": "giga-logged",
    "dirty_giga_eager": "giga-logged",
    "dirty_giga_flows": "giga-logged",
    "dirty_giga_flows_eager": "giga-logged",
    "dirty_huge": "splits",
    "dirty_huge_eager": "splits",
    "dirty_huge_initially_set": "splits",
    "dirty_ring": "ring",
    "time_witness_huge": "icount",
    "tool_storms": "nodes",
    "translate_giga": "giga",
    "translate_moving": "moves",
    "translate_failed": "failures",
    "translate_poison": "failures",
    "translate_poison_align": "failures",
    "translate_still": "kept-cr3",
    "tenant_ftrace": "ftrace-off",
    "tlb_late": "ftrace-off",
    "four_levels": "five-levels",
    "tdp_mmu_off": "tdp-mmu",
    "flows_switched": "splits",
    "flows_busy": "splits",
    "flows_joined": "splits",
    "flows_unheard": "tdp-mmu",
    "guest_memfd": "memfd",
    "prefaulted": "prefault",
    "swapped": "disks",
    "swapped_shmem": "disks",
    "swapped_brd": "no-disks",
    "cost": "icount",
    "cost_of_nothing": "icount",
    "invpcid_lacking": "no-invpcid",
}


# What has nothing of the processor in it, and takes long: make check runs it on the AMD
# host alone (run.py --once), the matrix on both.
ONCE = ("block_device", "churn", "export", "flows_busy", "flows_dropped", "flows_joined",
        "inval_ends", "input_parameters", "input_reads", "input_rights", "life_many_vms",
        "not_stuck_busy", "perf_lockdown", "perf_rmmod", "perf_trace_cmd", "pmu_list",
        "pmu_refused", "rights_capabilities", "rights_lockdown", "rights_namespace",
        "tenant_births", "tenant_dying", "tenant_wide", "tlb_late", "tool", "total_ended",
        "total_grows", "translate_fuzz", "walks_waiting")


# The same for whole suites: of interfaces, of tenants, of who takes memory away; but for
# these, in which the processor has a part.
ONCE_SUITES = ("input", "tenant", "rights", "tool", "export", "perf", "pmu", "inval")
ONCE_BUT = ("inval_together", "inval_refault", "pmu_stat", "tenant_users")


def once(suite, scenario):
    """Does make check run it on one vendor's host alone?"""
    return scenario in ONCE or (suite in ONCE_SUITES and scenario not in ONCE_BUT)


# What kernels that look for mistakes (scripts/lab/debugkernel.py) cannot be asked: a
# scenario's name, or what its script does.
_SLAB = "freed objects are held back, so that their use is seen; storms look at caches"
_COST = "the instructions of checkers are counted, too"
_DEVMEM = "it has no /dev/mem"
_LESS = "it has no memory cgroups, userfaultfd, soft-dirty bits and NUMA balancing"
_NO_CHIPS = "its KVM is built without interrupt controllers"
_SLOW = "what has to be done within seconds is not there"
_STAYS = "KVM is part of the kernel, and stays as it was started"
_DEBIAN = "it is shown on Debian's kernels alone"
_CHECKING = ("debug", "kasan", "kcsan", "builtin", "newest")
_UNFIT = (
    (("kasan", "builtin", "newest"), r"life_many_vms", r"", _SLAB),
    (_CHECKING, r"(inval_)?cost(_of_nothing)?", r"", _COST),
    (("debug",), r"inval_(memcg|uffd|clear_refs|numa|together)", r"", _LESS),
    (_CHECKING, r"large_(churn|files_all|first|refused)|dirty_logs", r"", _COST),
    (_CHECKING, r"tenant_traced", r"", "it has no RCU Tasks Trace"),
    (_CHECKING, r"pmu_cgroup", r"", "perf has no control groups there"),
    (("kcsan",), r"large_(files|sharers|slots)", r"", _COST),
    (("debug", "kcsan", "builtin", "newest"), r"large_readers", r"", _COST),
    (_CHECKING, r"compat_(wrong_\w+|unreadable_btf)|dirty_giga_?(flows_)?eager|translate_giga|"
     r"translate_(failed|poison(_align)?)|inval_collapse", r"", _DEBIAN),
    (("debug", "kasan", "kcsan", "newest"), r"dirty_giga(_beside|_flows)?", r"", _DEBIAN),
    (("debug", "kcsan", "builtin", "newest"), r"translate_moving", r"", _DEBIAN),
    (("debug", "kasan", "kcsan", "builtin"), r"prefaulted", r"",
     "KVM cannot be asked to map memory there"),
    (("debug", "kasan", "kcsan", "builtin"), r"guest_memfd", r"",
     "no slot can have a guest_memfd there"),
    (("newest",), r"tenant_ftrace|tlb_late", r"", "ftrace cannot be switched off there"),
    (_CHECKING, r"device", r"", _DEVMEM),
    (_CHECKING, r"(rights|perf)_lockdown", r"", "it has no LSM lockdown"),
    (("kcsan",), r"inval_refault(_scattered)?|time_async|time_in_user_and_asleep|export", r"", _SLOW),
    (("newest",), r"time_async|not_stuck_reset", r"", _NO_CHIPS),
    (("builtin",), r".*", r"unload_kvm\b|load_kvm_shadow|load_kvm [\w.]+=|storm reload", _STAYS),
)


def unfit(scenario, kernel):
    """Why a scenario says nothing on a kernel; None where it does."""
    for kernels, name, script, reason in _UNFIT:
        if kernel in kernels and re.fullmatch(name, scenario.name) and \
                re.search(script, scenario.script):
            return reason
    return None


def skip(scenario, kernel, vendor):
    """(reason, excuse): why a scenario does not run there, and if that is right."""
    needs = _NEEDS.get(scenario)
    if needs is None:
        return "no reason is given in features.py", False
    for reason, possible in (_LACKING[need] for need in needs.split()):
        if not possible(kernel, vendor):
            return reason, True
    return f"it is left out although it could run: not '{reason}'", False
