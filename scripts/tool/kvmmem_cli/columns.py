# SPDX-License-Identifier: GPL-2.0
"""What the file has, and which of it people see."""

import collections

SCHEMA = 1

# The columns of schema 1, the VM's id first.  A module may print more rows and
# columns, in any order: they are found by name, and what is unknown is skipped.
ROWS = {kind: columns.split() for kind, columns in {
    "vm": "id pid comm vcpus mode mem_kb resident_kb swap_kb ksm_kb",
    "fault": "vm ept_violations read write exec protection page_walk mmio shadow",
    "flush": "vm requests remote vcpu",
    "vpid": "vm vcpu vpid entries flushes remote guest nested tag other single",
    "backing": "vm host_4k_kb host_2m_kb host_1g_kb ept_4k_kb ept_2m_kb ept_1g_kb "
               "ept_table_kb age_ms",
}.items()}
TEXT = {"id", "vm", "comm", "mode"}

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
