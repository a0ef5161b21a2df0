# SPDX-License-Identifier: GPL-2.0
"""Recordings that end where nobody wanted them to."""

import json
import os
import subprocess
import sys

import crash
from case import TOOL, Tool, full
from kvmmem_cli import replay


class Crashes(Tool):
    """A recording ends at any instant."""

    def run_crash(self, *args, **env):
        """What crash.py says."""
        done = subprocess.run([sys.executable, "-B", crash.__file__, str(self.proc), *args],
                              env={**self.env, **env}, capture_output=True, text=True,
                              timeout=200, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return json.loads(done.stdout)

    def test_at_200_random_instants(self):
        self.assertEqual(self.run_crash("kill", "200"), [200, []])

    def test_at_every_write(self):
        library = self.proc / "crash.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library,
                        crash.__file__.replace(".py", ".c"), "-ldl"], check=True)
        tried, bad = self.run_crash("writes", str(library), LD_PRELOAD=str(library))
        self.assertEqual(bad, [])
        self.assertGreater(tried, 200)

    def test_full_disk(self):
        self.put(full())
        path = str(self.proc / "recording")
        self.output("record", "-o", path, "-i", "0.05", "-n", "3")
        # The size of files is limited instead, which SQLite takes for a bad disk.
        limit = os.path.getsize(path) // 1024 + 8
        done = subprocess.run(["bash", "-c", f"trap '' XFSZ; ulimit -f {limit}; exec \"$@\"", "-",
                               TOOL, "record", "-o", path, "-i", "0.05", "-n", "200"],
                              env=self.env, capture_output=True, text=True, timeout=60,
                              check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"\Akvmmem: [^\n]*recording: [^\n]*; recording has ended, "
                         r"what was recorded before is kept\n\Z")
        self.assertGreaterEqual(len(replay.Replay(path).there), 3)
