# SPDX-License-Identifier: GPL-2.0
"""A reading as text for Prometheus, in both of its formats.

prometheus_client checks names, writes what stands above the samples, and chooses the
format. Its way of writing samples takes 3 us for each, which for 500 VMs is more than
a tenth of a processor: so the samples are written here, and the tests hold them
against what the library makes of them.
"""

import collections
import importlib
import re

from . import VERSION, metrics
from .errors import Failure

TEXT, OPENMETRICS = "text", "openmetrics"


def library(name="exposition"):
    """A module of prometheus_client."""
    try:
        return importlib.import_module(f"prometheus_client.{name}")
    except ImportError:
        raise Failure("the Python library prometheus_client is missing; install "
                      "python3-prometheus-client") from None


class Heads:
    """What stands above the samples of a family, by format."""

    def __init__(self):
        self.core = library("metrics_core")
        self.writers = {TEXT: library().generate_latest,
                        OPENMETRICS: library("openmetrics.exposition").generate_latest}
        self.known = {}

    def of(self, family, form):
        """Its lines."""
        if (family.name, form) not in self.known:
            metric = self.core.Metric(family.name, family.help, family.kind, family.unit)
            self.known[family.name, form] = self.writers[form](
                _One(metric)).decode().replace("# EOF\n", "")
        return self.known[family.name, form]


class _One:
    """A registry of one metric."""

    def __init__(self, metric):
        self.metric = metric

    def collect(self):
        """As the library wants it."""
        return [self.metric]


def escaped(text):
    """The value of a label."""
    return str(text).replace("\\", r"\\").replace("\n", r"\n").replace('"', r'\"')


def labels(pairs):
    """name="value",... of pairs."""
    return ",".join(f'{name}="{escaped(value)}"' for name, value in pairs)


class Domains:
    """What VMs are called, no two of them alike.

    VMs that share a name and a UUID, or the lack of one, get their ids as well; but who
    was there before keeps his name, as his series would end.
    """

    def __init__(self):
        self.known = {}

    def give(self, vms):
        """{vm: name}."""
        keys = {vm: (vm.id, vm.label, vm.uuid) for vm in vms}
        found = {vm: self.known[key] for vm, key in keys.items() if key in self.known}
        uses = collections.Counter(key[1:] for vm, key in keys.items()
                                   if found.get(vm) in (None, vm.label))
        taken = {(name, vm.uuid) for vm, name in found.items()}
        for vm, key in keys.items():
            if vm in found:
                continue
            name = vm.label if uses[key[1:]] == 1 else f"{vm.label} ({vm.id})"
            # Somebody may be called like another with his id.
            while (name, vm.uuid) in taken:
                name += f" ({vm.id})"
            found[vm] = name
            taken.add((name, vm.uuid))
        self.known = {keys[vm]: name for vm, name in found.items()}
        return found


def _by_row(owners):
    """{type: [(labels, row)]} of [(labels, {type: row})]."""
    found = collections.defaultdict(list)
    for common, rows in owners:
        for kind, row in rows.items():
            found[kind].append((common, row))
    return found


def _member_lines(family, member, owners):
    """The samples of a member, of [(labels, row)]; what is no number has none."""
    names = family.label if isinstance(family.label, tuple) else (family.label,)
    values = member.value if isinstance(member.value, tuple) else (member.value,)
    own = labels((name, value) for name, value in zip(names, values) if name and value)
    begin, end = family.name + ("_total" if family.kind == "counter" else member.suffix), " "
    if own or owners[0][0]:
        begin, end = begin + "{" + own + ("," if own and owners[0][0] else ""), "} "
    column, factor = member.column, metrics.factor(member.row, member.column)
    # Thousands of times; only an int is a number here, and it is written as exactly as
    # the module says it: 3 us are 3e-06 s and not 2.9999999999999997e-06.
    # pylint: disable=unidiomatic-typecheck
    if factor >= 1:
        return [f"{begin}{common}{end}{value * factor}\n" for common, row in owners
                if type(value := row.get(column)) is int]
    factor = round(1 / factor)
    return [f"{begin}{common}{end}{value / factor}\n" for common, row in owners
            if type(value := row.get(column)) is int]


def _lines(family, by_row):
    """The samples of a family."""
    members = [member for member in family.members if by_row.get(member.row)]
    if family.kind == "summary":
        # All samples of one summary stand together.
        return [line for owner in zip(*(by_row[member.row] for member in members))
                for member, one in zip(members, owner)
                for line in _member_lines(family, member, [one])]
    return [line for member in members
            for line in _member_lines(family, member, by_row[member.row])]


def _host(snapshot):
    """(family, its samples) of the host."""
    rows = metrics.rows_of_host(snapshot)
    facts = labels((name, snapshot.host[name]) for name in ("isa", "ept", "vpid", "thp", "ksm")
                   if snapshot.host.get(name) is not None)
    yield metrics.HOST_INFO, [f'kvmmem_host_info{{{facts}{"," if facts else ""}'
                              f'version="{VERSION}"}} 1\n']
    rows = _by_row([("", rows)])
    for family in metrics.HOST:
        yield family, _lines(family, rows)
    yield metrics.HUGETLB, [
        f"{metrics.HUGETLB.name}{{{labels(zip(metrics.HUGETLB.label, values))}}} {value}\n"
        for values, value in metrics.pools(snapshot.host)]


def _vms(vms, called, per_vcpu):
    """(family, its samples) of VMs, which are @called so."""
    common = {vm: labels((("domain", called[vm]), ("uuid", vm.uuid or ""))) for vm in vms}
    yield metrics.INFO, [
        f"kvmmem_vm_info{{{common[vm]},"
        f"{labels((('vm', vm.id), ('pid', vm.pid), ('mode', vm.one('vm', 'mode') or '')))}}} 1\n"
        for vm in vms]
    rows = _by_row((common[vm], metrics.rows_of_vm(vm)) for vm in vms)
    for family in metrics.VM:
        yield family, _lines(family, rows)
    rows = _by_row((f'{common[vm]},node="{row.get("node")}"', {"numa": row})
                   for vm in vms for row in vm.rows["numa"])
    for family in metrics.NODE:
        yield family, _lines(family, rows)
    if not per_vcpu:
        return
    rows = _by_row((f'{common[vm]},vcpu="{vcpu}"', rows)
                   for vm in vms for vcpu, rows in metrics.rows_of_vcpus(vm).items())
    for family in metrics.VCPU:
        yield family, _lines(family, rows)


def families(snapshot, called, seconds=None, per_vcpu=False):
    """(family, its samples as lines) of a reading and its VMs, {VM: name}.

    @snapshot is None where the module could not be read.
    """
    rows = {"self": {"up": int(snapshot is not None)}}
    yield metrics.UP, [f"kvmmem_up {rows['self']['up']}\n"]
    if seconds is not None:
        yield metrics.SCRAPE, [f"kvmmem_scrape_seconds {seconds:.6f}\n"]
    if snapshot is not None:
        yield from _host(snapshot)
        yield from _vms(list(called), called, per_vcpu)


class Writer:
    """Makes the text of readings."""

    def __init__(self, per_vcpu=False):
        self.heads, self.domains, self.per_vcpu = Heads(), Domains(), per_vcpu

    def text(self, form, snapshot, vms, seconds=None):
        """One reading, as bytes."""
        parts = []
        for family, lines in families(snapshot, self.domains.give(vms), seconds,
                                      self.per_vcpu):
            samples = "".join(lines)
            if samples:
                parts += self.heads.of(family, form), samples
        if form == OPENMETRICS:
            parts.append("# EOF\n")
        return "".join(parts).encode("utf-8", "backslashreplace")

    def history(self, readings):
        """Many readings with their times, as OpenMetrics wants it: by series.

        @readings are (snapshot, VMs).
        """
        found = {}
        for snapshot, vms in readings:
            for family, lines in families(snapshot, self.domains.give(vms), None,
                                          self.per_vcpu):
                series = found.setdefault(family.name, (family, {}))[1]
                for line in lines:
                    name = line.rsplit(" ", 1)[0]
                    if family.kind == "summary":
                        # All samples of one moment stand together.
                        name = re.sub(r'^[^{]*{(quantile="[^"]*",)?', "", name)
                    series.setdefault(name, []).append(f"{line[:-1]} {snapshot.wall:.3f}\n")
        for family, series in found.values():
            if series:
                yield self.heads.of(family, OPENMETRICS)
                for lines in series.values():
                    yield "".join(lines)
        yield "# EOF\n"
