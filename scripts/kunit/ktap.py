#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Read the results of KUnit suites (KTAP) out of a kernel console log.

    ktap.py [LOG]        prints one row a test and a summary; stdin without LOG
    ktap.py --selftest   tests this parser

Ends with 0 when every test passed or was skipped, 1 when a test failed, and 2
when the log itself is wrong: no result in it, a suite that began and never
ended, fewer results than were planned. A crash in a test is such a log.

A program imports parse(), which takes lines and returns (results, errors).
"""
import re
import sys
from collections import namedtuple

# test is the case, or case/parameter, or SUITE_ITSELF when the suite's own
# verdict is not what its tests add up to (its init failed, say). status is
# "ok", "not ok" or "skip". detail is the reason of a skip, or the lines that
# were printed between the previous result and this one.
Result = namedtuple("Result", "suite test status detail")
SUITE_ITSELF = "(suite)"

STAMP = re.compile(r"(?:<\d+>)?\[ *\d+\.\d+\](?:\[ *[CT]\d+\])? ")
VERSION = re.compile(r"K?TAP version \d+$")
SUBTEST = re.compile(r"# Subtest: (.+)$")
PLAN = re.compile(r"1\.\.(\d+)(?: #.*)?$")
RESULT = re.compile(r"(not ok|ok) (\d+)(?: (?:- )?(.*))?$")
DIRECTIVE = re.compile(r"(?:^|\s)#\s*(.*)$")


class Group:
    """A KTAP block being read: its results so far, and those nested in them."""

    def __init__(self, indent):
        self.indent = indent
        self.name = None
        self.plan = None
        self.seen = 0
        self.rows = []          # (path, status, detail) of the leaves
        self.pending = []       # lines since the last result

    def label(self, default="the log"):
        return self.name or default


class Parser:
    def __init__(self):
        self.results = []
        self.errors = []
        self.stack = []

    def line(self, raw):
        text = raw.rstrip()
        # Console output of a program can precede a kernel message in a line.
        stamp = STAMP.match(text) or STAMP.search(text)
        if stamp:
            text = text[stamp.end():]
        body = text.lstrip(" ")
        indent = len(text) - len(body)
        top = self.stack[-1] if self.stack else None

        if VERSION.match(body):
            self.unwind(indent)
            self.stack.append(Group(indent))
        elif top is None:
            return
        elif (m := SUBTEST.match(body)) and indent >= top.indent:
            if indent > top.indent or top.name or top.seen:
                self.unwind(indent)
                self.stack.append(Group(indent))
            self.stack[-1].name = m[1]
        elif (m := PLAN.match(body)) and indent == top.indent:
            top.plan = int(m[1])
        elif (m := RESULT.match(body)) and \
                any(g.indent == indent for g in self.stack):
            self.result(indent, m[1], int(m[2]), m[3] or "")
        elif body and not body.startswith("# module: "):
            top.pending.append(body)

    def result(self, indent, verdict, number, rest):
        child = self.close_inner(indent)
        group = self.stack[-1]
        name, status, detail = rest, verdict, group.pending
        group.pending = []
        if m := DIRECTIVE.search(rest):
            name = rest[:m.start()]
            word, _, reason = m[1].partition(" ")
            if word.upper().startswith("SKIP"):
                status, detail = "skip", [reason] if reason else []
        name = name.strip() or str(number)
        group.seen += 1
        if number != group.seen:
            self.errors.append(f"{group.label()}: result {number} ({name}) "
                               f"where {group.seen} was due")
            group.seen = number

        if child is None:
            group.rows.append(((name,), status, detail))
            return
        if child.name and child.name != name:
            self.errors.append(f"{child.name}: no result of its own, "
                               f"{name} reported instead")
        self.check_plan(child, name)
        rows = [((name,) + path, s, d) for path, s, d in child.rows]
        failed = any(s == "not ok" for _, s, _ in rows)
        if not rows or (status == "not ok" and not failed):
            rows.append(((name, SUITE_ITSELF), status, child.pending + detail))
        group.rows += rows

    def close_inner(self, indent):
        """Leave the blocks deeper than indent; return the outermost of them."""
        child = None
        while self.stack[-1].indent > indent:
            if child:
                self.lost(child)
            child = self.stack.pop()
        return child

    def unwind(self, indent):
        """A new block begins at indent: what was open from there on is over."""
        while self.stack and self.stack[-1].indent >= indent:
            group = self.stack.pop()
            if self.stack:
                self.lost(group)
            else:
                self.finish(group)

    def lost(self, group):
        """A nested block whose verdict never came: keep what it had to say."""
        plan = "?" if group.plan is None else group.plan
        self.errors.append(f"{group.label('a subtest')}: began and never "
                           f"ended, {group.seen} of {plan} results")
        rows = [((group.label("?"),) + path, s, d) for path, s, d in group.rows]
        self.stack[-1].seen += 1
        self.stack[-1].rows += rows

    def check_plan(self, group, name):
        if group.plan is not None and group.seen != group.plan:
            self.errors.append(f"{name}: {group.seen} of {group.plan} results")

    def finish(self, group):
        self.check_plan(group, group.label())
        for path, status, detail in group.rows:
            test = "/".join(path[1:]) or SUITE_ITSELF
            test = test.replace("/" + SUITE_ITSELF, "")
            self.results.append(Result(path[0], test, status, detail))


def parse(lines):
    """Return ([Result...], [what is wrong with the log...])."""
    parser = Parser()
    for raw in lines:
        parser.line(raw)
    parser.unwind(0)
    if not parser.results and not parser.errors:
        parser.errors.append("no KTAP result in the log")
    return parser.results, parser.errors


def main(argv):
    if argv[1:] == ["--selftest"]:
        sys.dont_write_bytecode = True
        from ktap_selftest import selftest
        return selftest(parse)
    if len(argv) > 2 or argv[1:2] in (["-h"], ["--help"]):
        print(__doc__)
        return 0 if len(argv) == 2 else 2
    if len(argv) == 2:
        with open(argv[1], encoding="utf-8", errors="replace") as log:
            results, errors = parse(log)
    else:
        results, errors = parse(sys.stdin)

    count = {"ok": 0, "not ok": 0, "skip": 0}
    for r in results:
        count[r.status] += 1
        reason = " # " + " ".join(r.detail) if r.status == "skip" and r.detail else ""
        print(f"{r.status:<6} {r.suite} {r.test}{reason}")
        if r.status == "not ok":
            for text in r.detail:
                print("       " + text)
    for text in errors:
        print("error  " + text)
    print(f"{count['ok']} passed, {count['not ok']} failed, "
          f"{count['skip']} skipped, {len(errors)} errors")
    return 2 if errors else 1 if count["not ok"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
