# SPDX-License-Identifier: GPL-2.0
"""Recordings that end at any instant; run with crash.c preloaded, or without.

    crash.py DIRECTORY writes LIBRARY   end at each write of a small recording
    crash.py DIRECTORY kill COUNT       kill -9 at random instants

Prints as JSON what was tried, and what was not as it should be.
"""

import ctypes
import json
import os
import pathlib
import random
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
import case
from kvmmem_cli import parse, replay, store
from kvmmem_cli.errors import Failure
from kvmmem_cli.snapshot import Snapshot
from kvmmem_cli.wide import json_text

FIRST = 1e9         # the time of the first reading
LAST = 7            # readings in a small recording


def text(number):
    """The reading of that number: counters grow, a VM and tags come and go."""
    vms = [case.WEB, case.DB][:1 + number // 2 % 2]
    return case.full(
        vm=vms, fault=[case.row(vm["id"], read=number * 7, write=number) for vm in vms],
        vpid=[case.row("4121-11", vcpu=vcpu, vpid=vcpu + number // 3, entries=number)
              for vcpu in range(3)])


def same(found, number):
    """Is this what was read?"""
    wanted = Snapshot(parse.proc_file(text(number).encode()), number, FIRST + number)
    return json_text(found, found.vms.values()) == json_text(wanted, wanted.vms.values())


def record(path, last, committed):
    """Record readings, telling each that is committed."""
    writer = store.Writer(path, 1.0, "6.1", "0")
    writer.base.execute("PRAGMA wal_autocheckpoint = 6")
    before = writer.tick
    for number in range(before, last):
        writer.add(FIRST + number, number, text(number).encode())
        if number % 5 == 4:
            writer.forget(FIRST + number - 3)
        os.write(committed, b".")
    writer.close()


def complaint(path, committed):
    """What is wrong with a recording in which so many readings were committed; or None."""
    try:
        source = replay.Replay(path)
    except Failure as error:
        begun = "nothing in it yet" in str(error) or "no such file" in str(error)
        return None if not committed and begun else str(error)
    last = source.there[-1][0]
    if not committed <= last <= committed + 1:
        return f"{committed} readings were committed, the last one there is {last}"
    for number, (tick, *_) in enumerate(source.there):
        if not same(source.at(number), tick - 1):
            return f"reading {tick} is not as it was"
    source.base.close()
    return None


def child(path, last, prepare):
    """Record in a process of its own; (process, pipe that tells what is committed)."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        store.WHOLE = 3     # so that a small recording has several of them
        prepare()
        try:
            record(path, last, theirs)
        except Exception:   # pylint: disable=broad-exception-caught
            os._exit(1)
        os._exit(0)
    os.close(theirs)
    return pid, ours


def committed_by(pid, pipe):
    """(its end, how many readings it committed)."""
    _pid, status = os.waitpid(pid, 0)
    with open(pipe, "rb") as file:
        return os.waitstatus_to_exitcode(status), len(file.read())


def at_each_write(directory, library):
    """End at each write, before and in the middle of it; and a full disk from it on."""
    shim = ctypes.CDLL(library)
    tried, bad = 0, []
    for how in (0, 1, 2):
        for at in range(1, 10000):
            path = f"{directory}/{how}-{at}"

            def prepare(at=at, how=how):
                for name, value in (("seen", 0), ("how", how), ("at", at)):
                    ctypes.c_int.in_dll(shim, f"crash_{name}").value = value

            end, committed = committed_by(*child(path, LAST, prepare))
            if end == 0:
                break
            tried += 1
            why = complaint(path, committed)
            if why is None and at % 4 == 0:
                # It can be continued, too.
                end, more = committed_by(*child(path, LAST, lambda: None))
                why = complaint(path, LAST) if end == 0 else f"going on failed, {more} more"
            if why:
                bad.append(f"{('before', 'in', 'full disk at')[how]} write {at}: {why}")
            for name in pathlib.Path(directory).glob(f"{how}-{at}*"):
                name.unlink()
    return tried, bad


def at_random(directory, count):
    """Kill it."""
    bad, path = [], f"{directory}/random"
    for turn in range(count):
        for name in pathlib.Path(directory).glob("random*"):
            name.unlink()
        pid, pipe = child(path, 100000, lambda: None)
        time.sleep(random.Random(turn).random() * 0.06)
        os.kill(pid, signal.SIGKILL)
        why = complaint(path, committed_by(pid, pipe)[1])
        if why:
            bad.append(f"kill {turn}: {why}")
    return count, bad


if __name__ == "__main__":
    where, what, argument = sys.argv[1:]
    print(json.dumps(at_each_write(where, argument) if what == "writes" else
                     at_random(where, int(argument))))
