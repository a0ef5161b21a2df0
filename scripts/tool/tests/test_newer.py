# SPDX-License-Identifier: GPL-2.0
"""The tests of the table and of errors again, on files of a newer module."""

import json

import case
import newer
import test_errors
import test_table


class Table(newer.Newer, test_table.Table):
    """The tests of the table."""

    def test_more_is_there(self):
        """Else the tests above show nothing."""
        self.put(case.full())
        data = json.loads(self.output("--json"))
        web = data["vms"][0]
        for found in (web, web["fault"], web["flush"], web["vpid"][1], web["backing"],
                      web["huge"]):
            self.assertEqual((found["news"], found["more_kb"]), ("a word", 77))
        self.assertEqual(web["novelty"], [{"node": 0, "word": "x1", "mem_kb": 0},
                                          {"node": 1, "word": "x1", "mem_kb": 10}])
        self.assertEqual(data["rows"]["total"], [{"vms": 2, "ept_violations": 5}])


class Errors(newer.Newer, test_errors.Errors):
    """The tests of errors."""
