# SPDX-License-Identifier: GPL-2.0
"""Views of one running VM's files in debugfs, asked for by name."""

from . import parse
from .detail import place
from .errors import Failure
from .source import Live
from .units import safe


def add(parser):
    """What such views have in common."""
    parser.add_argument("name", metavar="VM", help="id, name, pid or UUID")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(more_vm=[])


def check(args):
    """Do the options go together?"""
    if args.recording or args.file:
        args.error(f"'{args.command}' asks the running module; --from and --file do not go "
                   "with it")
    if args.vm:
        args.error(f"'{args.command}' wants the VM after it, and no --vm")


def find(name):
    """The VM, and the directory of kvmmem in debugfs."""
    source = Live()
    found = source.read().must_select([name])
    if len(found) > 1:
        raise Failure(f"'{safe(name)}' is the name of {len(found)} VMs; give the id of one")
    return found[0], source.detail.debugfs


def rows(directory, vm, file, question=None):
    """{type: rows} of a file; of one that is asked, its answer."""
    path = f"{directory}/{place(vm.id, file)}"
    with open(path, "r+b" if question else "rb", buffering=0) as there:
        if question:
            there.write(question.encode())
        data = b""
        while piece := there.read(1 << 16):
            data += piece
    return parse.debugfs_file(data)


def why_not(vm, file, error):
    """A Failure that says what to do about an OSError."""
    if isinstance(error, FileNotFoundError):
        return Failure(f"VM {safe(vm.label)} has no '{file}' in debugfs: is debugfs mounted, and "
                       "the module new enough?")
    if isinstance(error, PermissionError):
        return Failure(f"'{file}' of VM {safe(vm.label)} is refused: it takes root with "
                       "CAP_SYS_ADMIN, and a kernel that is not locked down")
    return Failure(f"'{file}' of VM {safe(vm.label)}: {(error.strerror or str(error)).lower()}")
