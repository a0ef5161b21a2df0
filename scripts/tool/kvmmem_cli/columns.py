# SPDX-License-Identifier: GPL-2.0
"""What people see of the file, and what the tool must know of it for that.

The file says itself which rows and columns it has: what is not named here is read,
too, and is in --json.
"""

import collections

SCHEMA = 1

# What people see.  kind and name say where the value is in the file, form how it
# is printed, short is the title in the narrow lines of stat.  Without a group a
# column is for programs only.
Column = collections.namedtuple("Column", "group title kind name form short", defaults=[""])
FAULTS, FLUSHES = "faults", "TLB flushes"
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
    Column("huge pages", "HOST-HUGE", "share", "host", "percent"),
    Column("huge pages", "EPT-HUGE", "share", "ept", "percent"),
    Column("huge pages", "AGE", "backing", "age_ms", "age"),
    Column(FAULTS, "VIOLATIONS", "fault", "ept_violations", "count", "VIOL"),
    Column(FAULTS, "READ", "fault", "read", "count"),
    Column(FAULTS, "WRITE", "fault", "write", "count"),
    Column(FAULTS, "EXEC", "fault", "exec", "count"),
    Column(FAULTS, "PROTECTION", "fault", "protection", "count", "PROT"),
    Column(FAULTS, "WALK", "fault", "page_walk", "count"),
    Column(FAULTS, "MMIO", "fault", "mmio", "count"),
    Column(FAULTS, "SHADOW", "fault", "shadow", "count"),
    Column(FLUSHES, "REQUESTS", "flush", "requests", "count", "REQS"),
    Column(FLUSHES, "DONE", "flush", "remote", "count"),
    Column(FLUSHES, "FLUSHES", "flush", "vcpu", "count", "FLUSH"),
    Column(FLUSHES, "REMOTE", "vpid", "remote", "count"),
    Column(FLUSHES, "GUEST", "vpid", "guest", "count"),
    Column(FLUSHES, "NESTED", "vpid", "nested", "count"),
    Column(FLUSHES, "TAG", "vpid", "tag", "count"),
    Column(FLUSHES, "OTHER", "vpid", "other", "count"),
    Column(FLUSHES, "SINGLE", "vpid", "single", "count"),
    Column(None, "ENTRIES", "vpid", "entries", "count"),
]
COUNTERS = [c for c in COLUMNS if c.form == "count"]
TITLES = " ".join(c.title.lower() for c in COLUMNS)

# What a VM has one row of, and what it may have several rows of: in --json an
# object and a list.  Nobody knows how many rows a later module prints of a type
# that is in neither: a list, too.
SINGLE = ("fault", "flush", "backing", "huge", "older")
SEVERAL = ("vpid", "numa")
KINDS = ("vm", *SINGLE, *SEVERAL)

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
TEXT = {("vm", "id"), ("vm", "comm"), ("vm", "mode")}
