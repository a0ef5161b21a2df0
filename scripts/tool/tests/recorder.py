# SPDX-License-Identifier: GPL-2.0
"""Record the files reading0, reading1, ... of a directory, and end.

    recorder.py DIRECTORY COUNT
"""

import pathlib
import sys
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from kvmmem_cli.main import main


def record(proc, count):
    """Each file in its turn, without the time in between."""
    names = iter([proc / f"reading{at}" for at in range(count)])

    def turn(_deadline=None):
        name = next(names, None)
        if name is None:
            raise KeyboardInterrupt
        (proc / "kvmmem").unlink(missing_ok=True)
        (proc / "kvmmem").hardlink_to(name)

    turn()
    with mock.patch("kvmmem_cli.record.wait_until", turn), \
            mock.patch("kvmmem_cli.record.hold_ends"):
        return main(["record", "-o", str(proc / f"recording{count}")])


if __name__ == "__main__":
    sys.exit(record(pathlib.Path(sys.argv[1]), int(sys.argv[2])))
