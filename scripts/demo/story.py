# SPDX-License-Identifier: GPL-2.0
"""What the demo says, computed from what kvmmem printed, and checked."""

import itertools
import textwrap

from guests import GUESTS, HUGE
from procfile import ProcFile, table

WIDTH = 80
# The tool wants all of these columns or none.
WHOLE = ("backing",)


class Wrong(Exception):
    """A number is not what the sentence says."""


def expect(what, got, wanted):
    """A number that the next sentence is about."""
    if got != wanted:
        raise Wrong(f"{what}: {got} instead of {wanted}")
    return got


def say(text, first="", more=""):
    """A paragraph."""
    print(textwrap.fill(" ".join(text.split()), WIDTH, initial_indent=first,
                        subsequent_indent=more, break_on_hyphens=False))


def title(text):
    """What a section is about."""
    print(f"\n{text}\n{'=' * len(text)}\n")


def by_name(name, text):
    """A paragraph about one VM."""
    say(text, f"  {name:8} ", " " * 11)


def interesting(rows):
    """(columns of which not all is 0 or "-", the others)."""
    names = list(rows[0])
    kept = [name for name in names if any(row[name] not in (0, None) for row in rows)]
    return kept, [name for name in names if name not in kept]


def show(command, kind, rows, names, columns=None):
    """Rows as on a terminal, each with its VM's name; columns that say nothing are left out."""
    kept, dropped = (columns, []) if columns else interesting(rows)
    lines = [[f"# {kind}", *kept]]
    lines += [[kind, *("-" if row[name] is None else str(row[name]) for name in kept)]
              for row in rows]
    print(f"host# {command}")
    cells = []
    for column in zip(*lines):
        width = max(map(len, column))
        is_number = all(word.isdigit() for word in column[1:])
        cells.append([word.rjust(width) if is_number else word.ljust(width) for word in column])
    for line, name in zip(zip(*cells), ["", *names]):
        print(" ".join([*line, f"<- {name}" if name else ""]).rstrip())
    if dropped:
        say(f"(left out, 0 or - in each row: {', '.join(dropped)})")
    print()


class Story:
    """The numbers, and what there is to say of them."""

    def __init__(self, out):
        self.out = out
        self.proc = ProcFile(out["proc"])
        self.ids = {row["comm"]: row["id"] for row in self.proc.all("vm")}
        expect("VMs", sorted(self.ids), sorted(GUESTS))
        expect("events that were not counted", self.proc.host["lost"], 0)

    def row(self, kind, name):
        """The one row of a VM."""
        return self.proc.find(kind, vm=self.ids[name])

    def rows(self, kind):
        """(rows, names of their VMs), in the order of the guests."""
        pairs = [(row, name) for name in GUESTS
                 for row in self.proc.all(kind, vm=self.ids[name])]
        return [row for row, _ in pairs], [name for _, name in pairs]

    def saved(self):
        """/proc/kvmmem without columns that say nothing, for the tool."""
        lines = []
        for line in self.out["proc"].split("\n"):
            kind = line.split()[1 if line.startswith("#") else 0]
            if kind in self.proc.rows and kind not in WHOLE:
                kept, _ = interesting(self.proc.rows[kind])
                words = line.removeprefix("#").split()[1:]
                words = [word for word, column in zip(words, self.proc.columns[kind])
                         if column in kept]
                line = " ".join([f"# {kind}" if line.startswith("#") else kind, *words])
            lines.append(line)
        return "\n".join(lines) + "\n"

    def guests(self):
        """Who is there."""
        for name, guest in GUESTS.items():
            by_name(name, guest.what.format(**vars(guest)))

    def faults(self):
        """How often they left, and why."""
        say("""EPT violations: the guest touched memory for which KVM's second-level page
            tables (EPT on Intel, NPT on AMD) had nothing, and KVM had to put it there. Each is
            an exit from the guest.""")
        print()
        show("grep fault /proc/kvmmem", "fault", *self.rows("fault"))
        for name, guest in GUESTS.items():
            row = self.row("fault", name)
            self.fault_sentence(name, guest, row, row["exec"] + row["page_walk"])
        plain, huge = (self.row("fault", name) for name in ("plain", "huge"))
        own = plain["exec"] + plain["page_walk"]
        plain, huge, code = plain["ept_violations"], huge["ept_violations"], plain["exec"]
        print()
        say(f"""Each vCPU adds {own}: its own code ({code} exec) and page tables ({own - code}
            page_walk) are memory, too. Pages of 2M saved "huge" {plain - huge} of {plain}
            exits.""")

    def fault_sentence(self, name, guest, row, own):
        """One VM's count, as the sum that it is."""
        count, pages = row["ept_violations"], guest.pages
        regions = pages // HUGE
        sums = {
            "plain": (pages + own, f"{pages} + {own}: a page is mapped when it is first touched"),
            "huge": (regions + own, f"{regions} + {own}: {pages} pages, but {HUGE} at a time"),
            "balloon": (guest.rounds * pages + own, f"{guest.rounds} x {pages} + {own}: taken away "
                        f"{guest.rounds - 1} times, so touched for the first time {guest.rounds} "
                        "times"),
            "pair": (pages + own, f"{pages} + {own // guest.vcpus} x {guest.vcpus}: "
                     f"{(pages + own) // guest.vcpus} for each vCPU"),
            "moving": (regions + pages + own, f"{regions} + {pages} + {own}: {regions} pages of "
                       f"2M; then, for logging, the first write to each of {pages} pages of 4K, "
                       "which are mapped but write-protected (protection)"),
            "crooked": (pages + own, f"{pages} + {own}: as many as without pages of 2M in the "
                        f"host; aligned it would have been {regions} + {own}"),
        }
        wanted, text = sums[name]
        by_name(name, f"{expect(f'{name}: ept_violations', count, wanted)} = {text}.")
        expect(f"{name}: read + write + exec", row["read"] + row["write"] + row["exec"], count)
        expect(f"{name}: exec and page_walk", own, 5 * guest.vcpus)
        expect(f"{name}: protection", row["protection"], pages if name == "moving" else 0)
        expect(f"{name}: faults of each vCPU",
               [vcpu["read"] + vcpu["write"] + vcpu["exec"]
                for vcpu in table(self.out[f"{name} faults"])],
               [count // guest.vcpus] * guest.vcpus)

    def gaps(self):
        """What is huge in the host and not in KVM's tables."""
        rows, names = self.rows("backing")
        say("""The same memory twice: in the host's page tables (host_*) and in KVM's (ept_*), by
            the size of the pages.""")
        print()
        show("grep backing /proc/kvmmem     (some columns)", "backing", rows, names,
             ["vm", "host_4k_kb", "host_2m_kb", "ept_4k_kb", "ept_2m_kb"])
        for name, guest in GUESTS.items():
            row, kb = self.row("backing", name), guest.pages * 4
            expect(f"{name}: host_2m_kb, ept_2m_kb", (row["host_2m_kb"], row["ept_2m_kb"]),
                   {"huge": (kb, kb), "moving": (kb, 0), "crooked": (kb, 0)}.get(name, (0, 0)))
        plain, huge = (self.row("backing", name) for name in ("plain", "huge"))
        expect("huge has smaller tables", huge["ept_table_kb"] < plain["ept_table_kb"], True)
        by_name("huge", f"""{huge['ept_2m_kb']} KiB in pages of 2M on both sides, and
            {huge['ept_table_kb']} KiB of tables (ept_table_kb); "plain" takes
            {plain['ept_table_kb']}.""")
        slots = {name: self.slot(name) for name in ("moving", "crooked")}
        print()
        say("""The host backs "moving" and "crooked" by pages of 2M, and still their guests run
            on pages of 4K: a gap. Which memory slot is it in, and why?""")
        print()
        show("cat /sys/kernel/debug/kvmmem/vms/*/backing     (some of it)", "slot",
             list(slots.values()), list(slots),
             ["slot", "gpa", "host_2m_kb", "ept_4k_kb", "gap_kb", "cause"])
        self.causes(slots)

    def slot(self, name):
        """The slot of a VM that has a gap, which is all of it."""
        rows = [row for row in table(self.out[f"{name} backing"])
                if row["slot"] != "total" and row["gap_kb"]]
        expect(f"{name}: slots with a gap", len(rows), 1)
        expect(f"{name}: host_2m_kb, ept_4k_kb, gap_kb",
               [rows[0][key] for key in ("host_2m_kb", "ept_4k_kb", "gap_kb")],
               [GUESTS[name].pages * 4] * 3)
        return rows[0]

    def causes(self, slots):
        """Of the gaps, and what helps."""
        moving, crooked = slots["moving"], slots["crooked"]
        split = expect("moving: dirty_log_split", self.row("huge", "moving")["dirty_log_split"],
                       GUESTS["moving"].pages // HUGE)
        expect("moving: cause", moving["cause"], "dirty-logging")
        expect("crooked: cause", crooked["cause"], "misaligned-slot")
        expect("crooked: gpa modulo 2M", int(crooked["gpa"], 16) % (2 << 20), 4096)
        expect("crooked: hva modulo 2M",
               int(str(self.out.values("crooked slot")["hva"]), 16) % (2 << 20), 0)
        by_name("moving", f"""All {moving['gap_kb']} KiB are mapped by 4K since logging began;
            KVM split {split} pages of 2M for it ("huge" rows: dirty_log_split). It ends with
            the migration. If it stays, a migration was cancelled badly.""")
        by_name("crooked", f"""All {crooked['gap_kb']} KiB, and for ever: {crooked['gpa']} is 4K
            past a multiple of 2M and the memory behind it is not, so that no page of 2M fits
            both. The VMM has to align the guest's memory.""")

    def flushes(self):
        """Who flushed what."""
        say("""What KVM takes out of its tables a vCPU may still have in its TLB: KVM asks for a
            flush.""")
        print()
        # Some kernels flush each vCPU's TLB once when it is new and has no tag yet.
        first = self.row("flush", "plain")["vcpu"]
        rows, names = self.rows("flush")
        rows, names = zip(*((row, name) for row, name in zip(rows, names)
                            if row["vcpu"] > first * GUESTS[name].vcpus))
        show("grep flush /proc/kvmmem     (VMs that had any)", "flush", rows, names)
        tags = self.proc.all("vpid", vm=self.ids["balloon"])
        count = expect("balloon: vcpu", self.row("flush", "balloon")["vcpu"] - first,
                       GUESTS["balloon"].rounds - 1)
        expect("balloon: flushes by another thread", sum(tag["remote"] for tag in tags), count)
        expect("balloon: tags", len(tags), count + 1)
        by_name("balloon", f"""{count} flushes, one for each time that its memory was taken away.
            On this host KVM flushes by giving the vCPU a new ASID: it had {len(tags)}, the first
            and {count} more ("vpid" rows).""")
        expect("moving: vcpu", self.row("flush", "moving")["vcpu"] - first, 1)
        by_name("moving", "1 flush, when logging began and its pages became write-protected.")
        expect("VMs with flushes", sorted(names), ["balloon", "moving"])

    def times(self):
        """How long faults took."""
        rows = [row for row in table(self.out["plain latency"].split("# untimed")[0])
                if row["count"]]
        total = expect("plain: faults whose service time is known",
                       sum(row["count"] for row in rows),
                       self.row("fault", "plain")["ept_violations"])
        below = itertools.accumulate(row["count"] for row in rows)
        half = next(row["to_ns"] for row, count in zip(rows, below) if 2 * count >= total)
        say(f"""vms/<id>/latency has a histogram of service times, from VM exit to VM entry. That
            of "plain" has {total} faults, each of the above, and half of them took less than
            {half} ns: by the emulator's clock, so do not compare it with a processor's.""")

    def trust(self):
        """Does KVM agree?"""
        say("""KVM counts some of this, too, in other places. "audit" compares:""")
        print()
        rows = table(self.out["audit"])
        names = {ident: name for name, ident in self.ids.items()}
        ours = {"ept_violations": ("fault", "ept_violations"), "flushes": ("flush", "vcpu")}
        expect("rows of audit", len(rows), len(GUESTS) * len(ours))
        for row in rows:
            kind, column = ours[row["counter"]]
            count = self.row(kind, names[row["vm"]])[column]
            expect(f"audit of {names[row['vm']]}, {row['counter']}: kvmmem, kvm, difference",
                   (row["kvmmem"], row["kvm"], row["difference"]), (count, count, 0))
        some = [row for row in rows if row["kvm"]]
        show("cat /sys/kernel/debug/kvmmem/audit     (counts that are not 0)", "audit", some,
             [names[row["vm"]] for row in some],
             ["vm", "counter", "kvmmem", "kvm", "difference"])
        say(f"""All {len(rows)} differences are 0, those of the {len(rows) - len(some)} counts
            of 0 included. So is "lost", the number of events that kvmmem could not count.""")
        hooks = table(self.out["hooks"])
        absent = [row["name"] for row in hooks if row["state"] == "absent"]
        attached = expect("hooks that are attached",
                          sum(row["state"] == "attached" for row in hooks),
                          len(hooks) - len(absent))
        print()
        say(f"""kvmmem listens at {attached} places in KVM ("hooks" names them); {len(absent)}
            more are in other kernels only{': ' if absent else ''}{', '.join(absent)}.""")
