# SPDX-License-Identifier: GPL-2.0
"""kvmmem report for a terminal, and what goes wrong; test_report.py is on the page."""

import json
import os
import pathlib
import re
import shutil

import recording
from case import Tool


class Report(Tool):
    """Text, and errors."""

    def setUp(self):
        super().setUp()
        self.path = str(self.proc / "recording")
        recording.write(self.path)

    def test_text(self):
        text = self.output("report", self.path, "--text")
        lines = text.splitlines()
        self.assertIn("120 readings, 3 VMs", lines[0])
        # Who lost most is first, with its worst minute.
        self.assertRegex(lines[3], r"^db +<?0\.\d% +6\.[23]% +15:33:20 +▁+█▁+$")
        self.assertRegex(text, r"(?m)^  ksm +10.0k +▁+█▁+$")
        self.assertRegex(text, r"(?m)^  total +16.0G +16.0G")
        self.assertRegex(text, r"(?m)  db: dirty logging: log\n.*  db: dirty logging: off\n"
                               r".*  no reading: the module is not loaded\n.*  readings again$")
        self.assertIn("<script>window.is_owned=1</script>: began", text)
        self.assertIn("=", self.output("report", self.path, "--text",
                                       env={"PYTHONIOENCODING": "ascii"}).replace("#", "="))

    def test_one_vm_and_a_part(self):
        text = self.output("report", "--from", self.path, "--text", "--vm", "web", "--begin",
                           "14:30", "--end", "15:00")
        self.assertIn("1 VMs", text)
        self.assertNotIn("db", text)

    def test_page_holds_what_was_recorded(self):
        library = self.proc / "dygraphs/extras"
        library.mkdir(parents=True)
        for name in ("dygraph.min.js", "dygraph.min.css", "extras/synchronizer.js"):
            (library.parent / name).write_text("x</script>\n//# sourceMappingURL=a.map\n@data@",
                                               encoding="utf-8")
        self.env["KVMMEM_DYGRAPHS"] = str(library.parent)
        page = str(self.proc / "page.html")
        self.output("report", self.path, "-o", page)
        self.assertEqual(self.output("report", self.path, "-o", "-"),
                         pathlib.Path(page).read_text(encoding="utf-8"))
        text = pathlib.Path(page).read_text(encoding="utf-8")
        self.assertNotIn("sourceMappingURL", text)
        self.assertNotRegex(text, r"https?://")
        data = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
        self.assertEqual(len(data["times"]), 119)
        self.assertEqual(data["vms"][1]["faults"][recording.SPIKE - 1], 10005)
        detail = json.loads(re.search(r'id="vm-1">(.*?)</script>', text)[1])
        # The initiators sum to all invalidations.
        for at, whole in enumerate(data["vms"][1]["faults"]):
            self.assertAlmostEqual(sum(values[at] or 0 for values in detail["inval"].values()),
                                   whole, delta=1)

    def test_errors(self):
        self.fails(1, "dygraph.min.* of dygraphs, which draws the charts, is not here; install "
                   "libjs-dygraphs, or use --text", "report", self.path, "-o",
                   str(self.proc / "x"), env={"KVMMEM_DYGRAPHS": str(self.proc)})
        self.assertFalse((self.proc / "x").exists())
        self.fails_inside(2, "report wants a recording", "report", "--text")
        self.fails_inside(2, "report wants -o FILE.html, or --text", "report", "x")
        self.fails_inside(2, "--file does not go with 'report'", "--file", "x", "report", "y",
                          "--text")
        self.fails(1, "no VM has the id", "report", self.path, "--text", "--vm", "none")
        self.fails(1, "one reading does not say what happened", "report", self.path, "--text",
                   "--begin", "10s")
        if os.path.exists("/usr/share/javascript/dygraphs"):
            self.fails(1, "/none/x: no such file", "report", self.path, "-o", "/none/x")

    def test_names_are_safe(self):
        shutil.copy(self.path, self.proc / "other")
        text = self.output("report", str(self.proc / "other"), "--text")
        self.assertNotRegex(text, r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
