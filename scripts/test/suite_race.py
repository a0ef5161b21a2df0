# SPDX-License-Identifier: GPL-2.0
"""KCSAN sees a race that is there: what it says nothing about is worth something."""

import pathlib
import shutil
import tempfile

from host import Scenario

SOURCES = pathlib.Path(__file__).resolve().parent / "race"


def prepare(picture, kernel, _vendor):
    """Add the module with the race."""
    with tempfile.TemporaryDirectory() as scratch:
        tree = pathlib.Path(scratch) / "race"
        shutil.copytree(SOURCES, tree)
        made = kernel.run(["make", "-C", str(kernel.kdir), f"M={tree}", "modules"], timeout=300)
        assert made.returncode == 0, made.stdout
        picture.add_file(tree / "race.ko", "lab/race.ko")


def check(out):
    """Both sides of it are named."""
    assert "BUG: KCSAN: data-race in race_reader" in out["reports"] or \
        "BUG: KCSAN: data-race in race_writer" in out["reports"], \
        f"the race was not seen: {out['reports']}"


SCENARIOS = [
    Scenario("race", """
insmod /lab/race.ko
seen() { dmesg | grep -q 'KCSAN: data-race in race_'; }
tries=0
until seen || [ $tries = 60 ]; do tries=$((tries + 1)); sleep 1; done
rmmod race
section reports sh -c "dmesg | grep 'BUG: KCSAN' || true"
""", check, limit=120, kernels=("kcsan",)),
]
