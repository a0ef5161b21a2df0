#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What is given to Prometheus, with Debian's Prometheus; the last line says how many
tests passed.

    test_export.py [--full] [NAME...]

With --full 500 VMs are scraped for a minute, otherwise for 15 seconds.
"""

import os
import pathlib
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

import test_kvmmem      # pylint: disable=wrong-import-position

if __name__ == "__main__":
    args = sys.argv[1:]
    if "--full" in args:
        args.remove("--full")
        os.environ["KVMMEM_SCRAPE_SECONDS"] = "60"
    sys.exit(test_kvmmem.main(args, HERE / "export"))
