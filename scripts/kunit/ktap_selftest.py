# SPDX-License-Identifier: GPL-2.0
"""Logs with known results, for ktap.py --selftest."""

GOOD = """
[    0.000000] Linux version 6.12.0
[    2.100001] KTAP version 1
[    2.100002] 1..1
[    2.100003]     KTAP version 1
[    2.100004]     # Subtest: hist
[    2.100005]     # module: hist_test
[    2.100006]     1..3
[    2.100007]     ok 1 first
[    2.100008]     ok 2 second # SKIP no such processor
[    2.100009]     ok 3 third
[    2.100010] # hist: pass:2 fail:0 skip:1 total:3
[    2.100011] # Totals: pass:2 fail:0 skip:1 total:3
[    2.100012] ok 1 hist
"""

FAILS = """
[    2.100001] KTAP version 1
[    2.100002] 1..1
[    2.100003]     KTAP version 1
[    2.100004]     # Subtest: hist
[    2.100006]     1..2
[    2.100007]     # first: EXPECTATION FAILED at hist_test.c:12
[    2.100007]     Expected a == b, but
[    2.100007]         a == 1 (0x1)
[    2.100008]     not ok 1 first
[    2.100009]     ok 2 second
[    2.100012] not ok 1 hist
"""

PARAMS = """
[    2.1] KTAP version 1
[    2.1] 1..1
[    2.1]     KTAP version 1
[    2.1]     # Subtest: decode
[    2.1]     1..2
[    2.1]         KTAP version 1
[    2.1]         # Subtest: access
[    2.1]         ok 1 a read
[    2.1]         not ok 2 a write
[    2.1]     # access: pass:1 fail:1 skip:0 total:2
[    2.1]     not ok 1 access
[    2.1]     ok 2 plain
[    2.1] not ok 1 decode
"""

# The same suite loaded twice; a caller id, a level, a carriage return, a shell
# prompt before the stamp, kernel messages and a program's output in between.
NOISY = """
# insmod a_test.ko[    2.1][  T101] KTAP version 1\r
[    2.1][  T101] 1..1\r
<6>[    2.1][  T101]     KTAP version 1\r
[    2.1][  T101]     # Subtest: a\r
[    2.1][  T101]     1..1\r
[    2.1][   C0] clocksource: tsc: mask: 0xffffffffffffffff\r
ok, the program said 1..7\r
[    2.1][  T101]     ok 1 one\r
[    2.1][  T101] ok 1 a\r
[    2.2] kvm_amd: Nested Virtualization enabled
[    2.3] KTAP version 1
[    2.3] 1..1
[    2.3]     KTAP version 1
[    2.3]     # Subtest: a
[    2.3]     1..1
[    2.3]     ok 1 one
[    2.3] ok 1 a
"""

# What /sys/kernel/debug/kunit/<suite>/results and older kernels print.
BARE = """KTAP version 1
1..1
    # Subtest: a
    1..1
    ok 1 - one
ok 1 - a
"""

INIT_FAILED = """
[    2.1] KTAP version 1
[    2.1] 1..1
[    2.1]     KTAP version 1
[    2.1]     # Subtest: a
[    2.1]     1..1
[    2.1]     ok 1 one
[    2.1]     # a: suite exit failed
[    2.1] not ok 1 a
"""

CRASH = """
[    2.1] KTAP version 1
[    2.1] 1..1
[    2.1]     KTAP version 1
[    2.1]     # Subtest: a
[    2.1]     1..3
[    2.1]     ok 1 one
[    2.1] BUG: kernel NULL pointer dereference, address: 0000000000000000
"""

CRASH_THEN_NEXT = CRASH + GOOD

SHORT = """
[    2.1] KTAP version 1
[    2.1] 1..1
[    2.1]     KTAP version 1
[    2.1]     # Subtest: a
[    2.1]     1..2
[    2.1]     ok 1 one
[    2.1] ok 1 a
"""

GAP = GOOD.replace("    ok 2 second # SKIP no such processor\n", "    (lost)\n")

EMPTY_SUITE = """
[    2.1] KTAP version 1
[    2.1] 1..1
[    2.1]     KTAP version 1
[    2.1]     # Subtest: a
[    2.1]     1..0
[    2.1] ok 1 a # SKIP no test matches the filter
"""

HIST = [("hist", "first", "ok"), ("hist", "second", "skip"),
        ("hist", "third", "ok")]
ONE = [("a", "one", "ok")]

# name, log, results, a word of each error
CASES = [
    ("good", GOOD, HIST, []),
    ("fails", FAILS, [("hist", "first", "not ok"), ("hist", "second", "ok")], []),
    ("parameters", PARAMS, [("decode", "access/a read", "ok"),
                            ("decode", "access/a write", "not ok"),
                            ("decode", "plain", "ok")], []),
    ("noise", NOISY, ONE + ONE, []),
    ("bare", BARE, ONE, []),
    ("suite fails, its tests do not", INIT_FAILED,
     ONE + [("a", "(suite)", "not ok")], []),
    ("crash", CRASH, ONE, ["1 of 3"]),
    ("crash, then another suite", CRASH_THEN_NEXT, ONE + HIST, ["1 of 3"]),
    ("fewer results than planned", SHORT, ONE, ["1 of 2"]),
    ("a result lost", GAP, [HIST[0], HIST[2]], ["2 was due"]),
    ("skipped suite", EMPTY_SUITE, [("a", "(suite)", "skip")], []),
    ("header alone", "[    2.1] KTAP version 1\n[    2.1] 1..1\n", [], ["0 of 1"]),
    ("result without header", "[    2.1] ok 1 a\n", [], ["no KTAP"]),
    ("empty", "", [], ["no KTAP"]),
]

DETAILS = [
    ("reason of a skip", GOOD, 1, ["no such processor"]),
    ("lines of a failure", FAILS, 0,
     ["# first: EXPECTATION FAILED at hist_test.c:12",
      "Expected a == b, but", "a == 1 (0x1)"]),
]


def selftest(parse):
    passed = failed = 0

    def check(name, got, want):
        nonlocal passed, failed
        if got == want:
            passed += 1
        else:
            failed += 1
            print(f"{name}: got {got}, want {want}")

    for name, log, results, errors in CASES:
        got, complaints = parse(log.splitlines(keepends=True))
        check(name, [tuple(r[:3]) for r in got], results)
        check(name + ", errors",
              len(complaints) == len(errors) and
              all(word in text for word, text in zip(errors, complaints)),
              True)
    for name, log, index, detail in DETAILS:
        check(name, parse(log.splitlines())[0][index].detail, detail)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0
