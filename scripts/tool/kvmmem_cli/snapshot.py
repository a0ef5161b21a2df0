# SPDX-License-Identifier: GPL-2.0
"""One reading of the host: its facts, its VMs, and the rows of each."""

import collections
import functools

from .columns import KINDS, SIZES
from .errors import Failure
from .units import safe


def _sum(one, other):
    return one + other if isinstance(one, int) and isinstance(other, int) else None


class Vm:
    """One VM: its rows by kind, and the name that people know it by."""

    def __init__(self, row):
        self.id, self.name, self.pid = row["id"], row.get("comm"), row.get("pid")
        self.uuid = None
        self.rows = collections.defaultdict(list, {"vm": [row]})
        # Returns tables of debugfs; only where somebody asked for them.
        self.told = dict

    @functools.cached_property
    def detail(self):
        """Tables of debugfs, by type of row."""
        return self.told()

    @property
    def label(self):
        """What to call it."""
        return self.name or self.id

    def total(self, kind, name):
        """The sum over the @kind rows, or None if any part of it is unknown."""
        rows = self.rows[kind]
        try:
            if len(rows) == 1:
                return rows[0].get(name) + 0
            return sum([row.get(name) for row in rows]) if rows else None
        except TypeError:
            return None     # a dash, or a word

    def one(self, kind, name):
        """What the only row of that kind has, or None."""
        rows = self.rows[kind]
        return rows[0].get(name) if rows else None

    @functools.cached_property
    def tags(self):
        """The vpid rows, summed by vCPU.

        Of more tags than the module keeps, the row "-" takes what the others counted: alone
        a row is not comparable with what it was.
        """
        found = {}
        for row in self.rows["vpid"]:
            vcpu = row.get("vcpu")
            mine = found.get(vcpu)
            found[vcpu] = row if mine is None else {
                **{name: _sum(value, row.get(name)) for name, value in mine.items()},
                "vcpu": vcpu}
        return list(found.values())

    def backing(self, layer):
        """KiB by page size at @layer, or None where one is unknown."""
        sizes = [self.total("backing", f"{layer}_{size}_kb") for size in SIZES]
        return None if None in sizes else dict(zip(SIZES, sizes))

    def share(self, layer):
        """How much of what is mapped at @layer is mapped by huge pages."""
        sizes = self.backing(layer)
        if not sizes or not sum(sizes.values()):
            return None
        return (sizes["2m"] + sizes["1g"]) / sum(sizes.values())

    @property
    def nodes(self):
        """Its memory by NUMA node: "0:75% 1:25%", or None."""
        rows = [row for row in self.rows["numa"] if row.get("mem_kb")]
        whole = sum(row["mem_kb"] for row in rows)
        return " ".join(f"{row.get('node')}:{row['mem_kb'] / whole:.0%}"
                        for row in rows) if whole else None

    @property
    def local_kb(self):
        """(KiB where its vCPUs run, KiB elsewhere), by their share on each node; or None."""
        rows = self.rows["numa"]
        if not rows or None in [row.get(name) for row in rows for name in ("mem_kb", "vcpu_pct")]:
            return None
        whole = sum(row["mem_kb"] for row in rows)
        local = round(sum(row["mem_kb"] * row["vcpu_pct"] / 100 for row in rows))
        return local, whole - local

    def value(self, column):
        """What this VM has in a column of the table."""
        if column.kind == "self":
            return getattr(self, column.name)
        if column.kind == "share":
            return self.share(column.name)
        if column.form in ("text", "age") and self.rows[column.kind]:
            return self.one(column.kind, column.name)
        return self.total(column.kind, column.name)

    def may_be(self, other):
        """May @other, of the same id, be this VM? Ids come again when the host boots."""
        if self.uuid and other.uuid:
            return self.uuid == other.uuid
        return self.one("vm", "comm") == other.one("vm", "comm")

    def matches(self, wanted):
        """Is this a VM that the user calls one of @wanted?"""
        called = {self.id, self.label, safe(self.label)}
        if self.pid is not None:
            called.add(str(self.pid))
        if self.uuid:
            called.add(self.uuid)
        return any(wish in called or wish.lower() in called for wish in wanted)


class Snapshot:
    """One reading: host facts, VMs, and the columns that there are.

    What belongs to no VM is in rows, by kind.
    """

    def __init__(self, content, clock=0.0, wall=0.0):
        self.clock, self.wall = clock, wall
        self.host, self.headers, self.cut = content.host, content.headers, content.cut
        self.settings = {}          # of the host, from elsewhere
        self.session = 0            # of a recording: clocks are of one kind in each
        self.gone = ""              # of a recording: why there is nothing
        self.vms = {row["id"]: Vm(row) for row in content.rows.get("vm", ())}
        self.rows = {kind: [] for kind in self.headers if kind not in self.kinds()}
        for kind, rows in content.rows.items():
            for row in rows if kind != "vm" else ():
                vm = self.vms.get(row.get("vm"))
                if vm:
                    vm.rows[kind].append(row)
                elif row.get("vm") is None:
                    self.rows.setdefault(kind, []).append(row)

    def kinds(self):
        """The types of rows that VMs have, known or only in the file."""
        found = [kind for kind, columns in self.headers.items() if "vm" in columns]
        return list(dict.fromkeys([*KINDS, *found]))

    def has(self, column):
        """Does the file have what @column of the table shows?"""
        if column.kind == "share":
            return "backing" in self.headers
        if column.name == "nodes":
            return "numa" in self.headers
        return column.kind == "self" or column.name in self.headers.get(column.kind, ())

    def select(self, wanted):
        """The VMs that the user @wanted, all of them without a wish.

        An id is that VM's alone, whatever others are called.
        """
        names = [wish for wish in wanted if wish not in self.vms]
        return [vm for vm in self.vms.values()
                if not wanted or vm.id in wanted or vm.matches(names)]

    def must_select(self, wanted):
        """The same, but each wish must be met."""
        for wish in wanted:
            if not self.select([wish]):
                raise Failure(f"no VM has the id, name, pid or UUID '{safe(wish)}'; "
                              "kvmmem without --vm lists them")
        return self.select(wanted)
