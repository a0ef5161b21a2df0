# SPDX-License-Identifier: GPL-2.0
"""The storms of suite_storm.py, each for a few seconds: a minute of them in all."""

import dataclasses

import suite_storm

prepare = suite_storm.prepare

# How long each blows, and the least that it must have done by then.
SECONDS = 6
LEAST = {"births": 1, "toggle": 1, "load": 1, "reload": 1, "vms": 8, "hotplug": 1,
         "memory": 4, "tracer": 1, "scribble": 50, "peek": 50}


def gust(storm):
    """The same with time as its only bound."""
    full = suite_storm.scenario(storm, "gust", LEAST[storm.name], SECONDS)
    script = full.script.replace(f"count={LEAST[storm.name]} seconds", "seconds")
    return dataclasses.replace(full, script=script, limit=SECONDS + 120)


SCENARIOS = [gust(one) for one in suite_storm.STORMS]
