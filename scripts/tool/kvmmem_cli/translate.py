# SPDX-License-Identifier: GPL-2.0
"""kvmmem translate: the chain of page tables for one address."""

import errno
import json
import re

from . import one
from .errors import Failure
from .units import safe, show, show_age, show_size

HELP = """\
The chain is: the guest's own tables, the memory slot, the host's tables, and
KVM's tables (EPT or NPT), which have to lead where the others do together.
Flags: present, read, write, execute, user, accessed, dirty, size (a large page).
It asks the running module, so --from does not go with it. Nothing is brought
into memory for it.

examples:
  kvmmem translate web 0xffff888000100000       of vCPU 0, guest-virtual
  kvmmem translate web --vcpu 3 0x7f0012345678
  kvmmem translate web --gpa 0x100000"""

WIDTH = 80
VERDICTS = {
    "agree": "KVM's tables and the host's lead to the same page.",
    "kvm-not-yet": "The host has the page, and KVM has not mapped it yet: the next access is a "
                   "fault.",
    "no-page": "Nobody has a page there: the next access brings one.",
    "differ": "KVM's tables and the host's lead to DIFFERENT pages.",
    "kvm-only": "KVM maps a page there that the host does NOT.",
    "no-slot": "The guest has no memory there: it is a device's, or nothing.",
    "no-gpa": "The guest's own tables lead nowhere.",
    "unknown": "Not all layers can be walked here.",
}
WHY = {
    "shadow-mmu": "cannot be walked: this VM runs on KVM's older MMU",
    "no-root": "no vCPU has any at the moment", "gone": "the VM is gone",
    "not-walked": "the walk was stopped",
}


def address(text):
    """An address, as the module takes it."""
    if not re.fullmatch(r"0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20}", text) or int(text, 0) >> 64:
        raise ValueError
    return int(text, 0)


address.__name__ = "address"


def add(parser):
    """The options of translate."""
    parser.description = "The chain of page tables for an address of a VM."
    parser.epilog = HELP
    one.add(parser)
    parser.add_argument("address", metavar="ADDRESS", type=address,
                        help="decimal, or hexadecimal with 0x; guest-virtual, if nothing else "
                             "is said")
    parser.add_argument("--vcpu", metavar="N", type=int, help="in whose address space (0)")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--gpa", action="store_true", help="the address is guest-physical")
    kind.add_argument("--hva", action="store_true", help="it is one of the VM's process")


def check(args):
    """Do the options go together?"""
    one.check(args)
    if args.vcpu is not None and (args.gpa or args.hva):
        args.error("--vcpu goes with guest-virtual addresses only")
    if args.vcpu is not None and not 0 <= args.vcpu < 1 << 32:
        args.error(f"--vcpu: {args.vcpu} is no vCPU")


def ask(vm, directory, question):
    """The module's answer."""
    try:
        return one.rows(directory, vm, "translate", question)
    except OSError as error:
        vcpu = question.split()[1]
        said = {errno.ENOENT: f"VM {safe(vm.label)} has no vCPU {vcpu}",
                errno.EOPNOTSUPP: f"the guest of VM {safe(vm.label)} is encrypted: its tables "
                                  "cannot be read, but --gpa and --hva work",
                errno.EAGAIN: f"vCPU {vcpu} of VM {safe(vm.label)} did not say its registers: it "
                              "does not leave the guest, or runs a guest of its guest; try again",
                errno.ESRCH: f"VM {safe(vm.label)} has just ended"}
        if error.errno == errno.ENOENT and not error.filename or \
                error.errno in said and error.errno != errno.ENOENT:
            raise Failure(said[error.errno]) from None
        raise one.why_not(vm, "translate", error) from None


def size(kb):
    """What a page is called."""
    return f"{show_size(kb).replace('.0', '')} page" if kb else "no page"


def step_line(layer, row):
    """A step: where the entry is, what it leads to, and its flags."""
    leads = row["why"].replace("-", " ") if row["why"] else row["leads_to"]
    level = f"{row['table']:<5} {row.get('gpa') or row.get('hpa')}"
    mark = " <-- ends" if row["why"] else ""
    return f"{layer:<6} {level:<26} {row['flags']:<8} -> {leads}{mark}"


def steps(layer, rows, none):
    """All steps of a layer, its name in the first line only."""
    for number, row in enumerate(rows):
        if row["level"] is None:
            yield f"{layer:<6} {WHY.get(row['why'], none)}"
        else:
            yield step_line("" if number else layer, row)


def result(text):
    """What a layer comes to."""
    return f"{'':<6} = {text}"


def guest_lines(rows):
    """The guest's own layer."""
    regs, verdict = rows["regs"][0], rows["verdict"][0]
    age = "" if regs["age_us"] is None else \
        f" {show('busy', regs['age_us'])} ago" if regs["age_us"] < 1000000 else \
        f" {show_age(regs['age_us'] // 1000)} ago"
    how = "asked" if regs["from"] == "asked" else "at its last exit,"
    yield f"{'vCPU':<6} paging {regs['mode']}, CR3 {regs['cr3']} ({how}{age})"
    if regs["l2"] == "yes":
        yield f"{'':<6} It runs a guest of its own; this is the chain of L1."
    yield from steps("guest", rows["guestpt"], "")
    if verdict["gpa"]:
        yield result(f"guest-physical {verdict['gpa']}" +
                     (f", {size(verdict['guest_kb'])}" if verdict["guest_kb"] else ""))


def lines(rows):
    """The drawing, a step a line."""
    verdict = rows["verdict"][0]
    if rows.get("regs"):
        yield from guest_lines(rows)
    for row in rows.get("slot", ()):
        more = f", and {row['slots'] - 1} more" if row["slots"] > 1 else ""
        flags = f", {row['flags']}" if row["flags"] else ""
        yield f"{'slot':<6} {row['slot']}: {show_size(row['size_kb'])} at {row['gpa']}" \
              f"{flags}{more}"
    if verdict["hva"]:
        yield result(f"host-virtual {verdict['hva']}")
    yield from steps("host", rows.get("hostpt", ()), "")
    for row in rows.get("page", ()):
        where = f", node {row['node']}" if row["node"] is not None else ""
        yield result(f"host-physical {row['hpa']}, {size(row['size_kb'])}, {row['kind']}{where}"
                     if row["hpa"] else f"no page: {row['state']}")
    if verdict["gpa"]:
        yield from steps("KVM", rows.get("kvmpt", ()), "nothing is mapped")
        if verdict["kvm_hpa"]:
            bad = " <-- NOT THE SAME" if verdict["verdict"] in ("differ", "kvm-only") else ""
            yield result(f"host-physical {verdict['kvm_hpa']}, {size(verdict['kvm_kb'])}{bad}")
    yield ""
    yield VERDICTS.get(verdict["verdict"], safe(verdict["verdict"]))


def run(args):
    """kvmmem translate."""
    vm, directory = one.find(args.name)
    kind = "gpa" if args.gpa else "hva" if args.hva else "gva"
    words = [kind, str(args.vcpu or 0)] if kind == "gva" else [kind]
    rows = ask(vm, directory, f"{' '.join(words)} {args.address:#x}")
    if args.json:
        print(json.dumps({"id": vm.id, "name": vm.name} | rows, indent=2))
        return
    names = {"gva": f"guest-virtual of vCPU {args.vcpu or 0}", "gpa": "guest-physical",
             "hva": "host-virtual"}
    print(f"VM {safe(vm.label)}, {args.address:#x}, {names[kind]}:\n")
    for line in lines(rows):
        print(line[:WIDTH].rstrip() if len(line) > WIDTH else line.rstrip())
