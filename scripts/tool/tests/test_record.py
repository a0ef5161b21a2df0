# SPDX-License-Identifier: GPL-2.0
"""kvmmem record, and looking at recordings."""

import argparse
import contextlib
import io
import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time

from case import DB, TOOL, TREE, WEB, Stat, full, one_vm, row, table, two_vms
from kvmmem_cli import parse, replay, stat, store
from kvmmem_cli.snapshot import Snapshot
from kvmmem_cli.wide import json_text


class Recording(Stat):
    """A recording in a directory."""

    def setUp(self):
        super().setUp()
        self.path = str(self.proc / "recording")

    def write(self, texts, apart=10, start=1e9):
        """A recording of files, so many seconds apart; returns the readings."""
        writer = store.Writer(self.path, apart, "6.1", "0")
        found = []
        for number, text in enumerate(texts):
            wall, clock = start + number * apart, float(number * apart)
            writer.add(wall, clock, text.encode())
            found.append(Snapshot(parse.proc_file(text.encode()), clock, wall))
        writer.close()
        return found

    def wait_for(self, count, which="gone ISNULL"):
        """Until the recording has more than so many readings; returns how many."""
        for _ in range(600):
            with contextlib.suppress(sqlite3.Error), contextlib.closing(
                    sqlite3.connect(self.path)) as base:
                there, = base.execute(f"SELECT count(*) FROM reading WHERE {which}").fetchone()
                if there > count:
                    return there
            time.sleep(0.05)
        raise AssertionError("nothing is recorded")


class Record(Recording):
    """What is written, and what comes back."""

    def test_replay_prints_what_was_printed_live(self):
        texts = [full(fault=[row("4121-11", read=at * 10, write="-"), row("5210-14", read=at)],
                      vm=[WEB, DB][at % 3 == 2:], host={"lost": at // 4})
                 for at in range(12)]
        live = self.write(texts)
        args = argparse.Namespace(vm=[], columns=None, rows=None, sort=None, top=None,
                                  exact=False)
        for form in ("csv", "json", "text"):
            printed = []
            for steps in (iter(live), replay.Replay(self.path).steps()):
                out = io.StringIO()
                with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                    stat.report_on(steps, argparse.Namespace(
                        **vars(args), csv=form == "csv", json=form == "json"))
                printed.append(out.getvalue())
            self.assertEqual(printed[0], printed[1])
            self.assertGreater(printed[0].count("\n"), 19)
        copy = self.put(texts[-1], "copy")
        for form in ("--json", "--wide"):
            one, two = self.output(form, "--file", copy), self.output(form, "--from", self.path)
            self.assertEqual(*(text.split('"host"')[-1] for text in (one, two)))

    def test_rows_in_the_order_that_they_had(self):
        orders = [["4121-11", "5210-14"], ["5210-14", "4121-11"], ["5210-14", "4121-11"]]
        vms = {"4121-11": WEB, "5210-14": DB}
        live = self.write([full(vm=[vms[name] for name in order], vpid=[
            row(order[0], vcpu=vcpu, vpid=9) for vcpu in (range(3) if at else (2, 0))])
            for at, order in enumerate(orders)])
        for found, wanted in zip(replay.Replay(self.path).steps(), live):
            self.assertEqual(list(found.vms), list(wanted.vms))
            self.assertEqual([vm.rows["vpid"] for vm in found.vms.values()],
                             [vm.rows["vpid"] for vm in wanted.vms.values()])

    def test_any_reading_in_any_order(self):
        store_whole, store.WHOLE = store.WHOLE, 5
        self.addCleanup(setattr, store, "WHOLE", store_whole)
        live = self.write([crash_text(at) for at in range(23)])
        source = replay.Replay(self.path)
        for number in (22, 0, 7, 8, 3, 21, 21, 4, 5, 6, 19):
            found, wanted = source.at(number), live[number]
            self.assertEqual(json_text(found, found.vms.values()),
                             json_text(wanted, wanted.vms.values()), number)

    def test_only_changes_are_written(self):
        self.write([full()] * 50)
        base = sqlite3.connect(self.path)
        self.assertEqual(base.execute("SELECT count(*) FROM text WHERE tick > 1").fetchone(), (0,))
        base.close()

    def test_size_of_a_changed_value(self):
        """At most 25 bytes, as Documentation/recording.rst says."""
        def text(at):
            return full(fault=[row("4121-11", read=at * 1000003, write=at * 77777)],
                        vpid=[row("4121-11", vcpu=vcpu, entries=at * 1000 + vcpu, flushes=at,
                                  remote=at) for vcpu in range(100)])
        self.write([text(at) for at in range(1, 300)])
        with contextlib.closing(sqlite3.connect(self.path)) as base:
            changed = sum(len(list(store.unpacked(places))) for places, in base.execute(
                "SELECT places FROM text WHERE places NOT NULL"))
        self.assertGreater(changed, 297 * 300)
        self.assertLess(os.path.getsize(self.path) / changed, 25)

    def test_the_text_comes_back(self):
        """By --raw, as a copy that can be read again; by the program in the documentation."""
        texts = [full(vm=[WEB, DB][:1 + at // 2 % 2], fault=[row("4121-11", read=at)])
                 for at in range(6)]
        self.write(texts)
        plain = [re.sub(" +", " ", text) for text in texts]
        self.assertEqual(self.output("--raw", "--from", self.path), plain[-1])
        self.assertEqual(self.output("--raw", "--from", self.path, "--end", "20s"), plain[-3])
        text = (TREE.parents[1] / "Documentation/recording.rst").read_text(encoding="utf-8")
        program = re.search(r"^    import .*?^(?! |$)", text, re.M | re.S)[0]
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(program), self.path],
                              capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout, "".join(plain))

    def test_events(self):
        """Also of what changes no line: a VM in the place of another, a mode."""
        def text(vm, mode):
            return full(kinds=("vm", "fault", "dirty"), headers={"dirty": ["vm", "mode"]}, vm=[vm],
                        fault=[row(vm["id"])], dirty=[row(vm["id"], mode=mode)])

        self.write([text(WEB, "off"), text(WEB, "log"), text(WEB, "log"), text(DB, "off"),
                    text(DB, "-")])
        self.assertEqual([(round(when - 1e9), *what)
                          for when, *what in replay.Replay(self.path).events()],
                         [(10, "4121-11", "dirty logging: log"), (30, "5210-14", "began"),
                          (30, "4121-11", "ended")])

    def test_a_later_module(self):
        text = full(kinds=("vm", "fault", "later"), headers={"later": ["vm", "a", "b_kb"]},
                    later=[row("4121-11", a="x\\040y", b_kb=3),
                           row("4121-11", a="-", b_kb=2**64 - 1)])
        self.write([text])
        rows = json.loads(self.output("--json", "--from", self.path))["vms"][0]["later"]
        self.assertEqual(rows, [{"a": "x y", "b_kb": 3}, {"a": None, "b_kb": 2**64 - 1}])

    def test_from_begin_to_end(self):
        self.write([one_vm(at) for at in range(100)], start=time.mktime((2026, 3, 1, 23, 55, 0,
                                                                         0, 0, -1)))
        def times(*args):
            text = self.output("stat", "--from", self.path, "-e", "read", *args)
            return [line[:8] for line in text.splitlines() if line[:1].isdigit()]

        self.assertEqual(len(times()), 99)
        self.assertEqual(times("--begin", "00:01", "--end", "00:01:25"), ["00:01:10", "00:01:20"])
        self.assertEqual(times("--begin", "2026-03-01 23:59:40", "--end", "2026-03-01 23:59:50"),
                         ["23:59:50"])
        self.assertEqual(times("--begin", "20s"), ["00:11:20", "00:11:30"])
        self.assertEqual(times("-i", "60", "-n", "2"), ["23:56:00", "23:57:00"])
        self.fails(2, "'x' is no time: HH:MM", "stat", "--from", self.path, "--begin", "x")
        self.fails(1, "it has nothing of that time; it is from 2026-03-01 23:55:00 to",
                   "--from", self.path, "--begin", "2027-01-01")

    def test_command(self):
        self.put(one_vm(1))
        self.command_line(4121, "qemu", "-name", "web")
        self.assertEqual(self.output("record", "-o", self.path, "-i", "0.05", "-n", "3"), "")
        self.assertEqual(self.output("record", "-o", self.path, "-i", "0.05", "-n", "1"), "")
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)
        text = self.output("stat", "--from", self.path, "--vm", "web", "--csv")
        self.assertEqual(text.count(",web,"), 3)
        hidden = str(self.proc / "hidden")
        self.output("record", "--from", self.path, "--anonymize", "-o", hidden)
        text = self.output("--json", "--from", hidden)
        self.assertIn('"name": "vm1"', text)
        self.assertNotRegex(text, "web|qemu")
        self.assertEqual(text.count("read"), self.output("--json", "--from", self.path)
                         .count("read"))

    def test_module_comes_and_goes(self):
        self.put(one_vm(5))
        run = subprocess.Popen([TOOL, "record", "-o", self.path, "-i", "0.05"], env=self.env,
                               stderr=subprocess.PIPE, text=True)
        self.addCleanup(run.wait)
        self.addCleanup(run.kill)
        self.wait_for(3)
        (self.proc / "kvmmem").unlink()
        self.wait_for(3, "gone NOT NULL")
        self.put(one_vm(2))
        readings = self.wait_for(0)
        self.wait_for(readings + 2)
        run.send_signal(signal.SIGTERM)
        self.assertEqual((run.stderr.read(), run.wait(10)), ("", 0))
        run.stderr.close()
        events = [what for _, _, what in replay.Replay(self.path).events()]
        self.assertEqual(events, ["no reading: the module is not loaded", "readings again"])
        self.output("stat", "--from", self.path)

    def test_keep(self):
        store_whole, store.WHOLE = store.WHOLE, 10
        self.addCleanup(setattr, store, "WHOLE", store_whole)
        self.write([full(vm=[WEB])] * 50 + [full(vm=[DB])] * 50)
        before = os.path.getsize(self.path)
        writer = store.Writer(self.path, 10, "6.1", "0")
        writer.forget(1e9 + 805)
        writer.close()
        self.assertEqual([one[1] for one in replay.Replay(self.path).there][0], 1e9 + 800)
        self.assertEqual(list(replay.Replay(self.path).read().vms), ["5210-14"])
        with contextlib.closing(sqlite3.connect(self.path)) as base:
            for name in ("reading", "text"):
                self.assertEqual(base.execute(f"SELECT MIN(tick) FROM {name}").fetchone(), (81,))
        self.assertLess(os.path.getsize(self.path), before)

    def test_details_stay_until_they_are_read_again(self):
        writer = store.Writer(self.path, 1, "", "")
        first = {"settings": b'{"cpus": 8}', "hooks": b"# hook name state\nhook x off\n",
                 "vms/4121-11/backing": table("slot", {"slot": 1, "gap_kb": 7}).encode()}
        for at, texts in enumerate((first, {}, {"settings": b'{"cpus": 9}'})):
            writer.add(at, at, full().encode(), lambda content, texts=texts: texts)
        writer.close()
        source = replay.Replay(self.path)
        for at, cpus in ((1, 8), (2, 9), (0, 8)):
            found = source.at(at)
            self.assertEqual(found.vms["4121-11"].detail, {"slot": [{"slot": 1, "gap_kb": 7}]})
            self.assertEqual(found.vms["5210-14"].detail, {})
            self.assertEqual(found.settings, {"cpus": cpus})
            self.assertEqual(found.rows["hook"], [{"name": "x", "state": "off"}])


def crash_text(at):
    """A file of which much changes."""
    return full(vm=[WEB, DB][:1 + at % 2], vpid=[row("4121-11", vcpu=vcpu, vpid=vcpu + at // 3,
                                                    entries=at) for vcpu in range(3)])


class Refused(Recording):
    """One line, and the right status."""

    def test_bad_files(self):
        self.fails(1, "no such file; --from wants", "--from", self.path)
        self.fails(1, "is a directory", "stat", "--from", str(self.proc))
        self.put(b"", "recording")
        self.fails(1, "there is nothing in it yet", "--from", self.path)
        self.put(os.urandom(8192), "recording")
        self.fails(1, "this is no recording of kvmmem", "--from", self.path)
        self.fails(1, "this is no recording of kvmmem", "record", "-o", self.path)
        os.unlink(self.path)
        with contextlib.closing(sqlite3.connect(self.path)) as base:
            base.execute("CREATE TABLE t (a)")
        self.fails(1, "this is no recording of kvmmem", "--from", self.path)
        os.unlink(self.path)
        self.write([two_vms()] * 3)
        with contextlib.closing(sqlite3.connect(self.path)) as base:
            base.execute("PRAGMA user_version = 7")
        self.fails(1, "a recording of format 7, but this tool reads format 1; use a newer",
                   "--from", self.path)

    def test_damaged(self):
        self.write([two_vms(fault=[row("4121-11", read=at)]) for at in range(40)])
        whole = pathlib.Path(self.path).read_bytes()
        for at in range(3, len(whole) // 4096):
            # A page is overwritten.
            self.put(whole[:at * 4096] + b"\xff" * 4096 + whole[at * 4096 + 4096:], "recording")
            status, _out, errors = self.inside("stat", "--from", self.path, "--csv")
            self.assertIn(status, (0, 1))
            self.assertRegex(errors, r"\A(kvmmem: [^\n]*\n)?\Z")

    def test_usage(self):
        for args, why in ((["record"], "required: -o"),
                          (["record", "-o", "x", "--vm", "1"], "--vm does not go with 'record'"),
                          (["--file", "x", "record", "-o", "x"], "--file does not go with 'rec"),
                          (["record", "--from", "x", "-o", "x"], "are the same file"),
                          (["record", "-o", "x", "--keep", "0"], "'0' is not a number from 0.001")):
            self.fails_inside(2, why, *args)
        self.put(two_vms())
        self.fails(1, "/none/x: no such file or directory", "record", "-o", "/none/x")

    def test_two_at_a_time(self):
        self.put(two_vms())
        with subprocess.Popen([TOOL, "record", "-o", self.path, "-i", "3600"],
                              env=self.env) as run:
            self.wait_for(0)
            self.fails(1, "another kvmmem is recording into it", "record", "-o", self.path)
            # Looking at it is always possible.
            self.output("--from", self.path)
            run.send_signal(signal.SIGINT)
            self.assertEqual(run.wait(10), 0)
