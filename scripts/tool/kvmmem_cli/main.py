# SPDX-License-Identifier: GPL-2.0
"""From the command line to the exit status."""

import os
import signal
import sys

from .errors import Failure
from .options import arguments
from .stat import stat
from .table import table


def main(argv=None):
    """Run the tool; returns the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.stdout.reconfigure(errors="backslashreplace")
    args = arguments(argv)
    try:
        {None: table, "stat": stat}[args.command](args)
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
