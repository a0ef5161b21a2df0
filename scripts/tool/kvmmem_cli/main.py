# SPDX-License-Identifier: GPL-2.0
"""From the command line to the exit status."""

import importlib
import os
import signal
import sys

from . import VERSION
from .columns import TITLES
from .errors import Failure
from .options import FORMATS, Parser, add_source

# A view is a module of that name, with add(parser) and run(args).
HOME = "overview"
VIEWS = {"stat": "rates over intervals, like vmstat",
         "top": "all VMs on a full screen, refreshed",
         "record": "write all of it into a file, to look at it later",
         "report": "a recording in charts, for a browser",
         "explain": "what is wrong, in sentences",
         "export": "for Prometheus: a port, or a file",
         "translate": "the chain of page tables for an address",
         "align": "how page sizes of guest, KVM and host go together"}

HELP = f"""\
examples:
  kvmmem                        what matters of each VM, on one screen
  kvmmem --wide --sort swap     all that is known, who swaps most first
  kvmmem --vm web --json        one VM, exactly, for programs
  kvmmem stat -i 10             rates, every ten seconds
  kvmmem translate web 0x1000   through all page tables, to the page

Exit status: 0 done, 1 failure at run time, 2 wrong usage.
Columns to sort by: {TITLES}"""


def view(name):
    """The module of a view; only what is used is loaded."""
    return importlib.import_module(f".{name}", __package__)


def parser(argv):
    """The command line.

    Only the options of the view that somebody wants are added, as each that is
    loaded takes time.
    """
    top = Parser(prog="kvmmem", epilog=HELP, **FORMATS, description="The memory virtualization "
                 "of this KVM host's VMs. Without a command: a line for each VM.")
    top.add_argument("--version", action="version", version=f"kvmmem {VERSION}")
    add_source(top, below=False)
    view(HOME).add(top)
    commands = top.add_subparsers(metavar="COMMAND", dest="command", title="commands")
    for name, what in VIEWS.items():
        sub = commands.add_parser(name, help=what, **FORMATS)
        if name in argv:
            view(name).add(sub)
    return top


def arguments(argv):
    """The parsed command line, if its parts go together."""
    top = parser(argv)
    args = top.parse_args(argv)
    chosen = view(args.command or HOME)
    if args.command:
        given = [name for name in view(HOME).OPTIONS if getattr(args, f"home_{name}")]
        if given:
            top.error(f"--{given[0]} and what else is for the table do not go with "
                      f"'{args.command}'; give its own options after it")
        args.vm = args.vm + args.more_vm
    args.error = top.error
    chosen.check(args)
    if args.recording and args.file:
        top.error("--from and --file do not go together")
    if (args.begin or args.end) and not args.recording:
        top.error("--begin and --end go with --from")
    return args, chosen


def main(argv=None):
    """Run the tool; returns the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.stdout.reconfigure(errors="backslashreplace")
    args, chosen = arguments(sys.argv[1:] if argv is None else argv)
    try:
        chosen.run(args)
        sys.stdout.flush()
        return 0
    except KeyboardInterrupt:
        return 0
    except Failure as error:
        print(f"kvmmem: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        # Nothing may be left that Python would try to write again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return 0
        print(f"kvmmem: cannot write the output: {error.strerror.lower()}", file=sys.stderr)
        return 1
