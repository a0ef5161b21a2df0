# SPDX-License-Identifier: GPL-2.0
"""Two readings, and what happened between them: what every view is made of."""

import itertools
import operator

from .columns import COUNTERS, GROWING, KEYS, find

# What only grows, by type of row.
GROWS = {kind: [c.name for c in COUNTERS if c.kind == kind]
         for kind in dict.fromkeys(c.kind for c in COUNTERS)}
# Of thousands of rows that one is enough, which always grows.
GROWS["vpid"] = ["entries"]


def _pairs(kind, new, old):
    """Rows of a type, each with what it was, or with {} if it is new.

    A vCPU that is new counts from 0.
    """
    now, before = new.rows[kind], old.rows[kind] if old else []
    if kind == "vpid":
        now, before = new.tags, old.tags if old else []
    keys = KEYS.get(kind)
    if not keys:
        return list(itertools.zip_longest(now, before[:len(now)], fillvalue={}))

    if len(before) == len(now) and all(itertools.chain.from_iterable(
            map(operator.eq, _column(before, name), _column(now, name)) for name in keys)):
        return list(zip(now, before))
    was = dict(zip(zip(*(_column(before, name) for name in keys)), before))
    return [(row, was.get(key, {}))
            for row, key in zip(now, zip(*(_column(now, name) for name in keys)))]


def _column(rows, name):
    return [row.get(name) for row in rows]


def _grown(pairs, name):
    """How much a counter grew in rows that were something else before; None is unknown."""
    try:
        if len(pairs) == 1:
            row, before = pairs[0]
            return row[name] - before.get(name, 0)
        return sum([row[name] - before.get(name, 0) for row, before in pairs]) if pairs else None
    except (TypeError, KeyError):
        return None         # a dash, a word, or no such column


def began_anew(new, old):
    """Did a counter shrink? They only grow, so it is a new VM with an old id then."""
    for kind, names in GROWS.items():
        if new.rows[kind] == old.rows[kind]:
            continue
        for row, before in _pairs(kind, new, old):
            if before and _shrank(list(map(row.get, names)), list(map(before.get, names))):
                return True
    return False


def _shrank(values, before):
    try:
        return any(map(operator.lt, values, before))
    except TypeError:       # some are unknown
        return any(value < was for value, was in zip(values, before)
                   if value is not None and was is not None)


class Change:
    """What one VM did in an interval."""

    def __init__(self, vm, old, seconds, rated=True):
        self.vm, self.seconds, self.rated = vm, seconds, rated
        self.old = None if old is None or began_anew(vm, old) else old
        self.began = self.old is None
        self._pairs, self._grown = {}, {}

    def hidden(self, kind):
        """Were rows of vCPUs not there before, and do they count since nobody knows when?"""
        return kind in KEYS and self.old is not None and not self.old.rows[kind] and \
            bool(self.old.one("vm", "vcpus"))

    def grown(self, column):
        """How much a counter grew; None where that is unknown."""
        try:
            return self._grown[column.kind, column.name]
        except KeyError:
            pass
        pairs = self._pairs.get(column.kind)
        if pairs is None:
            pairs = self._pairs[column.kind] = \
                [] if self.hidden(column.kind) else _pairs(column.kind, self.vm, self.old)
        grown = self._grown[column.kind, column.name] = _grown(pairs, column.name)
        return grown

    def rate(self, column):
        """The same a second; of time, the share of all vCPUs' time."""
        grown = self.grown(column)
        if grown is None or not self.seconds:
            return None
        if column.form == "busy":
            vcpus = self.vm.one("vm", "vcpus")
            return grown / (self.seconds * 1e6 * vcpus) if vcpus else None
        return grown / self.seconds

    def value(self, column):
        """What a view shows: a rate of what grows, what is there now of all else."""
        return self.rate(column) if column.form in GROWING else self.vm.value(column)

    def called(self, name):
        """The value of <kind>.<name>."""
        return self.value(find(name))


class Interval:
    """What happened between two readings: a Change for each VM, and who is gone."""

    def __init__(self, old, new, wanted=()):
        self.old, self.new = old, new
        same = old.session == new.session
        # 0 is unknown: somebody set the clock back between two sessions.
        self.seconds = max(new.clock - old.clock if same else new.wall - old.wall, 0)
        before = old.vms if same else {ident: vm for ident, vm in old.vms.items()
                                       if ident in new.vms and vm.may_be(new.vms[ident])}
        self.changes = [Change(vm, before.get(vm.id), self.seconds)
                        for vm in new.select(wanted)]
        self.gone = [vm for vm in old.select(wanted) if vm.id not in new.vms]

    @property
    def lost(self):
        """Events that were not counted in the interval."""
        before, now = (one.host.get("lost") or 0 for one in (self.old, self.new))
        return now - before if now >= before else now


def total(changes, column):
    """A sum over VMs, of what is known; None if nothing is."""
    values = [value for value in (change.value(column) for change in changes)
              if value is not None]
    if column.form == "busy":
        # A share of time is not summed but weighted by vCPUs.
        pairs = [(change.value(column), change.vm.one("vm", "vcpus")) for change in changes]
        pairs = [(value, vcpus) for value, vcpus in pairs if value is not None and vcpus]
        whole = sum(vcpus for _, vcpus in pairs)
        return sum(value * vcpus for value, vcpus in pairs) / whole if whole else None
    return sum(values) if values else None
