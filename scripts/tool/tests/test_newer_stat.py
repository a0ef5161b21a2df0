# SPDX-License-Identifier: GPL-2.0
"""The tests of stat again, on files of a newer module."""

import newer
import test_stat
import test_stat_text


class Csv(newer.Newer, test_stat.Csv):
    """The tests of stat --csv."""


class Text(newer.Newer, test_stat_text.Text):
    """The tests of stat for people."""
