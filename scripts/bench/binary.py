# SPDX-License-Identifier: GPL-2.0
"""What can be read off kvmmem.ko: no atomic operation, no division, no VMREAD on the
common path, the layout."""

import re
import subprocess

import image

# Every function on the way of an exit, but for the first one of a vCPU.
_PATHS = re.compile(r"fault_(vmx|svm)_probe(_old)?|count_special"
                    r"|(entry|exit)_(vmx|svm)_probe(_old)?"
                    r"|kvmmem_latency_served|kvmmem_tlb_resync|change_tag|track|flushed")
# What an exit passes that nothing has changed since the one before.
_STRAIGHT = re.compile(r"fault_vmx_probe(_old)?|(entry|exit)_vmx_probe(_old)?")
_BAD = re.compile(r"\tlock |\txchg\s.*\(|\txadd|\tcmpxchg|\ti?div|\tmfence")
# Another hypervisor below has to serve it.
_DEAR = re.compile(r"\tvmread")


def _command(*argv):
    done = subprocess.run(argv, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise image.ImageError(f"{' '.join(map(str, argv))}: {done.stdout.strip()}")
    return done.stdout


def probes(module):
    """{function: (instructions, [atomic, dividing or dear instructions])}."""
    found, name = {}, None
    for line in _command("objdump", "-d", "--no-show-raw-insn", module).splitlines():
        start = re.match(r"[0-9a-f]+ <(\w+)(?:\.[\w.]+)?>:", line)
        if start:
            name = start[1] if _PATHS.fullmatch(start[1]) else None
            if name:
                found[name] = (0, [])
        elif name and re.match(r"\s+[0-9a-f]+:\t", line):
            count, bad = found[name]
            is_bad = _BAD.search(line) or (_STRAIGHT.fullmatch(name) and _DEAR.search(line))
            found[name] = (count + 1, bad + [line.strip()] * bool(is_bad))
    return found


def layout(module):
    """{member: (offset, size)} of struct kvmmem_vcpu, {} without pahole or debug info."""
    try:
        text = _command("pahole", "-C", "kvmmem_vcpu", str(module))
    except (OSError, image.ImageError):
        return {}
    return {name: (int(offset), int(size)) for name, offset, size in re.findall(
        r"(\w+)(?:\[\d+\])*(?: __attribute__\S+)?;\s*/\*\s*(\d+)\s+(\d+) \*/", text)}


# Others' probes walk hash chains and read these; a vCPU's own write the rest.
_SHARED = ("node", "vcpu", "vm", "sibling", "id")
_WRITTEN = ("begun", "fault", "now", "seen", "exit_tsc", "fault_tsc", "hflags", "tags", "served")


def shared_lines(members):
    """Members written in the fault path on a cache line that others read."""
    lines = {members[name][0] // 64 for name in _SHARED if name in members}
    lines |= {(sum(members[name]) - 1) // 64 for name in _SHARED if name in members}
    return [name for name in _WRITTEN if name in members and members[name][0] // 64 in lines]
