# SPDX-License-Identifier: GPL-2.0
"""The tool on what the real module prints.

An emulated host has no Python: its files are saved, and the tool runs here on them.
"""

import csv
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import image
import suite_backing
from host import Scenario
from procfile import ProcFile

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.append(str(SCRIPTS / "tool"))

# pylint: disable=wrong-import-position
from kvmmem_cli import store

TOOL = SCRIPTS / "kvmmem"


def prepare(picture, kernel, vendor):
    """What suite_backing needs, and the slow guest."""
    suite_backing.prepare(picture, kernel, vendor)
    picture.add("lab/bin/slowguest",
                image.helper_program(suite_backing.HERE / "host/slowguest.c").read_bytes(),
                0o755)


# keep NAME: all files that the tool reads.
FUNCTIONS = """
run() {
    local name=$1
    shift
    ln -s "$(command -v kvmguest)" /tmp/$name
    mkfifo $name.hold
    /tmp/$name "$@" --hold $name.hold >$name.out &
    wait_for grep -q result $name.out
}
keep() {
    local dir=/sys/kernel/debug/kvmmem id
    cat $dir/registry >/dev/null        # until all directories are there
    section "$1 proc" cat /proc/kvmmem
    section "$1 hooks" cat $dir/hooks
    [ ! -e $dir/ended ] || section "$1 ended" cat $dir/ended
    for id in $(ls $dir/vms); do
        for file in backing latency stuck; do
            [ ! -e $dir/vms/$id/$file ] || section "$1 $id $file" cat $dir/vms/$id/$file
        done
    done
}
"""
SCRIPT = FUNCTIONS + """
load_kvm
echo force >/sys/module/kvm/parameters/nx_huge_pages    # it takes all mappings away
load_kvmmem
run healthy --pages 4096 --backing thp
keep healthy
run again --pages 4096 --backing thp --rounds 2 --drop
keep healthy2
run crooked --pages 2048 --backing thp --misalign
run moving --pages 2048 --backing thp --rounds 2 --dirty-log
run exec --pages 1024 --backing thp --access write,exec
echo never >/sys/kernel/mm/transparent_hugepage/enabled
run small --pages 4096
echo 4 >/proc/sys/vm/nr_hugepages
run hugetlb --pages 2048 --backing hugetlb2m
section swap sh -c "
    [ -b /dev/ram0 ] || insert brd rd_nr=1 rd_size=8192 max_part=0 &&
        mkswap /dev/ram0 8192 && swapon /dev/ram0 || true"
run away --pages 1000 --advise pageout
keep sick
unload_kvmmem
load_kvmmem max_vms=2
run unseen --pages 16
keep lost
"""


class Files:
    """Saved files in the places where the tool looks for them."""

    def __init__(self, directory, out):
        self.root, self.out = pathlib.Path(directory), out

    def put(self, name):
        """Those of one moment."""
        debugfs = self.root / "sys/kernel/debug/kvmmem"
        (debugfs / "vms").mkdir(parents=True, exist_ok=True)
        (self.root / "kvmmem").write_text(self.out[f"{name} proc"] + "\n")
        for file in ("hooks", "ended"):
            if f"{name} {file}" in self.out:
                (debugfs / file).write_text(self.out[f"{name} {file}"])
        for row in ProcFile(self.out[f"{name} proc"]).all("vm"):
            place = debugfs / "vms" / row["id"]
            place.mkdir(exist_ok=True)
            for file in ("backing", "latency", "stuck"):
                if f"{name} {row['id']} {file}" in self.out.sections:
                    (place / file).write_text(self.out[f"{name} {row['id']} {file}"])

    def tool(self, *args):
        """What the tool prints, which must have nothing to complain of."""
        done = subprocess.run([TOOL, *args], capture_output=True, text=True, check=False,
                              env={**os.environ, "KVMMEM_PROC": str(self.root), "COLUMNS": "80",
                                   "KVMMEM_SYS": str(self.root / "sys")})
        assert done.returncode == 0, f"{args}: {done.stderr}"
        return done.stdout

    def findings(self, *args):
        """{name of a VM, or "": rules that found something}."""
        told = json.loads(self.tool("explain", "--json", "--sample", "0.05", *args))
        found = {vm["name"]: {one["rule"] for one in vm["findings"]} for vm in told["vms"]}
        return {"": {one["rule"] for one in told["host"]}, **found}


def differences(files, out):
    """stat's numbers are the differences of /proc/kvmmem, of copies and of a recording."""
    before, after = (ProcFile(out[f"{name} proc"]) for name in ("healthy", "healthy2"))
    copies = []
    for name in ("healthy", "healthy2"):
        files.put(name)
        copies += ["--file", str(files.root / name)]
        (files.root / name).write_text(out[f"{name} proc"] + "\n")
        files.tool("record", "-o", str(files.root / "recording"), "-n", "1")
    for args, seconds in ((["stat", *copies, "-i", "2"], 2.0),
                          (["stat", "--from", str(files.root / "recording")], None)):
        rows = list(csv.DictReader(io.StringIO(files.tool(*args, "--csv"))))
        assert len(rows) == 2, rows
        for row in rows:
            for kind, prefix in (("fault", ""), ("flush", "flush_")):
                new = after.find(kind, vm=row["id"])
                old = (before.all(kind, vm=row["id"]) or [{}])[0]
                for name, value in new.items():
                    got = row.get(f"{prefix}{name}_per_s")
                    if got is None or name == "vm":
                        continue
                    wanted = None if value is None else value - old.get(name, 0)
                    number = round(float(got) * (seconds or float(row["interval_s"]))) \
                        if got else None
                    close = number == wanted or seconds is None and wanted and \
                        abs(number - wanted) <= wanted / 100
                    assert close, f"{args}: {kind} {name} of {row['id']}: {number}, not {wanted}"


def check(out):
    """Each rule on what provokes it; and nothing where nothing is wrong."""
    with tempfile.TemporaryDirectory(prefix="kvmmem-suite-") as directory:
        files = Files(directory, out)
        differences(files, out)
        text = files.tool("report", str(files.root / "recording"), "--text")
        assert re.search("^again  ", text, re.M), f"report does not tell of it:\n{text}"
        files.put("healthy2")
        found = files.findings()
        # khugepaged and the like are off here, so that only what is wrong is found.
        assert not any(found.values()), f"of a healthy host it says {found}"
        assert "Nothing is wrong with the 2 VMs" in files.tool("explain", "--sample", "0.05")
        files.put("sick")
        found = files.findings()
        proc = ProcFile(out["sick proc"])
        wanted = {("crooked", "misaligned_slot"), ("small", "thp"), ("", "hugetlb_pool"),
                  ("moving", "dirty_logging"), ("exec", "nx_splits")}
        if proc.find("backing", vm=proc.find("vm", comm="moving")["id"])["ept_2m_kb"] is None:
            # KVM's tables cannot be walked, so there are no causes.
            wanted = {("small", "thp"), ("", "hugetlb_pool")}
        if "dirty" in proc.columns:
            wanted -= {("moving", "dirty_logging")}     # it has not been on for long
        if proc.host["swap_total_kb"]:
            wanted.add(("", "swap"))
        missing = [f"{rule} of {name or 'the host'}" for name, rule in wanted
                   if rule not in found[name]]
        assert not missing, f"explain does not say {', '.join(missing)}: {found}"
        assert not found["healthy"], f"of a healthy VM it says {found['healthy']}"
        for args in ((), ("--wide",), ("--json",), ("explain",)):
            files.tool(*args)
        files.put("lost")
        assert "lost_events" in files.findings()[""], "explain does not say that events were lost"


# Much happens to some VMs from one reading to the next; there are two nodes with a
# processor each.
STORMS = FUNCTIONS + """
load_kvm
load_kvmmem
keep before
section gone kvmguest --pages 300
run quiet --pages 64
run flushed --pages 32 --vcpus 2 --pin 0,1 --drop-thread 50
run preempted --pages 8 --vcpus 4 --steal-time --op pvflush --ops 200
taskset 2 sh -c 'ln -s "$(command -v kvmguest)" /tmp/remote; mkfifo remote.hold
    exec /tmp/remote --pages 2048 --prefault --pin 0 --hold remote.hold' >remote.out &
wait_for grep -q result remote.out
keep after
"""
# An emulated host's clock says nothing of how fast a real one is: rates are judged as if
# all that took so long.
SECONDS = 0.02


def check_storms(out):
    """Rules on what grows, or is in the wrong place."""
    with tempfile.TemporaryDirectory(prefix="kvmmem-suite-") as directory:
        files = Files(directory, out)
        path = str(files.root / "recording")
        writer = store.Writer(path, 10, "", "")
        for name, clock in (("before", 0.0), ("after", SECONDS)):
            writer.add(clock, clock, out[f"{name} proc"].encode() + b"\n",
                       lambda content: {"settings": b'{"cpus": 2}'})
        writer.close()
        found = files.findings("--from", path)
        proc = ProcFile(out["after proc"])
        wanted = {("flushed", "remote_flushes"), ("preempted", "guest_flushes"),
                  ("remote", "remote_memory")}
        if "inval" in proc.columns:
            wanted.add(("flushed", "taken_away"))
        if any(row["total_us"] for row in proc.rows.get("time", ())):
            wanted.add(("flushed", "time_lost"))
        missing = [f"{rule} of {name}" for name, rule in wanted if rule not in found[name]]
        assert not missing, f"explain does not say {', '.join(missing)}: {found}"
        if "after ended" in out:
            files.put("after")
            text = files.tool("--ended")
            assert re.search(r"(?m)^\d+-\d+ +kvmguest .* 3\d\d ", text), f"--ended:\n{text}"
        # Nothing of that is said of the other one; it was born in this short while.
        too_much = found["quiet"] - {"time_lost"}
        assert not too_much, f"of a quiet VM it says {too_much}"


# What takes time to show. The clock of a host that counts instructions leaps when there is
# nothing to do: half an hour passes in seconds.
WAITING = FUNCTIONS + """
load_kvm
load_kvmmem stuck_ms=1000
run forgotten --pages 2048 --backing thp --rounds 2 --dirty-log
run shattered --pages 8192 --backing thp --rounds 2 --dirty-log=1 --dirty-log-off=2
run fine --pages 2048 --backing thp
sleep 1830
cat >ask.sh <<'SCRIPT'
: >asked
while [ -e asked ]; do sleep 0.1; done
SCRIPT
slowguest retry 3000 1 'sh -e ask.sh' >slow.out & slow=$!
wait_for test -e asked
keep late
rm asked
wait $slow
"""


def check_waiting(out):
    """Rules on what did not end, or did not come back."""
    with tempfile.TemporaryDirectory(prefix="kvmmem-suite-") as directory:
        files = Files(directory, out)
        files.put("late")
        found = files.findings()
        proc = ProcFile(out["late proc"])
        recovered = proc.find("dirty", vm=proc.find("vm", comm="shattered")["id"])["recovered_2m"]
        wanted = {"forgotten": {"dirty_logging"}, "slowguest": {"stuck"}, "fine": set(),
                  # From Linux 6.13 on all come back when logging ends.
                  "shattered": set() if recovered in (None, 16) else {"huge_gone"}}
        for name, rules in wanted.items():
            told = found[name] & {"dirty_logging", "stuck", "huge_gone"}
            assert told == rules, f"of {name} explain says {found[name]}, not {rules}"
        text = files.tool("explain", "--sample", "0.05")
        assert re.search(r"vCPU 0 at 0x40000000: \d+ faults in \d", text), text


SCENARIOS = [
    Scenario("tool_waiting", WAITING, check_waiting, limit=400, vendors=("amd",),
             host={"icount": True}),
    Scenario("tool", SCRIPT, check, limit=120),
    Scenario("tool_storms", STORMS, check_storms, limit=120, vendors=("amd",),
             host={"cpus": 2, "nodes": 2}),
]
