# SPDX-License-Identifier: GPL-2.0
"""A recording as series over time: what a report draws."""

import collections

from .columns import CAUSES, INITIATORS, SIZES, find
from .interval import Interval

# Of each VM, by what it is drawn as: (group, name) and where the value is.
RATES = {("", "lost"): find("time.total_us"), ("", "faults"): find("fault.ept_violations"),
         ("fault", "read"): find("fault.read"), ("fault", "write"): find("fault.write"),
         ("fault", "exec"): find("fault.exec"), ("", "refaults"): find("inval.refaults"),
         **{("flush", cause): find(f"vpid.{cause}") for cause in CAUSES},
         **{("inval", name): find(f"inval.{name}") for name in INITIATORS}}
MEMORY = {("memory", name): find(f"vm.{name}_kb") for name in ("resident", "swap", "ksm")}
HOST = {"total": "mem_total_kb", "guests": "guest_kb", "available": "mem_available_kb",
        "swap used": "swap_used_kb"}


def rounded(value):
    """@value with as many digits as an eye can tell on a chart."""
    if value is None or isinstance(value, int):
        return value
    return round(value) if abs(value) >= 100 else float(f"{value:.3g}")


class Series:
    """All series of one VM, each as long as the times are."""

    def __init__(self, vm, length):
        self.vm, self.length = vm, length
        self.values = {}

    def put(self, at, key, value):
        """One value; what was never put is unknown."""
        if value is None:
            return
        if key not in self.values:
            self.values[key] = [None] * self.length
        self.values[key][at] = rounded(value)

    def group(self, group):
        """{name: values} of a group in which anything is more than 0."""
        return {name: values for (found, name), values in self.values.items()
                if found == group and any(values)}


class History:
    """The whole of it."""

    def __init__(self, source, points, wanted):
        self.source = source
        there = source.there
        # Evenly by number, with the first and the last.
        count = min(points + 1, len(there))
        numbers = sorted({round(at * (len(there) - 1) / max(1, count - 1))
                          for at in range(count)})
        self.times = [there[number][1] for number in numbers[1:]]
        self.readings = len(there)
        self.host = {name: [] for name in HOST}
        self.vms = {}
        self.begin, self.end = there[0][1], there[-1][1]
        old = source.at(numbers[0])
        for at, number in enumerate(numbers[1:]):
            new = source.at(number)
            self._take(at, Interval(old, new, wanted))
            old = new
        self.last = old

    def _take(self, at, step):
        for name, fact in HOST.items():
            self.host[name].append(step.new.host.get(fact))
        rates = [(key, column) for key, column in RATES.items() if step.new.has(column)]
        for change in step.changes:
            vm = change.vm
            series = self.vms.get(vm.id)
            if series and change.began and not series.vm.may_be(vm):
                # The host booted meanwhile, and gives ids again.
                self.vms[f"{vm.id} before {len(self.vms)}"] = series
                series = None
            if series is None:
                series = self.vms[vm.id] = Series(vm, len(self.times))
            series.vm = vm
            for key, column in rates:
                series.put(at, key, change.rate(column))
            for key, column in MEMORY.items():
                series.put(at, key, vm.value(column))
            for layer in ("host", "ept"):
                for size in SIZES:
                    series.put(at, (layer, size), vm.total("backing", f"{layer}_{size}_kb"))

    def labels(self):
        """{VM's id: what to call it}: its name, if that is its alone."""
        names = collections.Counter(series.vm.label for series in self.vms.values())
        found = {}
        for ident, series in self.vms.items():
            label = series.vm.label
            # One may be called like another with his id.
            while names[label] > (label == series.vm.label):
                label += f" ({ident})"
            found[ident] = label
        return found

    def sums(self, group, names):
        """{name: values} over all VMs."""
        found = {}
        for name in names:
            columns = [series.values[group, name] for series in self.vms.values()
                       if (group, name) in series.values]
            if columns:
                sums = [rounded(sum(value or 0 for value in values)) for values in zip(*columns)]
                if any(sums):
                    found[name] = sums
        return found

    def events(self):
        """(time, VM's id or "", words), in order."""
        return sorted(event for event in self.source.events()
                      if self.begin <= event[0] <= self.end)
