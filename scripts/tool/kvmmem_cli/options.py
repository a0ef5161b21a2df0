# SPDX-License-Identifier: GPL-2.0
"""The command line."""

import argparse
import re
import sys

from .columns import COLUMNS, TITLES
from .units import safe


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message):
        print(f"{self.prog}: {safe(message)}; see {self.prog} --help", file=sys.stderr)
        sys.exit(2)


def sort_column(text):
    """A column by its title, or by its name in /proc/kvmmem."""
    known = {c.name: c for c in COLUMNS} | {c.title.lower(): c for c in COLUMNS}
    if text.lower() in known:
        return known[text.lower()]
    raise argparse.ArgumentTypeError(f"no column '{text}', there are: {TITLES}")


def interval(text):
    """A number of seconds that is worth a measurement."""
    if not re.fullmatch(r"[0-9]*\.?[0-9]+", text) or not 0.05 <= float(text) <= 86400:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 0.05 to 86400")
    return float(text)


def count(text):
    """A number of intervals."""
    if not re.fullmatch(r"0*[1-9][0-9]{0,8}", text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 1 on")
    return int(text)


TABLE_HELP = f"""\
Exit status: 0 done, 1 failure at run time, 2 wrong usage.
Columns to sort by: {TITLES}"""

STAT_HELP = """\
The lines with "total" are counts since kvmmem first saw each VM (vmstat, too,
begins with totals). All others are rates per second over the real length of
the interval. COUNT counts intervals, without the totals. A VM that is new in
an interval counts from 0; a VM that went away is "gone". With --csv there are
no totals, the columns are always the same, and what is unknown is empty."""


def parser():
    """The command line: a subcommand is one add_parser() and one function."""
    common = {"allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter}
    vm = {"metavar": "ID|NAME|PID", "action": "append", "default": [],
          "help": "only this VM; may be repeated"}
    file = {"metavar": "PATH", "help": "read a saved copy of /proc/kvmmem; names are then those "
                                       "of the processes"}
    top = Parser(prog="kvmmem", epilog=TABLE_HELP, **common, description="The memory "
                 "virtualization of this KVM host's VMs. Without a command: a table of all VMs.")
    top.add_argument("--vm", **vm)
    top.add_argument("--file", **file)
    top.add_argument("--sort", metavar="COLUMN", type=sort_column,
                     help="order of the table: amounts from the biggest, names from A")
    form = top.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="exact values, for programs")
    form.add_argument("--raw", action="store_true", help="/proc/kvmmem as it is")
    commands = top.add_subparsers(metavar="COMMAND", dest="command", title="commands")
    sub = commands.add_parser("stat", help="rates over intervals, like vmstat", **common,
                              description="Faults and TLB flushes a second, for each VM.",
                              epilog=STAT_HELP)
    sub.add_argument("-i", dest="interval", metavar="SECONDS", type=interval, default=1.0,
                     help="length of an interval (1)")
    sub.add_argument("-n", dest="count", metavar="COUNT", type=count,
                     help="stop after COUNT intervals (never)")
    sub.add_argument("--csv", action="store_true", help="for programs; times are UTC")
    # A subparser's defaults overwrite what was given before the command.
    sub.add_argument("--vm", dest="more_vm", **vm)
    sub.add_argument("--file", **file, default=argparse.SUPPRESS)
    return top


def arguments(argv):
    """The parsed command line, if its parts go together."""
    top = parser()
    args = top.parse_args(argv)
    if args.raw and (args.vm or args.sort):
        top.error("--raw prints the whole file; it does not go with --vm and --sort")
    if args.command:
        if args.sort or args.json or args.raw:
            top.error(f"--sort, --json and --raw do not go with '{args.command}'")
        args.vm = args.vm + args.more_vm
    return args
