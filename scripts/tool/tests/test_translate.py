# SPDX-License-Identifier: GPL-2.0
"""kvmmem translate and kvmmem align, on answers as the module gives them."""

import json

from case import Tool, two_vms

# A question is written over the blanks; what comes after them is the answer.
BLANK = " " * 100 + "\n"
ASK = "# ask what vcpu address\nask gva 0 0x80000000\n"
REGS = ("# regs mode cr3 cr0 cr4 efer l2 age_us from\n"
        "regs 4-level 0x2000 0x80000033 0x20 0xd00 {regs}\n")
STEP = "{layer} {table} {level} {at} {entry} {flags} {to} {why}\n"
HEAD = "# {layer} table level {at} entry flags leads_to why\n"


def steps(layer, tables, at, last="-"):
    """Rows of a layer; the last one ends there if @last is a reason."""
    text = HEAD.format(layer=layer, at=at)
    for number, table in enumerate(tables):
        ends = last if number == len(tables) - 1 else "-"
        text += STEP.format(layer=layer, table=table, level=len(tables) - number,
                            at="0xffffffffff000", entry="0x80000000400e4067",
                            flags="prwxuad-", to="0xffffffffff000" if ends == "-" else "-",
                            why=ends)
    return text


def answer(verdict, regs="no 12 asked", kvm_hpa="0x308d000", kvm="-", page="in-memory"):
    """The module's answer."""
    return BLANK + ASK + REGS.format(regs=regs) + \
        steps("guestpt", ("pml5", "pml4", "pdpt", "pd", "pt"), "gpa") + \
        "# slot slot gpa size_kb hva flags slots\n" \
        "slot 2 0x40000000 4096 0x7f3bc3200000 dirty 2\n" + \
        steps("hostpt", ("pgd", "p4d", "pud", "pmd", "pte"), "hpa") + \
        "# page state kind size_kb node hpa\n" \
        f"page {page} anon {'- - -' if page == 'swapped' else '4 0 0x308d000'}\n" + \
        steps("kvmpt", ("pml4", "pdpt", "pd", "pt"), "hpa", kvm) + \
        "# verdict verdict gpa hva host_hpa kvm_hpa guest_kb host_kb kvm_kb\n" \
        f"verdict {verdict} 0x400e4000 0x7f3bc32e4000 0x308d000 {kvm_hpa} 2048 4 4\n"


ALIGN = """\
# align vcpu guest kvm host size_kb
# reach vcpu mapped_kb reach_kb lost_kb wasted_kb small_kb not_yet_kb no_slot_kb sampled \
error_kb tables unread age_us why
align 0 2m 2m 2m 3145728
align 0 2m 4k 2m 1048576
reach 0 4194304 3145728 1048576 0 0 0 8 yes 20480 2048 3 1500 -
reach 1 - - - - - - - - - - - - no-paging
align 2 2m - 4k 1024
reach 2 1024 - - - - - 0 no - 5 0 - shadow-mmu
"""


class Translate(Tool):
    """One VM, asked for by name."""

    def setUp(self):
        super().setUp()
        self.put(two_vms())
        self.command_line(4121, "qemu", "-name", "web")

    def ask(self, text, *args):
        """What it draws of an answer, and the question that it wrote."""
        path = self.put_debugfs("translate", text)
        status, out, errors = self.inside("translate", "web", *args)
        self.assertEqual((status, errors), (0, ""))
        for line in out.splitlines():
            self.assertLessEqual(len(line), 80, line)
        with open(path, encoding="utf-8") as file:
            return out, file.read(100).strip()

    def test_agree(self):
        out, question = self.ask(answer("agree"), "0xffff888000100000")
        self.assertEqual(question, "gva 0 0xffff888000100000")
        self.assertIn("paging 4-level, CR3 0x2000 (asked 12us ago)", out)
        self.assertIn("= guest-physical 0x400e4000, 2M page", out)
        self.assertIn("slot   2: 4.0M at 0x40000000, dirty, and 1 more", out)
        self.assertIn("= host-physical 0x308d000, 4K page, anon, node 0", out)
        self.assertTrue(out.endswith("KVM's tables and the host's lead to the same page.\n"))
        self.assertNotIn("<--", out)

    def test_what_differs_is_marked(self):
        out = self.ask(answer("differ", kvm_hpa="0x9000"), "--vcpu", "3", "4096")
        self.assertEqual(out[1], "gva 3 0x1000")
        self.assertIn("= host-physical 0x9000, 4K page <-- NOT THE SAME", out[0])
        out = self.ask(answer("kvm-not-yet", kvm_hpa="-", kvm="not-mapped",
                              regs="yes 2000000 last-exit"), "1")[0]
        self.assertIn("-> not mapped <-- ends", out)
        self.assertIn("(at its last exit, 2s ago)", out)
        self.assertIn("It runs a guest of its own; this is the chain of L1.", out)
        self.assertIn("= no page: swapped", self.ask(answer("no-page", page="swapped"), "1")[0])

    def test_kinds_of_addresses(self):
        self.assertEqual(self.ask(answer("agree"), "--gpa", "0x1000")[1], "gpa 0x1000")
        self.assertEqual(self.ask(answer("agree"), "--hva", "0x1000")[1], "hva 0x1000")
        told = json.loads(self.ask(answer("agree"), "--json", "1")[0])
        self.assertEqual((told["id"], told["name"]), ("4121-11", "web"))
        self.assertEqual(told["verdict"][0]["verdict"], "agree")
        self.assertEqual(told["hostpt"][0]["flags"], "prwxuad-")

    def test_errors(self):
        for args, why in ((["0xg"], "invalid address value"), (["-1"], "invalid address value"),
                          (["0x10000000000000000"], "invalid address value"),
                          (["--gpa", "--hva", "1"], "not allowed"),
                          (["--gpa", "--vcpu", "1", "1"], "--vcpu goes with guest-virtual"),
                          (["--vcpu", "-1", "1"], "is no vCPU")):
            with self.subTest(args=args):
                self.fails_inside(2, why, "translate", "web", *args)
        self.fails_inside(2, "asks the running module", "--from", "x", "translate", "web", "1")
        self.fails_inside(2, "wants the VM after it", "--vm", "web", "translate", "web", "1")
        self.fails_inside(1, "no VM has the id", "translate", "none", "1")
        self.put_debugfs("stuck", "")
        self.fails_inside(1, "has no 'translate' in debugfs", "translate", "web", "1")


class Align(Tool):
    """All vCPUs of a VM."""

    def setUp(self):
        super().setUp()
        self.put(two_vms())
        self.put_debugfs("alignment", ALIGN)

    def test_bars(self):
        out = self.output("align", "4121")
        for line in out.splitlines():
            self.assertLessEqual(len(line), 80, line)
        self.assertIn("vCPU 0 maps 4.0G, 1.5ms ago:", out)
        self.assertIn("  2m     2m    2m       3.0G  75% " + "#" * 27 + "\n", out)
        self.assertIn("   75% huge in guest and KVM", out)
        self.assertIn("   25% lost: huge in the guest, small in KVM", out)
        self.assertNotIn("wasted", out)
        self.assertIn("An estimate: each is off by 20.0M or less, 19 times in 20.", out)
        self.assertIn("3 of its tables could not be read.", out)
        self.assertIn("vCPU 1: The guest has no page tables", out)
        self.assertIn("KVM's tables cannot be walked", out)

    def test_json(self):
        told = json.loads(self.output("align", "4121", "--json"))
        self.assertEqual(told["reach"][0]["lost_kb"], 1048576)
        self.assertEqual(told["reach"][1]["mapped_kb"], None)
        self.fails(1, "no VM has the id", "align", "none")
