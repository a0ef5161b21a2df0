# SPDX-License-Identifier: GPL-2.0
"""What can be wrong with a VM or its host: a rule is a file here.

Each has WORD (for a narrow column), WEIGHT (what is worse comes first), ABOUT (what
it looks for), SOURCE (where its threshold comes from), SCOPE ("vm" or "host") and
check(seen), which yields what it finds.
"""

import collections
import importlib

NAMES = ("lost_events", "stuck", "swap", "time_lost", "misaligned_slot", "dirty_logging",
         "huge_gone", "nx_splits", "gap", "guest_huge_lost", "thp", "hugetlb_pool", "taken_away", "remote_flushes",
         "guest_flushes", "remote_memory")

Finding = collections.namedtuple("Finding", "rule word weight text evidence remedy")
# What a rule yields: a sentence, the numbers, and what to do.
Found = collections.namedtuple("Found", "text evidence remedy word", defaults=[""])


class Unseen(Exception):
    """What a rule needs is not there; its text says what."""


class Seen:
    """What a rule may look at."""

    def __init__(self, change, snapshot, deep):
        self.change, self.vm, self.snapshot = change, change.vm, snapshot
        self.host, self.settings, self.deep = snapshot.host, snapshot.settings, deep
        # Of one reading there are no rates, only what there was in all.
        self.rated = change.rated

    def fact(self, key):
        """A fact of the host."""
        return self.need(self.host.get(key), f"the host's {key}")

    def rate(self, name):
        """How much <kind>.<name> grows a second."""
        if not self.rated:
            raise Unseen("rates, which take two readings")
        value = self.change.called(name)
        return self.need(None, self._why(name)) if value is None else value

    def now(self, kind, name):
        """The sum of a column over the VM's rows."""
        value = self.vm.total(kind, name)
        return self.need(None, self._why(f"{kind}.{name}")) if value is None else value

    def _why(self, name):
        kind, column = name.split(".")
        if kind not in self.snapshot.headers:
            return f"'{kind}' rows, which this kvmmem does not print"
        return f"{kind}.{column}, which is '-' here"

    def slots(self):
        """The VM's memory slots, from debugfs."""
        rows = self.vm.detail.get("slot")
        return [row for row in self.need(rows, "memory slots (debugfs)")
                if row.get("slot") != "total"]

    @staticmethod
    def need(value, what):
        """@value, if it is known."""
        if value is None:
            raise Unseen(what)
        return value


def loaded():
    """All rules, in order of their names above."""
    return [importlib.import_module(f".{name}", __package__) for name in NAMES]


def _judge(scope, seen, unseen):
    found = []
    for name, rule in CHOSEN[scope, seen.deep]:
        try:
            found += [Finding(name, one.word or rule.WORD, rule.WEIGHT, *one[:3])
                      for one in rule.check(seen)]
        except Unseen as why:
            if unseen is not None:
                unseen.setdefault((rule.ABOUT, str(why)), []).append(seen.vm)
    return sorted(found, key=lambda one: -one.weight) if found else found


def of_vm(change, snapshot, deep=False, unseen=None):
    """What is wrong with a VM, the worst first; with @deep also what debugfs tells.

    @unseen, {(what a rule looks for, what it lacked): VMs}, is added to.
    """
    return _judge("vm", Seen(change, snapshot, deep), unseen)


def of_host(change, snapshot, unseen=None):
    """What is wrong with the host; @change is of no VM."""
    return _judge("host", Seen(change, snapshot, True), unseen)


RULES = loaded()
# By what they are about, and whether debugfs may be looked at.
CHOSEN = {(scope, deep): [(name, rule) for name, rule in zip(NAMES, RULES)
                          if rule.SCOPE == scope and (deep or not getattr(rule, "DEEP", False))]
          for scope in ("vm", "host") for deep in (False, True)}
