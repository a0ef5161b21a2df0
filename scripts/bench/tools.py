# SPDX-License-Identifier: GPL-2.0
"""What is measured: kvmmem's configurations and its peers."""

import dataclasses

_TRACING = "/sys/kernel/tracing/events/kvm/kvm_page_fault/trigger"
_LATENCY = ("tracepoint:kvm:kvm_exit { @t[tid] = nsecs; } "
            "tracepoint:kvm:kvm_page_fault { @f[tid] = 1; } "
            "tracepoint:kvm:kvm_entry /@f[tid]/ "
            "{ @ns = hist(nsecs - @t[tid]); delete(@f[tid]); }")


@dataclasses.dataclass(frozen=True)
class Tool:
    """One row of the table."""

    name: str
    title: str
    before: str = ":"                   # commands in the emulated host
    wrap: str = ""                      # what the measurement is run by
    after: str = ":"
    peer: bool = False                  # left out by --quick
    programs: tuple = ()                # of this machine

    def script(self, vcpus=""):
        """Commands that measure it once."""
        run = f"{self.wrap} measure {self.name} {vcpus}".strip()
        if self.name.startswith("bpftrace"):
            # It starts ELF programs only.
            run = f"{self.wrap} -c '/bin/busybox sh /lab/bin/measure {self.name}'"
        failed = f"{{ echo 'failed: {self.name}'; tail -5 /tmp/said; }}"
        return (f"{self.before}\n: >/tmp/cells\n{run} >/tmp/said 2>&1 || {failed}\n"
                f"{self.after}\ncat /tmp/cells\nrm -f /tmp/out*\n")


def _kvmmem(name, title, parameters):
    return Tool(name, title, f"load_kvmmem {parameters}", after="unload_kvmmem")


def _peer(name, title, wrap="", program="", **more):
    return Tool(name, title, wrap=wrap, peer=True, programs=(program,) * bool(program), **more)


def _own(name, title, wrap, program):
    """kvmmem's own events; what kvmmem itself takes is in the figure."""
    return _peer(name, f"kvmmem and {title}", wrap, program,
                 before="load_kvmmem", after="unload_kvmmem")


TOOLS = (
    Tool("none", "no tool"),
    Tool("unloaded", "no tool, kvmmem loaded and removed before",
         "load_kvmmem; unload_kvmmem"),
    Tool("empty", "empty probe on kvm_page_fault", "insmod /lab/empty.ko",
         after="rmmod empty"),
    Tool("empty3", "empty probes on kvm_page_fault, kvm_entry, kvm_exit",
         "insmod /lab/empty.ko events=kvm_page_fault,kvm_entry,kvm_exit",
         after="rmmod empty"),
    _kvmmem("count", "kvmmem, count only", "flush_accounting=0 service_time=0"),
    _kvmmem("flush", "kvmmem, + flush accounting", "service_time=0"),
    _kvmmem("time", "kvmmem, + service time", "flush_accounting=0"),
    _kvmmem("all", "kvmmem, everything", ""),
    Tool("blind", "kvmmem, everything, built without events and PMU",
         "insmod /lab/blind.ko", after="unload_kvmmem"),
    _peer("perf-stat", "perf stat -a -e kvm:kvm_page_fault",
          "perf stat -o /tmp/out -a -e kvm:kvm_page_fault", "perf"),
    _peer("perf-record", "perf record -a -e kvm:kvm_page_fault",
          "perf record -B -N -o /tmp/out -a -e kvm:kvm_page_fault", "perf"),
    _own("own-stat", "perf stat -a -e kvmmem/ept_violations/",
         "perf stat -o /tmp/out -a -e kvmmem/ept_violations/", "perf"),
    _own("own-record", "perf record -a -e kvmmem:ept_violation",
         "perf record -B -N -o /tmp/out -a -e kvmmem:ept_violation", "perf"),
    _own("own-trace-cmd", "trace-cmd record -e kvmmem:ept_violation",
         "trace-cmd record -o /tmp/out -e kvmmem:ept_violation", "trace-cmd"),
    _peer("perf-kvm", "perf kvm stat record -a",
          "perf kvm --host stat record -o /tmp/out -a", "perf"),
    _peer("ftrace-hist", "ftrace hist trigger, by thread",
          before=f"echo hist:keys=common_pid >{_TRACING}",
          after=f"echo '!hist:keys=common_pid' >{_TRACING}"),
    _peer("trace-cmd", "trace-cmd record -e kvm:kvm_page_fault",
          "trace-cmd record -o /tmp/out -e kvm:kvm_page_fault", "trace-cmd"),
    _peer("trace-cmd3", "trace-cmd record, with kvm_entry and kvm_exit",
          "trace-cmd record -o /tmp/out -e kvm:kvm_page_fault -e kvm:kvm_entry"
          " -e kvm:kvm_exit", "trace-cmd"),
    _peer("bpftrace-count", "bpftrace, count by process",
          "bpftrace -e 'tracepoint:kvm:kvm_page_fault { @[pid] = count(); }'", "bpftrace"),
    _peer("bpftrace-time", "bpftrace, histogram of service time",
          f"bpftrace -e '{_LATENCY}'", "bpftrace"),
)

# Which figures may not exceed what: tool, kind of exit, instructions.
BUDGETS = (
    ("unloaded", "violation", 0),
    ("unloaded", "io", 0),
    ("count", "violation", 60),
    ("count", "io", 0),
    ("all", "violation", 180),
    ("all", "io", 80),
)
# What two runs of the same differ by: see the row "unloaded".
NOISE = 2

WALK_PERCENT = 20
READ_PER_VM = 10000                    # with a row of each type
READ_PER_VCPU = 2000
BYTES_PER_VM = 6144
BYTES_PER_VCPU = 1536
