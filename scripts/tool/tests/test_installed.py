# SPDX-License-Identifier: GPL-2.0
"""What comes with the tool: manuals, completion, services."""

import re
import subprocess

from case import TOOL, TREE, Tool, full
from kvmmem_cli.main import VIEWS

TOOLS = TREE.parent / "package/tools"


class Manuals(Tool):
    """A page for each command, and in it all options of its --help."""

    def test_every_option_is_explained(self):
        for view in ("", *VIEWS):
            path = TOOLS / f"kvmmem{'-' + view if view else ''}.8"
            text = path.read_text(encoding="utf-8").replace("\\", "")
            self.assertRegex(text, rf"(?m)^\.TH KVMMEM{'-' + view.upper() if view else ''} 8 ")
            for option in set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*",
                                         self.output(*([view] if view else []), "--help")
                                         .split("examples:", maxsplit=1)[0])):
                self.assertRegex(text, rf"(?m)^\.(B|BI|BR) (.*[^a-z-])?{option}([^a-z-]|$)",
                                 f"{path.name}: {option}")
        main = (TOOLS / "kvmmem.8").read_text(encoding="utf-8")
        self.assertEqual(re.findall(r"(?m)^\.SS (\w+)$", main), list(VIEWS))


class Completion(Tool):
    """bash, asked for words."""

    def words(self, *line):
        """What bash offers for the last word."""
        done = subprocess.run(
            ["bash", "-c", f". {TOOLS}/completions/kvmmem; " + """
             COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
             _kvmmem "$1"; printf '%s\\n' "${COMPREPLY[@]}" """, "-", TOOL, *line],
            capture_output=True, text=True, env=self.env, timeout=60, check=True)
        return done.stdout.split("\n")[:-1]

    def test_words(self):
        self.put(full())
        self.command_line(4121, "qemu", "-name", "web 1; rm -rf $HOME")
        self.command_line(5210, "qemu", "-name", "db")
        self.assertEqual([word for word in self.words("") if word[:1].isalpha()], list(VIEWS))
        self.assertEqual(self.words("stat", "--ex"), ["--exact"])
        self.assertEqual(self.words("--ex"), [""])
        self.assertNotIn("-i", self.words("-"))     # which is in an example
        self.assertIn("-i", self.words("stat", "-"))
        self.assertEqual(self.words("--sort", "vio"), ["violations"])
        self.assertEqual(self.words("--vm", "d"), ["db"])
        self.assertEqual(self.words("explain", "4"), ["4121-11"])
        # A name is quoted, so that nothing of it is obeyed.
        self.assertEqual(self.words("--vm", "w"), [r"web\ 1\;\ rm\ -rf\ \$HOME"])
        self.assertEqual(self.words("report", str(self.proc / "kvm")), [str(self.proc / "kvmmem")])


class Services(Tool):
    """Off by default, and in order."""

    def test_record(self):
        text = (TOOLS / "kvmmem-record.service").read_text(encoding="utf-8")
        command = re.search(r"(?m)^ExecStart=/usr/bin/kvmmem (.*)$", text)[1].split()
        path = command[command.index("-o") + 1]
        self.put(full())
        self.output(*(word if word != path else str(self.proc / "recording")
                      for word in command), "-n", "1")
        self.assertIn("WantedBy=multi-user.target", text)
