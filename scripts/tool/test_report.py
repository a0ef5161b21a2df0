#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The report's page in a real browser; the last line says how many tests passed.

Pictures of it are left in ~/.cache/kvmmem/report.
"""

import os
import pathlib
import random
import sys
import types
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "tests")]

# pylint: disable=wrong-import-position
import chromium
from case import Tool
from kvmmem_cli import report, series
from kvmmem_cli.columns import CAUSES, INITIATORS
from kvmmem_cli.snapshot import Vm
from recording import SPIKE, write

PICTURES = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or
                        pathlib.Path.home() / ".cache") / "kvmmem/report"
DRAWN = """[...document.querySelectorAll(".chart")].map((chart) =>
    [...chart.querySelectorAll("canvas")].some((canvas) => {
        const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return pixels.data.some((value, at) => at % 4 == 3 && value > 0);
    }))"""


class Page(Tool):
    """One browser for all."""

    @classmethod
    def setUpClass(cls):
        PICTURES.mkdir(parents=True, exist_ok=True)
        cls.browser = chromium.Browser()
        cls.addClassCleanup(cls.browser.close)

    def fine(self, path, charts):
        """No error, no request, and all charts are drawn."""
        self.assertEqual(self.browser.troubles(), [])
        asked = [url for url in self.browser.requests() if not url.startswith("data:")]
        self.assertEqual(asked, [f"file://{path}"])
        drawn = self.browser.value(DRAWN)
        self.assertEqual(drawn, [True] * charts)

    def test_recording(self):
        recording, path = str(self.proc / "recording"), str(self.proc / "page.html")
        write(recording)
        self.assertEqual(self.output("report", recording, "-o", path), "")
        self.browser.open(path)
        self.fine(path, 5)
        self.browser.picture(PICTURES / "overview.png")
        self.assertIn("3 VMs, 120 readings", self.browser.value("document.body.innerText"))
        self.assertIn("ended", self.browser.value(
            "document.getElementById('events').innerText"))
        # Nothing of a name is obeyed.
        self.assertEqual(self.browser.value("window.is_owned"), None)
        self.assertIn("<script>window.is_owned=1</script>",
                      self.browser.value("document.getElementById('vm').innerText"))
        # Nor changed: a line is found by it.
        self.assertIn("<script>window.is_owned=1</script>",
                      self.browser.value("charts[0].getLabels()"))
        x, y = self.browser.value(f"""(() => {{
            const chart = charts[0], box = chart.graphDiv.getBoundingClientRect();
            const at = {SPIKE} - 1;
            return [box.x + chart.toDomXCoord(dates[at]),
                    box.y + chart.toDomYCoord(data.vms[1].lost[at])];
        }})()""")
        self.browser.click(x, y)
        text = self.browser.value("document.getElementById('causes').innerText")
        self.assertRegex(text, r"^db \(5210-14\) at .*of its time lost; .*taken away by ksm 1")
        self.browser.picture(PICTURES / "spike.png")
        self.fine(path, 11)
        # Another VM, by its name.
        self.browser.value("document.getElementById('vm').value = 0; "
                           "document.getElementById('vm').dispatchEvent(new Event('change'))")
        self.assertRegex(self.browser.value("document.getElementById('causes').innerText"),
                         r"^web \(")

    def test_a_day_of_a_hundred_vms(self):
        source = types.SimpleNamespace(there=[(at, 1e9 + at * 10.0, 0.0, 1, None)
                                              for at in range(8640)], events=lambda: [])
        history = series.History.__new__(series.History)
        chance = random.Random(1)
        times = [1e9 + at * 120.0 for at in range(720)]
        vars(history).update(source=source, times=times, readings=8640, begin=times[0],
                             end=times[-1], vms={}, host={name: [chance.randrange(1 << 28)
                                                                 for _ in times]
                                                          for name in series.HOST},
                             last=types.SimpleNamespace(select=lambda wanted: [], host={"lost": 0},
                                                        settings={}, headers={}, rows={},
                                                        vms={}))
        keys = [key for key in series.RATES if key[0] in ("", "fault")] + \
            [("flush", name) for name in CAUSES] + [("inval", name) for name in INITIATORS] + \
            list(series.MEMORY) + [(layer, size) for layer in ("host", "ept")
                                   for size in ("4k", "2m", "1g")]
        for at in range(100):
            one = series.Series(Vm({"id": f"{at}-1", "comm": f"vm{at}"}), len(times))
            for key in keys:
                for place in range(len(times)):
                    one.put(place, key, chance.random() * (0.1 if key[1] == "lost" else 9999))
            history.vms[one.vm.id] = one
        path = str(self.proc / "day.html")
        pathlib.Path(path).write_text(report.page(history, []), encoding="utf-8")
        self.assertLess(os.path.getsize(path), 20e6)
        ready = self.browser.open(path)
        print(f"a day of 100 VMs: {os.path.getsize(path) / 1e6:.1f} MB, ready in {ready} ms",
              file=sys.stderr)
        self.assertLess(ready, 3000)
        self.fine(path, 5)
        self.browser.picture(PICTURES / "day.png")


def main():
    """Run all."""
    tests = unittest.defaultTestLoader.loadTestsFromTestCase(Page)
    result = unittest.TextTestRunner().run(tests)
    bad = len(result.failures) + len(result.errors)
    print(f"{max(0, result.testsRun - bad)} passed, {bad or int(not result.testsRun)} failed",
          flush=True)
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == "__main__":
    sys.exit(main())
