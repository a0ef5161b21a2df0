# SPDX-License-Identifier: GPL-2.0
"""Emulated machines: QEMU for AMD's SVM, Bochs for Intel's VMX.

Both boot a kernel with an initramfs and leave the serial console in a file.
A run is bounded in time, opens no socket, and ends with its process gone.
"""

import contextlib
import ctypes
import dataclasses
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import bochs
import image

# Clearing all memory that is allocated takes a tenth of the time; and QEMU stores
# bytes one by one where a processor has fast byte stores. What is measured in
# instructions is measured as Debian has it.
# Caches that look alike are not merged, so that slabinfo tells of kvmmem's.
_UNCLEARED = "init_on_alloc=0 slab_nomerge"
_FAST = "max,erms=off"
_COMMON = "quiet mitigations=off nokaslr panic=-1"
# The latter two save half of the time that Bochs takes to boot. A processor that
# idles in MWAIT misses a write to what it monitors now and then, and sleeps on.
_BOCHS = ("console=ttyS0,115200 tsc=reliable nowatchdog rcupdate.rcu_expedited=1 idle=halt "
          "random.trust_cpu=on cryptomgr.notests "
          "initcall_blacklist=load_system_certificate_list,cubictcp_register")

_DEATH = re.compile(r"Kernel panic - not syncing|---\[ end Kernel panic")
_GRACE = 2.0                            # for the last words after a panic
_POLL = 0.02
_DISK_MB = 64


@dataclasses.dataclass(frozen=True)
class Machine:
    """What is emulated. Equal machines can share a boot."""

    vendor: str = "amd"                 # amd or intel
    cpus: int = 1
    memory_mb: int = 512
    cmdline: str = ""                   # added to the kernel's command line
    icount: bool = False                # amd: the clock counts instructions
    model: str = ""                     # of the processor; "" is the usual one
    nodes: int = 1                      # amd: NUMA nodes that share processors and memory


@dataclasses.dataclass
class Outcome:
    """How a run ended: ok, died, timeout or silent, and what it had printed."""

    how: str
    console: str
    seconds: float
    note: str = ""                      # what the emulator itself said


def _qemu(machine, kernel, archive, scratch):
    (scratch / "initrd").write_bytes(archive)
    clock = "tsc=reliable" if machine.icount else _UNCLEARED
    argv = ["qemu-system-x86_64", "-accel", "tcg,thread=single",
            "-cpu", machine.model or ("max" if machine.icount else _FAST), "-machine", "q35",
            "-smp", f"{machine.cpus},sockets={machine.nodes}", "-m", str(machine.memory_mb),
            "-nodefaults", "-display", "none", "-monitor", "none", "-no-reboot",
            "-serial", f"file:{scratch / 'console'}",
            "-kernel", str(kernel.vmlinuz), "-initrd", str(scratch / "initrd"),
            "-append", f"console=ttyS0 {_COMMON} {clock} {machine.cmdline}"]
    if machine.icount:
        argv += ["-icount", "shift=0,sleep=off"]
    for node in range(machine.nodes if machine.nodes > 1 else 0):
        size, share = machine.memory_mb // machine.nodes, machine.cpus // machine.nodes
        argv += ["-object", f"memory-backend-ram,id=node{node},size={size}M",
                 "-numa", f"node,nodeid={node},memdev=node{node},"
                 f"cpus={node * share}-{(node + 1) * share - 1}"]
    with (scratch / "disk").open("wb") as file:         # to swap to
        file.truncate(_DISK_MB << 20)
    argv += ["-drive", f"file={scratch / 'disk'},format=raw,if=virtio,cache=unsafe"]
    return argv


def _bochs(machine, kernel, archive, scratch):
    if machine.icount:
        raise ValueError("Bochs has no icount")
    if machine.nodes > 1:
        raise ValueError("Bochs has no NUMA nodes")
    image.write_iso(scratch / "cd.iso", kernel, archive,
                    f"{_BOCHS} {_COMMON} {_UNCLEARED} {machine.cmdline}")
    (scratch / "go").write_text("c\n")
    fast = bochs.program()
    (scratch / "bochsrc").write_text(f"""\
display_library: {"nogui" if fast else "term"}
cpu: model={machine.model or "broadwell_ult"}, count={machine.cpus}, ips=50000000, \
reset_on_triple_fault=0, ignore_bad_msrs=1
memory: guest={machine.memory_mb}, host={machine.memory_mb}
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0: enabled=1
ata0-master: type=cdrom, path={scratch / "cd.iso"}, status=inserted
boot: cdrom
clock: sync=none, time0=local
com1: enabled=1, mode=file, dev={scratch / "console"}
log: {scratch / "bochs.log"}
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
speaker: enabled=0
""")
    if fast:
        return [str(fast), "-q", "-f", str(scratch / "bochsrc")]
    # Debian's has a debugger, which is told to go on, and no display that needs
    # neither a terminal nor a port.
    command = f"exec bochs -q -f {scratch / 'bochsrc'} -rc {scratch / 'go'}"
    return ["script", "-qefc", command, "/dev/null"]


def _read(path, state):
    """Append what is new in the console file to the text read so far."""
    try:
        with path.open("rb") as file:
            file.seek(state["offset"])
            data = file.read()
    except FileNotFoundError:
        return False
    if not data:
        return False
    data = data.removesuffix(b"\r")     # its newline is still to come
    state["offset"] += len(data)
    state["text"] += data.decode("utf-8", "replace").replace("\r\n", "\n")
    return True


def die_with_parent():
    """In the child: be killed if whoever runs the emulator is."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)      # PR_SET_PDEATHSIG


def _stop(process):
    """End the emulator and its helpers: its own process group, nothing else."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run(machine, kernel, archive, progress, boot_limit, keep=None):
    """Boot and follow the console until the machine is off.

    progress(text) is called when there is new text, with all of it; it
    returns the seconds granted from now on, or None to leave the deadline.
    """
    start = time.monotonic()
    deadline = start + boot_limit
    with tempfile.TemporaryDirectory(prefix="kvmmem-host-") as directory:
        scratch = pathlib.Path(directory)
        build = _bochs if machine.vendor == "intel" else _qemu
        argv = build(machine, kernel, archive, scratch)
        console = scratch / "console"
        state = {"offset": 0, "text": ""}
        how = None
        with (scratch / "said").open("wb") as said:
            try:
                process = subprocess.Popen(
                    argv, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                    start_new_session=True, preexec_fn=die_with_parent,
                    env={**os.environ, "TERM": "xterm", "LINES": "25", "COLUMNS": "80"})
            except FileNotFoundError as error:
                raise image.ImageError(
                    f"{argv[0]} is not installed: run scripts/lab/deps.sh") from error
            try:
                while how is None:
                    over = process.poll() is not None
                    if _read(console, state):
                        granted = progress(state["text"])
                        if granted is not None:
                            deadline = time.monotonic() + granted
                        if _DEATH.search(state["text"]):
                            deadline = min(deadline, time.monotonic() + _GRACE)
                    elif over:
                        how = "ok" if state["text"] else "silent"
                    elif time.monotonic() > deadline:
                        how = "timeout" if state["text"] else "silent"
                    else:
                        time.sleep(_POLL)
            finally:
                _stop(process)
        if _DEATH.search(state["text"]):
            how = "died"
        note = (scratch / "said").read_text(errors="replace")[-2000:]
        if machine.vendor == "intel":
            log = scratch / "bochs.log"
            note = log.read_text(errors="replace")[-2000:] if log.exists() else note
        if keep:
            shutil.copytree(scratch, keep, dirs_exist_ok=True)
        return Outcome(how, state["text"], time.monotonic() - start, note)
