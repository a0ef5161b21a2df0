# SPDX-License-Identifier: GPL-2.0
"""kvmmem's trace events by the distribution's bpftrace, in a host of its own: it is large.
"""

import re

import kmod
import procfile
from host import Scenario
from suite_lab import equal

PAGES = 300
HOST = {"memory_mb": 2048}


def prepare(image, kernel, vendor):
    """The module, and bpftrace with LLVM."""
    kmod.prepare(image, kernel, vendor)
    image.add_program("bpftrace", "lab/bin/bpftrace")


def maps(text):
    """{map: {key: value}} of what bpftrace prints at its end."""
    found = {}
    for name, key, value in re.findall(r"^@(\w+)(?:\[(.*)\])?: (-?\d+)$", text, re.M):
        found.setdefault(name, {})[key] = int(value)
    return found


def check_fields(out):
    """Words are strings to bpftrace, and numbers add up."""
    seen = maps(out["bpftrace"])
    proc = procfile.ProcFile(out["proc"])
    fault, = proc.rows["fault"]
    time, = proc.rows["time"]
    equal("access", {key.strip('"'): value for key, value in seen["access"].items()},
          {name: fault[name] for name in ("read", "write", "exec") if fault[name]})
    equal("vm", seen["vm"], {fault["vm"].replace("-", ", "): fault["ept_violations"]})
    # On a busy machine the emulated TSC may pass for unstable: -1 each, then.
    told = -fault["ept_violations"] / 1000 if time["total_us"] is None else time["total_us"]
    assert abs(sum(seen["ns"].values()) / 1000 - told) <= \
        fault["ept_violations"] / 1000 + 4, f"{seen['ns']} and {time}"
    equal("vm_begin", sum(seen["begin"].values()), 1)
    equal("discarded", sum(seen["size"].values()), PAGES * 4096)


SCENARIOS = [
    Scenario("bpftrace", f"""
load_kvm
load_kvmmem
cat >guest.sh <<'END'
. /lab/lib.sh
kvmguest --pages {PAGES} --access read,write,exec --rounds 2 --drop --then '
    section proc cat /proc/kvmmem' >/tmp/guest.out
END
section bpftrace bpftrace -c 'sh -e /tmp/guest.sh' -e '
tracepoint:kvmmem:ept_violation {{
    @access[args->access] = count();
    @vm[args->pid, args->fd] = count();
    @ns[args->outcome] = sum(args->ns);
}}
tracepoint:kvmmem:invalidate /args->initiator == "discard"/ {{ @size = sum(args->size); }}
tracepoint:kvmmem:vm_begin {{ @begin[args->comm] = count(); }}'
cat guest.out
""", check_fields, vendors=("amd",), limit=120, host=HOST),
]
