# SPDX-License-Identifier: GPL-2.0
"""Scenarios: shell scripts that run as root inside an emulated host.

    scenario = Scenario("hello", "load_kvm; section id uname -r", check)
    result, = Host(Machine("amd"), kernels.get("6.1")).run([scenario])

A script has the helpers of host/lib.sh. It fails if it exits with another
status than expected, exceeds its time, leaves a module in use, leaves a
splat in the kernel's log, or if check(out) raises AssertionError.
"""

import dataclasses
import re
import typing

import emulator
import image
from emulator import Machine

SPLAT = re.compile(
    r"BUG:|WARNING:|Oops|general protection|possible .* detected|"
    r"suspicious RCU|rcu.*(?:stall|self-detected)|nable to handle|KASAN|UBSAN|"
    r"sleeping function|unreferenced object|Call Trace|Kernel panic|"
    r"blocked for more than|soft lockup|lockup detected|refcount_t:|"
    r"with parent '\S+' already present")

# A report of KCSAN, to its end or where the log was cut. The kernel's own races are many,
# and not ours.
_RACE = re.compile(r"[^\n]*={20,}\n[^\n]*BUG: KCSAN.*?(?:={20,}(?:\n|$)|\Z)", re.S)
# Nor are these, whoever is there: a clock has two copies, and a reader that met a change
# reads again; lockdep notes who called, and looks through modules that come meanwhile.
_KERNELS = re.compile(r"KCSAN: data-race in (?:ktime_get_mono_fast_ns / timekeeping_update|"
                      r"__module_address / do_init_module)")
# Where somebody was, and not whose work he was doing.
_OURS = re.compile(r"\+0x\w+/0x\w+ \[kvmmem")
# What an interrupt does is not done by those whom it has interrupted.
_INTERRUPTED = re.compile(r"(asm_(?:sysvec|common_interrupt)[^\n]*\n)(?:[^\n]*\+0x[^\n]*\n)*")

_MARK = re.compile(r"^@@lab (\w+) ?(.*)$")
_TAIL_LINES = 40


@dataclasses.dataclass(frozen=True)
class Scenario:
    """What to run, and how to judge it."""

    name: str
    script: str
    check: typing.Callable | None = None        # check(out), out an Output
    limit: int = 30                     # seconds, if this machine is idle
    status: int = 0                     # that the script shall exit with
    vendors: tuple = ("amd", "intel")
    kernels: tuple = ()                 # names; empty: all
    tolerate: str = ""                  # log lines that are no splat (regex)
    expected: str = ""                  # whole reports that are none (regex)
    leaves: tuple = ()                  # modules that cannot be unloaded afterwards
    host: dict = dataclasses.field(default_factory=dict)    # fields of Machine

    def machine(self, vendor):
        """The machine that this scenario wants."""
        return Machine(vendor=vendor, **self.host)


def pairs(text):
    """The KEY=VALUE words of a text; whole numbers become int."""
    return {key: int(value) if re.fullmatch(r"-?\d+", value) else value
            for key, value in re.findall(r"(\S+?)=(\S*)", text)}


class Output:
    """What a scenario printed: its text, and its sections by name."""

    def __init__(self, text=""):
        self.text = ""                  # outside of sections
        self.sections = {}              # name -> list of (text, status)
        self.stuck = []
        self._parse(text)

    def _parse(self, text):
        stack = [("", [])]
        for line in text.split("\n"):
            mark = _MARK.match(line)
            word = mark and mark[1]
            if word == "section":
                stack.append((mark[2], []))
            elif word == "endsection" and len(stack) > 1:
                name, lines = stack.pop()
                status = int(mark[2].split()[-1])
                self.sections.setdefault(name, []).append(
                    ("\n".join(lines).strip("\n"), status))
            elif word == "stuck":
                self.stuck.append(mark[2])
            elif not mark:
                stack[-1][1].append(line)
        self.text = "\n".join(line for _, lines in stack for line in lines).strip("\n")

    def __getitem__(self, name):
        return self.all(name)[-1]

    def __contains__(self, name):
        return name in self.sections

    def all(self, name):
        """The texts of every section of that name."""
        if name not in self.sections:
            raise AssertionError(f"the output has no section '{name}'")
        return [text for text, _ in self.sections[name]]

    def status(self, name):
        """The exit status of a section's command."""
        self.all(name)
        return self.sections[name][-1][1]

    def values(self, name):
        """The KEY=VALUE words of a section; of a key that comes twice, the last."""
        return pairs(self[name])

    def records(self, name, first=""):
        """The same, for each line that begins with `first`, of all such sections."""
        return [pairs(line) for text in self.all(name)
                for line in text.splitlines() if line.startswith(first)]


@dataclasses.dataclass
class Result:
    """How a scenario went."""

    scenario: Scenario
    reason: str = ""                    # empty if it passed
    seconds: float = 0.0                # by the emulated host's clock
    output: str = ""
    log: str = ""                       # of the kernel, while it ran
    tail: str = ""                      # of the console, if the host died

    @property
    def ok(self):
        """Did it pass?"""
        return not self.reason


def _our_race(race):
    """A report of KCSAN if it is about kvmmem, or nothing."""
    ours = _OURS.search(_INTERRUPTED.sub(r"\1", race[0])) and not _KERNELS.search(race[0])
    # Another processor may have said something else meanwhile.
    return race[0] if ours else "\n".join(
        line for line in race[0].splitlines() if "KCSAN" not in line and SPLAT.search(line))


def splat(log, tolerate="", expected=""):
    """The first line of a kernel log that must not be there, or None."""
    log = _RACE.sub(_our_race, log)
    if expected:
        log = re.sub(expected, "", log)
    for line in log.splitlines():
        if SPLAT.search(line) and not (tolerate and re.search(tolerate, line)):
            return line.strip()
    return None


def _frames(console):
    """Split the console: (boot log, {number: {part: text}}, words seen last)."""
    frames, boot, current, last = {}, [], None, ("", "")
    for line in console.split("\n"):
        mark = _MARK.match(line)
        if mark and mark[1] in ("boot", "begin", "status", "log", "end", "done"):
            last = (mark[1], mark[2])
            if mark[1] == "boot":
                current = boot
            elif mark[1] in ("end", "done"):
                current = None
            else:
                frame = frames.setdefault(int(mark[2].split()[0]), {})
                frame[mark[1] + "_words"] = mark[2].split()[1:]
                current = frame.setdefault(mark[1], [])
        elif current is not None:
            current.append(line)
    parts = {number: {key: "\n".join(value) if not key.endswith("_words") else value
                      for key, value in frame.items()}
             for number, frame in frames.items()}
    return "\n".join(boot), parts, last


class Host:
    """An emulated host that runs scenarios, one after another, in one boot."""

    # QEMU's clock is ours, and it gets less done by it when we are busy. Bochs's
    # clock counts instructions, and so does QEMU's with icount.
    _STRETCH = {"amd": 5, "intel": 1}
    _SLOWNESS = {"amd": 5, "intel": 15}     # our seconds for a scenario's, at worst
    _BOOT = {"amd": 200, "intel": 400}

    def __init__(self, machine, kernel, files=None, prepare=(), keep=None):
        """files: host paths -> content or pathlib.Path; prepare: callables that
        are given the image.Image, the kernel and the vendor; keep: where to
        leave the emulator's files."""
        self.machine = machine
        self.kernel = kernel
        self.files = files or {}
        self.prepare = prepare
        self.keep = keep
        self.outcome = None
        # A checking kernel executes more, which Bochs's clock counts.
        self._slower = getattr(kernel, "slower", {}).get(machine.vendor, 1)

    def _archive(self, scenarios):
        picture = image.base(self.kernel, self.machine.vendor)
        for path, content in self.files.items():
            if isinstance(content, (str, bytes)):
                picture.add(path, content)
            else:
                picture.add_file(content, path)
        for prepare in self.prepare:
            prepare(picture, self.kernel, self.machine.vendor)
        for number, scenario in enumerate(scenarios):
            picture.add(f"scenarios/{number:03}.sh", scenario.script)
            limit = scenario.limit * self._STRETCH[self.machine.vendor] * self._slower
            picture.add(f"scenarios/{number:03}.limit", f"{limit}\n")
        return picture.archive()

    def _progress(self, scenarios):
        slowness = self._SLOWNESS[self.machine.vendor]
        slowness *= (10 if self.machine.icount else 1) * self._slower
        seen = 0

        def granted(text):
            """Time for what the last mark says is going on."""
            nonlocal seen
            at = text.rfind("\n@@lab ")
            if at < seen or "\n" not in text[at + 1:]:
                return None
            seen = at + 1
            mark = _MARK.match(text[at + 1:].split("\n", 1)[0])
            if mark and mark[1] == "begin":
                return 30 + scenarios[int(mark[2].split()[0])].limit * slowness
            if mark and mark[1] in ("boot", "status", "log", "end", "done"):
                return 30 + 10 * slowness
            return None

        return granted

    def run(self, scenarios):
        """The Results of all scenarios, in order."""
        archive = self._archive(scenarios)
        self.outcome = emulator.run(
            self.machine, self.kernel, archive, self._progress(scenarios),
            self._BOOT[self.machine.vendor], self.keep)
        boot, frames, last = _frames(self.outcome.console)
        boot_splat = splat(boot)
        dead = False
        results = []
        for number, scenario in enumerate(scenarios):
            result = Result(scenario)
            results.append(result)
            frame = frames.get(number, {})
            result.output = frame.get("begin", "").strip("\n")
            result.log = frame.get("log", "").strip("\n")
            words = frame.get("status_words")
            if words:
                result.seconds = float(words[1]) - float(frame["begin_words"][0])
            if not words or last[0] != "done" and last[1].startswith(f"{number:03}"):
                result.reason = self._death(number, last)
                result.tail = "" if dead else self._tail()
                dead = True
                continue
            result.reason = self._judge(scenario, result, frame, int(words[0]))
            if not result.reason and boot_splat:
                result.reason = f"splat during boot: {boot_splat}"
        return results

    def _death(self, number, last):
        how = {"ok": "the emulated host went down", "died": "the kernel panicked",
               "timeout": "the emulated host hung",
               "silent": "the emulated host printed nothing"}[self.outcome.how]
        if last[1].split(" ")[0] == f"{number:03}":
            end = self.outcome.console.rfind(f"\n@@lab begin {number:03}")
            found = splat(self.outcome.console[end:])
            return f"{how} during this{f': {found}' if found else ''}"
        return f"{how} before this" if last[0] else f"{how} while booting"

    def _tail(self):
        lines = self.outcome.console.strip("\n").split("\n")[-_TAIL_LINES:]
        return "\n".join(lines + [self.outcome.note.strip()]).strip("\n")

    @staticmethod
    def _judge(scenario, result, frame, status):
        out = Output(result.output)
        bad = splat(result.log, scenario.tolerate, scenario.expected)
        if bad:
            return f"splat: {bad}"
        stuck = [module for module in Output(frame.get("status", "")).stuck
                 if module not in scenario.leaves]
        if stuck:
            return f"in use afterwards: {', '.join(stuck)}"
        if status == 137 and scenario.status != 137:
            return f"longer than {scenario.limit} s"
        if status != scenario.status:
            return f"exit status {status} instead of {scenario.status}"
        if scenario.check:
            try:
                scenario.check(out)
            except AssertionError as error:
                return str(error) or "the check failed"
            except (KeyError, ValueError, IndexError, TypeError) as error:
                return f"the check failed: {type(error).__name__}: {error}"
        return ""
