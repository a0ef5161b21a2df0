# SPDX-License-Identifier: GPL-2.0
"""The storms of suite_storm.py, each for a few seconds: a minute of them in all."""

import suite_storm
from host import Scenario

prepare = suite_storm.prepare

# What each must have done at the least in that time, on a kernel that is slow on a
# machine that is busy. What share may meet window_share holds open.
LEAST = {"births": 1, "toggle": 1, "notifier": 1, "reload": 1, "vms": 8, "rush": 8, "hotplug": 1,
         "memory": 1, "tracer": 1, "perf": 1, "scribble": 5}
SECONDS = 60 / len(LEAST)


def gust(storm, last):
    """The same with time as its only bound. Leaks are looked for once."""
    return Scenario(f"gust_{storm.name}",
                    suite_storm.script(storm, f"seconds={SECONDS:.1f}", whole=False, look=last),
                    suite_storm.check(storm, LEAST[storm.name]), limit=150,
                    host=suite_storm.HOST)


SCENARIOS = [gust(one, one.name == list(LEAST)[-1]) for one in suite_storm.STORMS
             if one.name in LEAST]
