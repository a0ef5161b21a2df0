#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Run suites of scenarios inside emulated hosts with real KVM.

A suite NAME is the file suite_NAME.py beside this one. It holds SCENARIOS, a
list of host.Scenario, and may have prepare(image, kernel, vendor), which adds
what its scenarios need to the emulated host's files.
"""

import argparse
import dataclasses
import importlib
import pathlib
import re
import signal
import sys
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lab")]

# pylint: disable=wrong-import-position
import debugkernel
import features
import host
import kernels
import leaks


def suite_names():
    """All suites there are."""
    return sorted(path.stem[len("suite_"):] for path in HERE.glob("suite_*.py"))


def _needs(script):
    """What a scenario needs loaded, as a key that sorts alike scenarios together.

    Loading KVM takes longer than most scenarios, kvmmem longer than many: what is
    loaded as the next one wants it stays. Those without KVM come first."""
    kvm, kvmmem = (re.search(pattern, script) for pattern in (
        r"(un)?load_kvm(_shadow)?\b[^;\n]*", r"\bkeep_kvmmem\b[^;\n]*"))
    return (bool(kvm) and not kvm[1], kvm[0] if kvm else "", kvmmem[0] if kvmmem else "")


def _indent(text):
    return "".join(f"    {line}\n" for line in text.splitlines() if line.strip())


KERNELS = (*kernels.NAMES, *debugkernel.NAMES)


def get_kernel(name):
    """A kernel by its name."""
    return debugkernel.get(name) if name in debugkernel.NAMES else kernels.get(name)


class Runner:
    """Runs and counts."""

    def __init__(self, verbose, keep, look_for_leaks=False):
        self.verbose = verbose
        self.keep = keep
        self.look_for_leaks = look_for_leaks
        self.passed = self.failed = 0

    def _report(self, vendor, kernel, result):
        where = f"{vendor} {kernel} {result.scenario.name}"
        if result.ok:
            self.passed += 1
            print(f"ok {where} ({result.seconds:.1f} s)", flush=True)
        else:
            self.failed += 1
            print(f"FAIL {where}: {result.reason}", flush=True)
        if self.verbose or not result.ok:
            for title, text in (("output", result.output), ("kernel log", result.log),
                                ("end of the console", result.tail)):
                if text:
                    print(f"  {title}:\n{_indent(text)}", end="", flush=True)

    def fail(self, vendor, kernel, name, reason):
        """Something that has no result."""
        self._report(vendor, kernel,
                     host.Result(host.Scenario(name, ""), reason=reason))

    def boot(self, machine, kernel_name, scenarios, prepare):
        """Run scenarios in one boot of a machine."""
        start = time.monotonic()
        try:
            kernel = get_kernel(kernel_name)
            if self.look_for_leaks:
                machine = dataclasses.replace(machine, cmdline=f"{machine.cmdline} {leaks.ON}")
                scenarios = [*scenarios, leaks.SCENARIO]
            if isinstance(kernel, debugkernel.DebugKernel):
                machine = kernel.machine(machine)
            emulated = host.Host(machine, kernel, prepare=prepare, keep=self.keep)
            results = emulated.run(scenarios)
        except Exception as error:  # pylint: disable=broad-exception-caught
            # Whatever it is, the scenarios have not run.
            for scenario in scenarios:
                self.fail(machine.vendor, kernel_name, scenario.name,
                          f"{type(error).__name__}: {error}")
            return
        for result in results:
            self._report(machine.vendor, kernel_name, result)
        options = "".join(f" {key}={value}" for key, value in vars(machine).items()
                          if value != getattr(host.Machine, key))
        print(f"# {len(results)} in a boot of {machine.vendor} {kernel_name}{options}:"
              f" {time.monotonic() - start:.1f} s", flush=True)

    def run(self, vendor, kernel, chosen):
        """Run (suite, scenario) pairs, those that want the same machine in one boot."""
        groups = {}
        for suite, scenario in sorted(chosen, key=lambda pair: _needs(pair[1].script)):
            groups.setdefault(scenario.machine(vendor), []).append((suite, scenario))
        for machine, members in groups.items():
            prepare = dict.fromkeys(suite.prepare for suite, _ in members
                                    if hasattr(suite, "prepare"))
            self.boot(machine, kernel, [one for _, one in members], tuple(prepare))


def selected(suites, vendor, kernel, wanted, once=False):
    """(suite, scenario) pairs that apply; says what is left out on this kernel."""
    chosen = [(suite, scenario) for suite in suites for scenario in suite.SCENARIOS
              if vendor in scenario.vendors
              and (not scenario.kernels or kernel in scenario.kernels)
              and any(word in scenario.name for word in wanted.split(","))
              and not (once and features.once(suite.__name__[len("suite_"):], scenario.name))]
    names = {scenario.name for _, scenario in chosen}
    left_out = {}
    for scenario in (one for suite in suites for one in suite.SCENARIOS):
        reason = features.unfit(scenario, kernel)
        if reason and vendor in scenario.vendors and \
                any(word in scenario.name for word in wanted.split(",")) and \
                (scenario.name not in names or not scenario.kernels or kernel in scenario.kernels):
            left_out[scenario.name] = reason
    for name, reason in left_out.items():
        print(f"# no {name} on {kernel}: {reason}")
    return [pair for pair in chosen if not features.unfit(pair[1], kernel)]


def _arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", metavar="SUITE",
                        help=f"of {', '.join(suite_names())}; all if none is given")
    parser.add_argument("--vendor", choices=("amd", "intel", "both"), default="both")
    parser.add_argument("--kernel", default="6.1", metavar="NAME,...",
                        help=f"of {', '.join(KERNELS)} (6.1)")
    parser.add_argument("--filter", default="", metavar="TEXT,...",
                        help="only scenarios whose name contains one of them")
    parser.add_argument("--once", action="store_true",
                        help="without those that say the same on any processor")
    parser.add_argument("--leaks", action="store_true",
                        help="look for kvmmem's at the end of each boot; on kernels with kmemleak")
    parser.add_argument("--list", action="store_true", help="name them, run nothing")
    parser.add_argument("--keep", metavar="DIR", type=pathlib.Path,
                        help="leave the emulator's files of the last boot there")
    parser.add_argument("-v", "--verbose", action="store_true",
                        help="show the output of what passed, too")
    args = parser.parse_args()
    args.suites = args.suites or suite_names()
    args.kernels = args.kernel.split(",")
    for name in args.suites:
        if name not in suite_names():
            parser.error(f"no suite {name}: there are {', '.join(suite_names())}")
    for name in args.kernels:
        if name not in KERNELS:
            parser.error(f"no kernel {name}: there are {', '.join(KERNELS)}")
    args.vendors = ("amd", "intel") if args.vendor == "both" else (args.vendor,)
    return args


def main():
    """The command line; the result is the exit status."""
    args = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # end the emulator, too
    suites = [importlib.import_module(f"suite_{name}") for name in args.suites]
    runner = Runner(args.verbose, args.keep, args.leaks)
    names = [scenario.name for suite in suites for scenario in suite.SCENARIOS]
    for word in args.filter.split(","):
        if not any(word in name for name in names):
            runner.fail("any", "kernel", f"--filter {word}", "no scenario is called so")
    for vendor in args.vendors:
        for kernel in args.kernels:
            chosen = selected(suites, vendor, kernel, args.filter, args.once)
            if args.list:
                for suite, scenario in chosen:
                    print(vendor, kernel, suite.__name__[len("suite_"):], scenario.name)
                continue
            for name, suite in zip(args.suites, suites):
                if not args.filter and not args.once and \
                        not any(suite is one for one, _ in chosen) and \
                        not any(features.unfit(one, kernel) for one in suite.SCENARIOS):
                    runner.fail(vendor, kernel, f"suite {name}", "it has nothing to run here")
            runner.run(vendor, kernel, chosen)
    if args.list:
        return 0
    print(f"{runner.passed} passed, {runner.failed} failed")
    return 0 if runner.passed and not runner.failed else 1


if __name__ == "__main__":
    sys.exit(main())
