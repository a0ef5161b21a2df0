# SPDX-License-Identifier: GPL-2.0
"""What is exported of real hosts: the values of /proc/kvmmem, and alerts.

An emulated host has no Python: its files are saved, and exported here.
"""

import pathlib
import sys
import tempfile

import features
import image as images
import suite_backing
from host import Scenario
from procfile import ProcFile
from suite_lab import equal
from suite_tool import FUNCTIONS, Files

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "tool/tests"))

import prometheus       # pylint: disable=wrong-import-position

ALERTS = {"KvmmemTimeLost", "KvmmemSwap", "KvmmemVcpuStuck", "KvmmemOvercommitted",
          "KvmmemGapGrows"}


def prepare(image, kernel, vendor):
    """As for backing, and the slow guest."""
    suite_backing.prepare(image, kernel, vendor)
    image.add("lab/bin/slowguest",
              images.helper_program(HERE / "host/slowguest.c").read_bytes(), 0o755)


# A quiet host; one that swaps, whose guests have more than there is, of whose vCPUs one
# loses its time and one does not get on, and of whose guests one executes what is in huge
# pages while KVM may not let it; and one that has lost events.
SCRIPT = f"""
cat >/tmp/functions.sh <<'FUNCTIONS'
{FUNCTIONS}
look() {{
    section "$1 uptime" cat /proc/uptime
    keep $1
}}
FUNCTIONS
. /tmp/functions.sh
cat >/tmp/look.sh <<'LOOK'
. /lab/lib.sh
. /tmp/functions.sh
echo force >/sys/module/kvm/parameters/nx_huge_pages
: >split.go
wait_for grep -q result split.out
look sick2
LOOK
section release uname -r
load_kvm kvm.nx_huge_pages=off
load_kvmmem stuck_ms=1000
run quiet --pages 1024 --backing thp
sleep 0.5
look quiet
sleep 1
look quiet2
[ -b /dev/ram0 ] || insert brd rd_nr=1 rd_size=8192 max_part=0
mkswap /dev/ram0 8192
swapon /dev/ram0
run away --pages 1000 --advise pageout
run greedy --pages 16 --slots 16 --slot-mb 64
ln -s "$(command -v slowguest)" /tmp/slow
/tmp/slow efault 100 500 true >/dev/null &
slow=$!
mkfifo split.go split.hold
ln -s "$(command -v kvmguest)" /tmp/split
/tmp/split --pages 2048 --backing thp --access write,exec --rounds 2 --hold split.hold \\
    --each '[ $KVMGUEST_ROUND = 2 ] || {{ : >split.ready; read line <split.go || :; }}' \\
    >split.out &
wait_for [ -e split.ready ]
sleep 0.5
look sick
slowguest never 5000 1 'sh -e /tmp/look.sh' >guest.out || {{ cat guest.out; exit 1; }}
sed -n '/^@@lab/,$p' guest.out
kill $slow || true
unload_kvmmem
load_kvmmem max_vms=2
run unseen --pages 16
keep lost
swapoff /dev/ram0
"""
# Of each type of row some columns, and where they are exported.
VALUES = {
    "kvmmem_vm_size_bytes": ("vm", "mem_kb", 1024, ""),
    "kvmmem_vm_vcpus": ("vm", "vcpus", 1, ""),
    'kvmmem_vm_memory_bytes': ("vm", "swap_kb", 1024, 'state="swapped",'),
    'kvmmem_vm_ept_violations_total': ("fault", "write", 1, 'access="write",'),
    'kvmmem_vm_backing_bytes': ("backing", "ept_4k_kb", 1024, 'layer="ept",page_size="4k",'),
    "kvmmem_vm_vcpu_flushes_total": ("flush", "vcpu", 1, ""),
    "kvmmem_vm_stuck_vcpus": ("time", "stuck", 1, ""),
    'kvmmem_vm_time_lost_seconds_total': ("time", "kvm_us", 1e-6, 'where="kvm",'),
    'kvmmem_vm_invalidations_total': ("inval", "reclaim", 1, 'initiator="reclaim",'),
}


def check_values(text, proc):
    """What is exported is what the file has, and what it does not know is not there."""
    found, seen = prometheus.samples(text), 0
    for vm in proc.rows["vm"]:
        domain = vm["comm"]
        for name, (kind, column, factor, label) in VALUES.items():
            value = (proc.all(kind, vm=vm["id"]) if kind != "vm" else [vm])[0][column]
            got = found.get(f'{name}{{{label}domain="{domain}",uuid=""}}')
            if value is None:
                equal(f"{name} of {domain}", got, None)
                continue
            assert got is not None and abs(got - value * factor) < 1e-9, \
                f"{name} of {domain} is {got}, and {column} {value}"
            seen += 1
    assert seen, "nothing was compared"
    equal("promtool", prometheus.promtool("check", "metrics", text=text), (0, ""))


def check(out):
    """Values, and which alerts fire."""
    with tempfile.TemporaryDirectory(prefix="kvmmem-suite-") as directory:
        files, texts = Files(directory, out), {}
        for name in ("quiet", "quiet2", "sick", "sick2", "lost"):
            files.put(name)
            texts[name] = files.tool("export")
            check_values(texts[name], ProcFile(out[f"{name} proc"]))
        for name, wanted in (("quiet", set()), ("sick", ALERTS)):
            seconds = float(out[f"{name}2 uptime"].split()[0]) - \
                float(out[f"{name} uptime"].split()[0])
            if not features.mappings_are_told(out["release"]):
                wanted = wanted - {"KvmmemGapGrows"}
            got = prometheus.alerts(texts[name], texts[name + "2"], seconds, directory)
            equal(f"alerts of a {name} host", got, wanted)
        got = prometheus.alerts(texts["lost"], texts["lost"], 1, directory)
        assert "KvmmemLostEvents" in got, f"of a host that has lost events: {got}"


SCENARIOS = [Scenario("export", SCRIPT, check, limit=120)]
