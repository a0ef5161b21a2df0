# SPDX-License-Identifier: GPL-2.0
"""What people see of the file, and what the tool must know of it for that.

The file says itself which rows and columns it has: what is not named here is read,
too, and is in --json, in recordings, and in "stat -e".
"""

import collections

SCHEMA = 1

# What people see.  kind and name say where the value is in the file, form how it
# is printed, short is the title in the narrow lines of stat, and rank the order in
# which they get room there.  Without a group a column is for programs only.
Column = collections.namedtuple("Column", "group title kind name form short rank",
                                defaults=["", 99])
FAULTS, FLUSHES, HUGE, LOST = "faults", "TLB flushes", "huge pages", "time lost"
OUTCOMES, INVAL, DIRTY, NUMA, OLDER = ("outcomes", "invalidations", "dirty logging", "NUMA",
                                       "older MMU")
COLUMNS = [
    Column("", "NAME", "self", "name", "text"),
    Column("", "ID", "self", "id", "text"),
    Column("", "PID", "vm", "pid", "plain"),
    Column("", "MODE", "vm", "mode", "text"),
    Column("", "VCPUS", "vm", "vcpus", "plain"),
    Column("memory", "MEM", "vm", "mem_kb", "size"),
    Column("memory", "RESIDENT", "vm", "resident_kb", "size"),
    Column("memory", "SWAP", "vm", "swap_kb", "size"),
    Column("memory", "KSM", "vm", "ksm_kb", "size"),
    Column("memory", "DEVICE", "vm", "device_kb", "size"),
    Column("memory", "PRIVATE", "vm", "private_kb", "size"),
    Column(HUGE, "HOST-HUGE", "share", "host", "percent"),
    Column(HUGE, "EPT-HUGE", "share", "ept", "percent"),
    Column(HUGE, "AGE", "backing", "age_ms", "age"),
    Column(LOST, "LOST", "time", "total_us", "busy", "LOST%", 0),
    Column(LOST, "IN-KVM", "time", "kvm_us", "busy", "KVM%", 21),
    Column(LOST, "ASLEEP", "time", "asleep_us", "busy", "SLEEP%", 22),
    Column(LOST, "IN-USER", "time", "user_us", "busy", "USER%", 23),
    Column(FAULTS, "VIOLATIONS", "fault", "ept_violations", "count", "VIOL", 1),
    Column(FAULTS, "READ", "fault", "read", "count", "", 7),
    Column(FAULTS, "WRITE", "fault", "write", "count", "", 6),
    Column(FAULTS, "EXEC", "fault", "exec", "count", "", 11),
    Column(FAULTS, "PROTECTION", "fault", "protection", "count", "PROT", 8),
    Column(FAULTS, "WALK", "fault", "page_walk", "count", "", 12),
    Column(FAULTS, "MMIO", "fault", "mmio", "count", "", 9),
    Column(FAULTS, "SHADOW", "fault", "shadow", "count", "", 13),
    Column(FLUSHES, "REQUESTS", "flush", "requests", "count", "REQS", 14),
    Column(FLUSHES, "DONE", "flush", "remote", "count", "", 15),
    Column(FLUSHES, "FLUSHES", "flush", "vcpu", "count", "FLUSH", 2),
    Column(FLUSHES, "REMOTE", "vpid", "remote", "count", "", 4),
    Column(FLUSHES, "GUEST", "vpid", "guest", "count", "", 5),
    Column(FLUSHES, "NESTED", "vpid", "nested", "count", "", 16),
    Column(FLUSHES, "TAG", "vpid", "tag", "count", "", 17),
    Column(FLUSHES, "OTHER", "vpid", "other", "count", "", 18),
    Column(FLUSHES, "SINGLE", "vpid", "single", "count", "", 19),
    Column(None, "ENTRIES", "vpid", "entries", "count"),
    Column(FLUSHES, "RANGE", "vpid", "range", "count", "", 20),
    Column(OUTCOMES, "FIXED", "outcome", "fixed", "count", "", 41),
    Column(OUTCOMES, "FAST", "outcome", "fast", "count", "", 42),
    Column(OUTCOMES, "SPURIOUS", "outcome", "spurious", "count", "SPUR", 43),
    Column(OUTCOMES, "EMULATED", "outcome", "emulated", "count", "EMUL", 44),
    Column(OUTCOMES, "RETRIED", "outcome", "retried", "count", "RETRY", 40),
    Column(OUTCOMES, "L2", "outcome", "l2", "count", "", 45),
    Column(OUTCOMES, "REFLECTED", "outcome", "reflected", "count", "REFLCT", 46),
    Column(INVAL, "INVAL", "inval", "calls", "count", "", 3),
    Column(INVAL, "VMM", "inval", "vmm", "count", "", 31),
    Column(INVAL, "RECLAIM", "inval", "reclaim", "count", "RECLM", 32),
    Column(INVAL, "MERGED", "inval", "ksm", "count", "KSM", 33),
    Column(INVAL, "THP", "inval", "thp", "count", "", 34),
    Column(INVAL, "MIGRATE", "inval", "migrate", "count", "MIGR", 35),
    Column(INVAL, "NUMA-SCAN", "inval", "numa_scan", "count", "NUMA", 30),
    Column(INVAL, "IN-RUN", "inval", "in_run", "count", "", 36),
    Column(INVAL, "FORK", "inval", "fork", "count", "", 37),
    Column(INVAL, "PROTECT", "inval", "protect", "count", "MPROT", 38),
    Column(INVAL, "ELSE", "inval", "other", "count", "", 39),
    Column(INVAL, "REFAULTS", "inval", "refaults", "count", "REFLT", 10),
    Column(INVAL, "DISCARD", "inval", "discard", "count", "DISCRD", 47),
    Column(INVAL, "TAKEN", "inval_kb", "calls", "grown", "", 29),
    Column(DIRTY, "LOGGING", "dirty", "mode", "text"),
    Column(DIRTY, "SINCE", "dirty", "since_ms", "age"),
    Column(DIRTY, "DIRTY", "dirty", "dirty_kb", "size"),
    Column(DIRTY, "SPLIT", "dirty", "split_2m", "count"),
    Column(DIRTY, "BACK", "dirty", "recovered_2m", "count"),
    Column(NUMA, "NODES", "self", "nodes", "text"),
    Column(OLDER, "UNSYNC", "older", "unsync", "number"),
    Column(OLDER, "ZAPPED", "older", "zapped", "count"),
    Column(OLDER, "RMAP", "older", "rmap_kb", "size"),
]
# Numbers that go up and down, by their names in the file.
STATES = {("time", "stuck"), ("numa", "node"), ("numa", "vcpu_pct"), ("dirty", "since_ms")}
# Forms of what only grows; of all others it is the value now that counts.
GROWING = ("count", "busy", "grown")
COUNTERS = [c for c in COLUMNS if c.form in GROWING]
TITLES = " ".join(c.title.lower() for c in COLUMNS)
CAUSES = ("remote", "guest", "nested", "tag", "other")      # of flushes
INITIATORS = ("vmm", "reclaim", "ksm", "thp", "migrate", "numa_scan", "in_run", "fork", "protect",
              "other")                                      # of invalidations

# What a VM has one row of, and what it may have several rows of: in --json an
# object and a list.  Nobody knows how many rows a later module prints of a type
# that is in neither: a list, too.
SINGLE = ("fault", "flush", "backing", "huge", "outcome", "time", "inval", "inval_kb", "dirty",
          "older")
SEVERAL = ("vpid", "numa")
KINDS = ("vm", *SINGLE, *SEVERAL)
# Of those, types and columns that a module may lack: no error where they are not.
OPTIONAL = ("outcome", "time", "inval", "inval_kb", "dirty", "older", "numa")
OPTIONAL_COLUMNS = {("vm", "device_kb"), ("vm", "private_kb"), ("vpid", "range"),
                    ("inval", "discard")}
# What tells rows of one VM and type apart; a vCPU's tags are summed before (snapshot.py).
KEYS = {"vpid": ("vcpu",), "numa": ("node",)}

# Anything else than a number is an error in what is shown as one, and in these.
SIZES = ("4k", "2m", "1g")
NUMBERS = {(c.kind, c.name) for c in COLUMNS
           if c.kind not in ("self", "share") and c.form != "text"}
NUMBERS |= {("vpid", name) for name in ("vcpu", "vpid", "flushes")}
NUMBERS |= {("backing", f"{layer}_{size}_kb") for layer in ("host", "ept") for size in SIZES}
NUMBERS |= {("backing", "ept_table_kb")}
# Of the host's facts those whose names end in "_kb", and these.
HOST_NUMBERS = {"vms", "lost"}
# Text, also where it looks like a number; so is "vm", the VM's id in all other rows.
# In a column that is named nowhere here, what looks like a number is one, and all
# else is text.
TEXT = {("vm", "id"), ("vm", "comm"), ("vm", "mode"), ("dirty", "mode")}


# The later, the stronger: one name may stand in rows of several types.
KNOWN = {c.short.lower(): c for c in reversed(COLUMNS) if c.short}
KNOWN |= {c.name: c for c in reversed(COLUMNS)}
KNOWN |= {f"{c.kind}.{c.name}": c for c in COLUMNS}
KNOWN |= {c.title.lower(): c for c in COLUMNS}


def find(text):
    """A column by its title, by its name in the file, or by <type>.<name>; or None."""
    return KNOWN.get(text.lower())


def made(kind, name):
    """A column of the file that people do not see otherwise."""
    known = find(f"{kind}.{name}")
    if known:
        return known
    form = "size" if name.endswith("_kb") and kind != "inval_kb" else \
        "grown" if kind == "inval_kb" else \
        "number" if (kind, name) in STATES or name.endswith("_ns") else "count"
    return Column("", f"{kind}.{name}", kind, name, form)
