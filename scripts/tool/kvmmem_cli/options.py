# SPDX-License-Identifier: GPL-2.0
"""What the command lines of all views have in common."""

import argparse
import re
import sys
import time

from . import columns
from .errors import Failure
from .source import Copies, Live
from .units import safe

FORMATS = {"allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter}


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message):
        print(f"{self.prog}: {safe(message)}; see {self.prog} --help", file=sys.stderr)
        sys.exit(2)


def sort_column(text):
    """A column by its title, or by its name in /proc/kvmmem."""
    found = columns.find(text)
    if found:
        return found
    raise argparse.ArgumentTypeError(f"no column '{text}', there are: {columns.TITLES}")


def number(least, most):
    """A type of option: a number of seconds or the like."""
    def parse(text):
        if not re.fullmatch(r"[0-9]*\.?[0-9]+", text) or not least <= float(text) <= most:
            raise argparse.ArgumentTypeError(f"'{text}' is not a number from {least:g} to "
                                             f"{most:g}")
        return float(text)
    return parse


interval = number(0.05, 86400)


def count(text):
    """A number of intervals."""
    if not re.fullmatch(r"0*[1-9][0-9]{0,8}", text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 1 on")
    return int(text)


def moment(text):
    """A time, which means something only together with the recording's end."""
    from . import replay                # pylint: disable=import-outside-toplevel
    try:
        replay.moment(text, time.time())
    except Failure as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


VM = {"metavar": "ID|NAME|PID|UUID", "action": "append",
      "help": "only this VM; may be repeated"}
FILE = {"metavar": "PATH", "action": "append",
        "help": "read a saved copy of /proc/kvmmem, '-' for standard input; names are then "
                "those of the processes"}
FROM = {"metavar": "FILE", "dest": "recording",
        "help": "look at what 'kvmmem record' wrote into FILE"}


def add_source(parser, below=True, file=True):
    """Options that say of what VMs and from where; @below: of a subcommand.

    A subparser's defaults overwrite what was given before the command, so it has none.
    """
    extra = {"default": argparse.SUPPRESS} if below else {}
    group = parser.add_argument_group("what to read")
    if below:
        # Joined with those before the command, in source_of().
        group.add_argument("--vm", dest="more_vm", default=[], **VM)
    else:
        group.add_argument("--vm", default=[], **VM)
    if file:
        group.add_argument("--file", **FILE, **extra)
    group.add_argument("--from", **FROM, **extra)
    for name, what in (("begin", "leave out what is before TIME"),
                       ("end", "leave out what is after TIME: HH:MM[:SS] on the recording's "
                               "last day, a date and time, or 10m, 2h, 1d before its end")):
        group.add_argument(f"--{name}", metavar="TIME", type=moment, help=f"with --from: {what}", **extra)


def source_of(args):
    """Where to read from, as the command line says."""
    if args.recording:
        from .replay import Replay      # pylint: disable=import-outside-toplevel
        return Replay(args.recording, args.begin, args.end)
    return Copies(args.file) if args.file else Live()
