# SPDX-License-Identifier: GPL-2.0
"""Costs of Python's programs, in instructions in user space: valgrind counts them, and
finds the same number on a busy machine.

A processor of today does some 8,000 million of the interpreter's instructions a second
(measured with a loop that adds numbers).
"""

import os
import re
import subprocess

PER_SECOND = 8000       # millions
# What a program's own arguments follow.
COUNTED = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null",
           "/usr/bin/python3")
# Else the order of sets, and with it the count, would be another each time.
ENV = {"PYTHONHASHSEED": "0"}


def millions(said):
    """The count in what valgrind says at the end."""
    count, = re.findall(r"I +refs: +([\d,]+)", said)
    return int(count.replace(",", "")) / 1e6


def of_run(env, *argv):
    """The millions of instructions that a program takes from its start to its end."""
    done = subprocess.run([*COUNTED, *argv], env={**os.environ, **env, **ENV}, timeout=300,
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"{argv} ended with {done.returncode}: {done.stderr}")
    return millions(done.stderr)
