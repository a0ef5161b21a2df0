# SPDX-License-Identifier: GPL-2.0
"""The guests of the demo, and the script that runs them in the emulated host."""

import dataclasses

HUGE = 512              # pages of 4K in one of 2M


@dataclasses.dataclass(frozen=True)
class Guest:
    """What a guest is told to do."""

    name: str
    what: str
    pages: int
    vcpus: int = 1
    rounds: int = 1
    options: str = ""

    def command(self):
        """Its command line; a symbolic link gives the process its name."""
        return (f"/tmp/{self.name} --pages {self.pages} --vcpus {self.vcpus} "
                f"--rounds {self.rounds} {self.options}")


GUESTS = {guest.name: guest for guest in (
    Guest("plain", "writes to {pages} pages of 4K, once to each", 4096),
    Guest("huge", "the same, but the host backs its memory by pages of 2M", 4096,
          options="--backing thp"),
    Guest("balloon", "writes to {pages} pages, {rounds} times over; each time but the last the "
          "host takes them away, as a balloon does", 1500, rounds=4, options="--drop"),
    Guest("pair", "{pages} pages, half of them for each of its {vcpus} vCPUs", 600, vcpus=2,
          options="--turns"),
    Guest("moving", "{pages} pages, 2M in the host; then dirty logging begins, as for a live "
          "migration, and it writes to all of them again", 2048, rounds=2,
          options="--backing thp --dirty-log"),
    Guest("crooked", "{pages} pages, 2M in the host, but at a guest address that is off by 4K",
          2048, options="--backing thp --misalign"),
)}

SCRIPT = """
debugfs=/sys/kernel/debug/kvmmem
run() {
    local name=$1
    ln -s "$(command -v kvmguest)" /tmp/$name
    mkfifo $name.hold
    shift
    "$@" --hold $name.hold >$name.out &
    wait_for grep -q result $name.out
}
load_kvm
section load load_kvmmem huge_flows=1
""" + "".join(f"run {guest.name} {guest.command()}\n" for guest in GUESTS.values()) + """
section proc cat /proc/kvmmem
cat $debugfs/registry >/dev/null        # until all directories are there
for name in """ + " ".join(GUESTS) + """; do
    dir=$debugfs/vms/$(sed -n 's/^guest id=\\([^ ]*\\).*/\\1/p' $name.out)
    for file in backing faults latency; do
        section "$name $file" cat $dir/$file
    done
done
section "crooked slot" grep '^slot .* slot=1 ' crooked.out
section audit cat $debugfs/audit
section hooks cat $debugfs/hooks
section unload unload_kvmmem
section left sh -c "ls -d /proc/kvmmem $debugfs 2>/dev/null || true"
for name in """ + " ".join(GUESTS) + """; do
    echo >$name.hold
done
wait
"""
