# SPDX-License-Identifier: GPL-2.0
"""Files of a module that prints more than the tool and its tests know."""

import collections
from unittest import mock

import case

# A column in the middle and one at the end of each row, and rows of unknown types:
# some of each VM, some of none.
HEADERS = {kind: [*columns[:2], "news", *columns[2:], "more_kb"]
           for kind, columns in case.HEADERS.items()}
HEADERS |= {"novelty": ["vm", "node", "word", "mem_kb"], "total": ["vms", "ept_violations"]}
FILLING = collections.defaultdict(int, news="a\\040word", more_kb=77)
ALWAYS = {"novelty": [case.row(vm["id"], node=node, word="x1", mem_kb=node * 10)
                      for vm in (case.WEB, case.DB) for node in (0, 1)],
          "total": [{"vms": 2, "ept_violations": 5}]}


class Newer:
    """Puts it into all files of a class of tests."""

    def setUp(self):
        """Before each test."""
        super().setUp()
        for name, value in (("HEADERS", HEADERS), ("FILLING", FILLING), ("ALWAYS", ALWAYS)):
            patch = mock.patch.dict(getattr(case, name), value)
            patch.start()
            self.addCleanup(patch.stop)
