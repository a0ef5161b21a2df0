# SPDX-License-Identifier: GPL-2.0
"""What tenants choose, and files of others: nothing of it makes the tool wrong or large."""

import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import threading
import types
import zlib
from unittest import mock

import recording
from case import DB, TAGS, TOOL, WEB, Stat, Tool, full, one_vm, render, row, two_vms, \
    vm_row
from kvmmem_cli import names, replay, store

UUID = "6dd6bda1-1c15-4b17-a76b-5f3c12a10a3e"


class Names(Tool):
    """A process says what its VM is called."""

    def given(self, namer, vm=WEB):
        """The name and the UUID that a VM gets."""
        found = types.SimpleNamespace(id=vm["id"], pid=vm["pid"], name=vm["comm"], uuid=None)
        namer.give([found])
        return found.name, found.uuid

    def test_long(self):
        """A command line may be as long as a process likes."""
        self.put(two_vms())
        self.command_line(WEB["pid"], "qemu", "-name", "x" * 100000)
        name, _uuid = self.given(names.Names(self.proc, "/none"))
        self.assertEqual(name, "x" * names.LONGEST)
        with mock.patch("builtins.open", mock.mock_open(read_data=b"")) as opened:
            self.given(names.Names(self.proc, "/none"))
        opened().read.assert_called_once_with(names.MOST_BYTES)

    def test_many_digits(self):
        """Numbers in a name are sorted by value, however long they are."""
        vms = [vm_row(f"{at}-1", pid=at) for at in (1, 2, 3)]
        self.put(render(vm=vms, fault=[row(vm["id"]) for vm in vms]))
        for pid, name in ((1, "a" + "9" * 250), (2, "a10"), (3, "a009")):
            self.command_line(pid, "qemu", "-name", name)
        lines = self.output("--wide", "--sort", "name").splitlines()
        self.assertEqual([line.split()[1] for line in lines if "-1 " in line][:3],
                         ["3-1", "2-1", "1-1"])

    def test_somebody_elses_uuid(self):
        """libvirt knows its own processes; what others claim is not believed."""
        run = self.proc / "libvirt"
        run.mkdir()
        (run / "customer.xml").write_text(f"<domstatus pid='{DB['pid']}'><uuid>{UUID}</uuid>")
        self.command_line(WEB["pid"], "qemu", "-uuid", UUID, "-name", "thief")
        self.command_line(DB["pid"], "qemu", "-uuid", UUID)
        namer = names.Names(self.proc, run)
        self.assertEqual(self.given(namer, DB), ("customer", UUID))
        self.assertEqual(self.given(names.Names(self.proc, run)), ("thief", None))

    def test_a_daemon_that_hangs(self):
        """One thread waits for it, and nobody asks at each reading for who has no name."""
        over = threading.Event()
        self.addCleanup(over.set)
        calls = []

        def hang(_uri):
            calls.append(1)
            over.wait(30)
            raise OSError

        run = self.proc / "libvirt"
        run.mkdir()
        libvirt = types.SimpleNamespace(openReadOnly=hang, registerErrorHandler=mock.Mock())
        namer, before = names.Names(self.proc, run), threading.active_count()
        with mock.patch.dict("sys.modules", libvirt=libvirt), mock.patch.object(names, "PATIENCE", 0), \
                mock.patch.object(names.time, "monotonic", iter(range(0, 100000, 100)).__next__):
            for _ in range(100):
                self.assertEqual(self.given(namer), (WEB["comm"], None))
        self.assertEqual(threading.active_count(), before + 1)
        with mock.patch.object(names.time, "monotonic", lambda: 20000.0), \
                mock.patch.object(names.Names, "_found", return_value=(None, None)) as found:
            namer = names.Names(self.proc, run)
            for _ in range(100):
                self.given(namer)
            self.assertEqual(found.call_count, 1)

    def test_called_like_an_id(self):
        """An id is that VM's alone."""
        self.put(two_vms())
        self.command_line(DB["pid"], "qemu", "-name", WEB["id"])
        lines = self.output("--wide", "--vm", WEB["id"]).splitlines()
        self.assertFalse([line for line in lines if DB["id"] in line], lines)


class Files(Tool):
    """Recordings and reports that are not what they seem."""

    def setUp(self):
        super().setUp()
        self.path = str(self.proc / "recording")
        recording.write(self.path)

    def test_a_report_into_what_is_no_file(self):
        """A pipe stays one, and a link leads where it did."""
        pipe, link, target = (self.proc / name for name in ("pipe", "link", "target"))
        os.mkfifo(pipe)
        target.write_text("old")
        link.symlink_to(target)
        library = self.proc / "dygraphs/extras"
        library.mkdir(parents=True)
        for name in ("dygraph.min.js", "dygraph.min.css", "extras/synchronizer.js"):
            (library.parent / name).write_text("x")
        self.env["KVMMEM_DYGRAPHS"] = str(library.parent)
        with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
            self.output("report", self.path, "-o", str(pipe))
            page = reader.stdout.read()
        self.assertIn(b"<html", page)
        self.assertTrue(pipe.is_fifo())
        self.output("report", self.path, "-o", str(link))
        self.assertTrue(link.is_symlink())
        self.assertIn("<html", target.read_text())

    def test_anonymous_into_what_is_there(self):
        other = str(self.proc / "other")
        recording.write(other)
        self.fails(2, "with --from and --anonymize it is a new file", "record", "--from",
                   self.path, "--anonymize", "-o", other)
        os.unlink(other)
        os.symlink(self.path, other)
        self.fails(2, "are the same file", "record", "--from", self.path, "-o", other)

    def test_words_of_an_event(self):
        base = sqlite3.connect(self.path)
        base.execute("INSERT INTO event VALUES (5, '', ?)", ("\x1b[2Jgone",))
        base.commit()
        base.close()
        self.assertIn("\\x1b[2Jgone", self.output("report", self.path, "--text"))

    def test_names_that_are_none(self):
        base = sqlite3.connect(self.path)
        base.execute("UPDATE text SET words = ? WHERE name = 'names'",
                     (zlib.compress(b"[1]"),))
        base.commit()
        base.close()
        self.fails(1, store.DAMAGED, "--from", self.path)

    def test_dropped_while_open(self):
        """The recorder may drop what somebody is looking at."""
        source = replay.Replay(self.path)
        writer = store.Writer(self.path, 60, "6.1", "0")
        writer.add(1.79e9 + 7200, 7200.0, recording.reading(120), lambda content: {})
        writer.forget(1.79e9 + 7201)
        writer.close()
        with self.assertRaisesRegex(Exception, "has been dropped"):
            source.at(0)

    def test_a_clock_that_was_set_back(self):
        """How long it was is unknown, and nothing recorded since is missing."""
        path = str(self.proc / "back")
        for begin, at in ((1.79e9, 0), (1.79e9 - 3600, 1)):
            writer = store.Writer(path, 60, "6.1", "0")
            for turn in (0, 1):
                writer.add(begin + turn, 10.0 + turn, recording.reading(2 * at + turn),
                           lambda content: {})
            writer.close()
        rows = csv.DictReader(io.StringIO(self.output("stat", "--from", path, "--csv")))
        self.assertEqual([row["read_per_s"] for row in rows if row["id"] == WEB["id"]],
                         ["600.000", "", "600.000"])

    def test_an_id_that_came_again(self):
        """After the host has booted another VM has the id of one that was there before."""
        path = str(self.proc / "twice")
        for at, (name, uuid) in enumerate((("web", UUID), ("db", UUID.replace("6", "7")))):
            writer = store.Writer(path, 60, "6.1", "0")
            given = json.dumps({WEB["id"]: [name, uuid]}).encode()
            for turn in (0, 1):
                writer.add(1.79e9 + 3600 * at + turn, 10.0 + turn,
                           one_vm(1000 + at * 5000 + turn).encode(),
                           lambda content, given=given: {"names": given})
            writer.close()
        text = self.output("report", path, "--text")
        self.assertIn("2 VMs", text)
        self.assertRegex(text, r"(?m)^web ")
        self.assertRegex(text, r"(?m)^db ")


class Rates(Stat):
    """Rates of what was not seen from the beginning."""

    def test_rows_that_were_hidden(self):
        """flush_accounting was off: what the counts grew by is unknown."""
        paths = [self.put(full(vpid=rows), name) for name, rows in (
            ("one", []), ("two", TAGS), ("three", [{**TAGS[0], "entries": 9010}, *TAGS[1:]]))]
        files = [word for path in paths for word in ("--file", path)]
        rows = csv.DictReader(io.StringIO(self.output("stat", *files, "-i", "1", "--csv")))
        self.assertEqual([row["vpid_entries_per_s"] for row in rows if row["id"] == WEB["id"]],
                         ["", "10.000"])

    def test_copies_that_do_not_tell_when(self):
        """One file with two copies has no rates, and two of one time are refused."""
        both = self.put(one_vm(3) + one_vm(600), "both")
        self.assertIn("one copy has no rates", self.output("--file", both))
        one, two = self.put(one_vm(3), "one"), self.put(one_vm(600), "two")
        for path in (one, two):
            os.utime(path, (1000, 1000))
        self.fails(1, "do not tell when they were saved", "--file", one, "--file", two)

    def test_it_ends_where_nothing_waits(self):
        """A pipe that says nothing, and a recording of any length."""
        for number in (signal.SIGINT, signal.SIGTERM):
            with subprocess.Popen([TOOL, "stat", "--file", "-"], env=self.env,
                                  stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
                with self.assertRaises(subprocess.TimeoutExpired):
                    run.wait(1)
                run.send_signal(number)
                self.assertNotEqual(run.wait(10), None)
        path = str(self.proc / "recording")
        recording.write(path)
        run = self.start("--from", path)
        run.stdout.readline()
        run.stdout.readline()
        run.send_signal(signal.SIGTERM)
        rest = self.ends(run)
        self.assertTrue(not rest or rest.endswith("\n"), rest)
