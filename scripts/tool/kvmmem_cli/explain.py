# SPDX-License-Identifier: GPL-2.0
"""kvmmem explain: what is wrong, by what numbers, and what to do about it."""

import json
import shutil
import textwrap

from . import rules
from .interval import Change, Interval
from .options import add_source, interval, source_of
from .units import safe
from .wide import cut_line, stamp

SAMPLE = 1.0
HELP = """\
Each rule has a threshold and a source for it; --rules prints them. Rates are
taken over a second; a recording's are those of the last two readings before
--end. What could not be seen is said at the end: it is not the same as nothing
being wrong there."""


def add(parser):
    """The options of explain."""
    parser.description = "What is wrong with this host's VMs, in sentences."
    parser.epilog = HELP
    parser.add_argument("only", metavar="VM", nargs="*", default=[],
                        help="only these VMs: id, name, pid or UUID")
    parser.add_argument("--sample", metavar="SECONDS", type=interval,
                        help=f"how long to look for rates ({SAMPLE:g})")
    parser.add_argument("--rules", action="store_true", help="the rules, and nothing else")
    parser.add_argument("--json", action="store_true", help="for programs")
    add_source(parser)


def check(args):
    """Do the options go together?"""
    args.vm = args.vm + args.only


def paragraph(text, first, more):
    """@text as wide as the screen."""
    width = min(100, max(40, shutil.get_terminal_size((80, 24)).columns))
    return textwrap.fill(text, width, initial_indent=first, subsequent_indent=more,
                         break_on_hyphens=False)


def print_findings(name, found):
    """One VM, or the host."""
    print(f"{name}:")
    for finding in found:
        print(paragraph(finding.text[:1].upper() + finding.text[1:], "  * ", "    "))
        for line in finding.evidence:
            print(paragraph(safe(line), "      - ", "        "))
        print(paragraph(f"What to do: {finding.remedy}.", "    ", "    "))
    print()


def unseen_lines(unseen, vms):
    """What no rule could look at, together where it is the same."""
    by_lack = {}
    for (about, lack), where in unseen.items():
        labels = [safe(vm.label) for vm in where if vm]
        whose = "" if len(labels) in (0, vms) else \
            f" (of {', '.join(labels[:3])}{', ...' if len(labels) > 3 else ''})"
        by_lack.setdefault(lack, []).append(about + whose)
    for lack, abouts in by_lack.items():
        yield f"{', '.join(abouts)}: unknown without {lack}"


class Judgement:
    """All that the rules say of an interval, or of one reading."""

    def __init__(self, old, new, wanted):
        self.snapshot = new
        rated = new is not old
        changes = Interval(old, new, wanted).changes if rated else \
            [Change(vm, None, 1, False) for vm in new.select(wanted)]
        self.unseen = {}
        self.host = rules.of_host(Change(None, None, 1, rated), new, self.unseen)
        self.vms = {change.vm: rules.of_vm(change, new, True, self.unseen)
                    for change in changes}

    def print(self):
        """For people."""
        if self.snapshot.cut:
            print(paragraph(cut_line(self.snapshot), "", ""), end="\n\n")
        if self.host:
            print_findings("The host", self.host)
        for vm, found in self.vms.items():
            if found:
                print_findings(f"VM {safe(vm.label)} ({safe(vm.id)})", found)
        bad = sum(bool(found) for found in self.vms.values())
        fine = len(self.vms) - bad
        if not self.vms:
            print("There is no VM.")
        elif not bad and not self.host:
            print(f"Nothing is wrong with {'the VM' if fine == 1 else f'the {fine} VMs'} that "
                  "could be seen.")
        elif fine:
            print(f"Nothing is wrong with {'one other VM' if fine == 1 else f'{fine} others'}."
                  if bad else f"Nothing is wrong with the VMs themselves ({fine}).")
        lines = list(unseen_lines(self.unseen, len(self.vms)))
        if lines:
            print("\nNot seen:")
            for line in lines:
                print(paragraph(line, "  - ", "    "))

    def json(self):
        """For programs."""
        def form(found):
            return [{"rule": one.rule, "text": one.text, "evidence": one.evidence,
                     "remedy": one.remedy} for one in found]

        print(json.dumps({
            "time": stamp(self.snapshot.wall), "host": form(self.host),
            "vms": [{"id": vm.id, "name": vm.name, "uuid": vm.uuid, "findings": form(found)}
                    for vm, found in self.vms.items()],
            "not_seen": [{"what": about, "why": lack, "vms": [vm.id for vm in where if vm]}
                         for (about, lack), where in self.unseen.items()]}, indent=2))


def print_rules():
    """What there is, by what threshold and from where."""
    for rule in rules.RULES:
        print(f"{rule.__name__.rpartition('.')[2]} ({rule.SCOPE}): {rule.ABOUT}")
        print(paragraph(f"threshold {rule.THRESHOLD:g}: {rule.SOURCE}", "    ", "    "))


def run(args):
    """kvmmem explain."""
    if args.rules:
        print_rules()
        return
    source = source_of(args)
    old, new = (list(source.pair(args.sample or SAMPLE)) * 2)[:2]
    vms = new.must_select(args.vm)
    if source.detail:
        source.detail.give(new, vms, walks=True)
    judgement = Judgement(old, new, args.vm)
    if args.json:
        judgement.json()
    else:
        judgement.print()
