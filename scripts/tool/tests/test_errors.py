# SPDX-License-Identifier: GPL-2.0
"""What goes wrong, and what the tool says of it."""

import os
import re
import subprocess

from case import HEADERS, TOOL, TREE, Tool, line_of, two_vms, vm_row
from kvmmem_cli.main import VIEWS

NOBODY = 65534


class Errors(Tool):
    """Exit status, and one line that says what to do next."""

    def test_module_not_loaded(self):
        self.fails(1, "/kvmmem: not there; load the module: insmod kvmmem.ko or modprobe kvmmem")
        self.fails(1, "not there; load the module", "stat", "-n", "1")

    def test_copy_not_there(self):
        self.fails(1, "/none: no such file; --file wants a saved copy", "--file", "/none")
        self.fails(1, ": is a directory", "--file", str(self.proc))

    def test_permission(self):
        os.chmod(self.put(two_vms()), 0)
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        self.fails(1, "/kvmmem: permission denied; be root, or load the module with "
                   "proc_mode=0444 ", tool=self.install(self.proc), cwd="/", **user)

    def test_schema(self):
        self.put(two_vms(schema=2))
        self.fails_inside(1, "schema 2, but this tool reads schema 1; use the kvmmem tool that "
                          "came")
        for text in ("", "\n", "# other 1\n", "host isa vmx\n", "# kvmmem\n", "# kvmmem x\n"):
            with self.subTest(text=text):
                self.put(text)
                self.fails_inside(1, "the first line is not '# kvmmem <schema>'")

    def test_malformed(self):
        good = two_vms()
        columns = len(HEADERS["fault"])
        for old, new, why in (
                ("1093341", "109x", "'109x' for 'ept_violations'"),
                ("1093341", "-5", "'-5' for"),
                ("1093341", "9" * 5000, ""),
                ("1093341", "1 2", f"a 'fault' row of {columns + 1} values, "
                 f"but its header names {columns}"),
                ("1093341", "", f"a 'fault' row of {columns - 1} values"),
                ("# fault", "# other", "a 'fault' row before its"),
                ("fault       4121-11", "fault    -", "a 'fault' row without 'vm'"),
                ("# vm ", "# other ", "a 'vm' row before"),
                ("lost                    0", "lost", "a 'host' row wants"),
                ("16777216", "lots", "'lots' for 'mem_total_kb'"),
                ("1093341", "\\033[2J", r"'\\x1b\[2J' for 'ept_violations' is not a number")):
            with self.subTest(new=new):
                self.assertIn(old, good)
                self.put(good.replace(old, new))
                # Where a header is gone its first row is wrong.
                line = line_of(good, old) + old.startswith("# ")
                self.fails_inside(1, f"line {line} is malformed: {why}")
        self.put("# kvmmem 1\nhost isa vmx\n")
        self.fails_inside(1, "there is no '# vm' header line")
        self.put(os.urandom(4096))
        self.fails_inside(1, "kvmmem: ")

    def test_usage(self):
        self.put(two_vms())
        for args, why in (
                (["--nonsense"], "unrecognized arguments: --nonsense; see kvmmem --help"),
                (["nonsense"], "invalid choice: 'nonsense'"),
                (["--vm"], "--vm: expected one argument"),
                (["--sort", "x\x1b"], r"no column 'x\\x1b', there are: name id pid"),
                (["--raw", "--json"], "not allowed with"),
                (["--raw", "--vm", "1"], "--raw prints the whole file"),
                (["--raw", "--sort", "id"], "--raw prints the whole file"),
                (["--json", "stat"], "do not go with 'stat'"),
                (["--sort", "mem", "stat"], "do not go with 'stat'"),
                (["--js"], "unrecognized"),
                (["stat", "5"], "unrecognized arguments: 5"),
                (["stat", "--json", "--csv"], "not allowed with"),
                (["stat", "-e", "x"], "no column 'x', there are: name id"),
                (["stat", "-e", "read", "--rows", "fault"], "-e and --rows do not go"),
                (["stat", "--rows", "none"], "no rows of type 'none', there are: "),
                (["--from", "a", "--file", "b"], "--from and --file do not go together"),
                (["--begin", "1m"], "--begin and --end go with --from"),
                *((["stat", "-i", bad], f"-i: '{bad}' is not a number from 0.05 to 86400")
                  for bad in ("0", "0.01", "-1", "nan", "inf", "1e3", "x", "86401")),
                *((["stat", "-n", bad], f"-n: '{bad}' is not a number from 1 on")
                  for bad in ("0", "-1", "1.5", "x"))):
            with self.subTest(args=args):
                self.fails_inside(2, why, *args)

    def test_help(self):
        self.assertIn("columns to sort by: name id pid", self.output("--help").lower())
        text = self.output("stat", "--help")
        self.assertIn("since kvmmem first saw", text)
        for view in VIEWS:
            self.assertIn("--from", self.output(view, "--help"))
        version = re.search('PACKAGE_VERSION="(.*)"',
                            (TREE.parents[1] / "dkms.conf").read_text(encoding="utf-8"))[1]
        self.assertEqual(self.output("--version"), f"kvmmem {version}\n")

    def test_output_cannot_be_written(self):
        self.put(two_vms())
        for args in ([], ["--raw"], ["stat", "-n", "1"], ["stat", "--csv"]):
            with self.subTest(args=args), open("/dev/full", "w", encoding="utf-8") as disk:
                done = subprocess.run([TOOL, *args], env=self.env, stdout=disk, text=True,
                                      stderr=subprocess.PIPE, timeout=30, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertEqual(done.stderr, "kvmmem: cannot write the output: "
                                 "no space left on device\n")

    def test_reader_has_enough(self):
        self.put(two_vms(vm=[vm_row(f"{i}-1", "x") for i in range(9999)]))
        for args in ([], ["--json"], ["--raw"]):
            with subprocess.Popen([TOOL, *args], env=self.env, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True) as run:
                run.stdout.read(1)
                run.stdout.close()
                self.assertEqual(run.stderr.read(), "")
            self.assertEqual(run.returncode, 0)
