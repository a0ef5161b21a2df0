# SPDX-License-Identifier: GPL-2.0
"""Numbers, text and names, as people read them."""

import signal
import unittest

from kvmmem_cli import names, parse, units

INTERRUPT = signal.getsignal(signal.SIGINT)


class Units(unittest.TestCase):
    """How numbers and text are shown."""

    def test_sizes(self):
        for kb, text in ((0, "0"), (1, "1K"), (512, "512K"), (1023, "1023K"), (1024, "1.0M"),
                         (4194304, "4.0G"), (2201344, "2.1G"), (102400, "100M"),
                         (20480, "20.0M"), (104857600, "100G"), (1048575, "1.0G"),
                         (1 << 30, "1.0T"), (2 ** 64 - 1, "16384E")):
            self.assertEqual(units.show_size(kb), text)

    def test_counts(self):
        for number, text in ((0, "0"), (7, "7"), (999, "999"), (1000, "1.00k"), (9999, "10.0k"),
                             (12345, "12.3k"), (999499, "999k"), (999500, "1.00M"),
                             (1093341, "1.09M"), (2 ** 64 - 1, "18.4E")):
            self.assertEqual(units.show_count(number), text)

    def test_rates(self):
        for rate, text in ((0, "0"), (0.01, "<0.1"), (0.3, "0.3"), (99.9, "99.9"),
                           (99.96, "100"), (999.6, "1.00k"), (1234.5, "1.23k")):
            self.assertEqual(units.show_rate(rate), text)

    def test_shares_end_at_the_ends_only(self):
        for share, text in ((0, "0%"), (0.001, "<1%"), (0.5, "50%"), (0.9999, ">99%"),
                            (1, "100%")):
            self.assertEqual(units.show_percent(share), text)

    def test_ages(self):
        for ms, text in ((0, "0ms"), (999, "999ms"), (1000, "1s"), (61000, "1m"),
                         (7200000, "2h"), (86400000, "1d")):
            self.assertEqual(units.show_age(ms), text)

    def test_times(self):
        for us, text in ((0, "0"), (7, "7us"), (1500, "1.5ms"), (2e6, "2.0s"), (90e6, "1.5m"),
                         (7200e6, "2.0h"), (172800e6, "2.0d")):
            self.assertEqual(units.show_time(us), text)

    def test_time_lost(self):
        for share, text in ((0, "0%"), (0.0001, "<0.1%"), (0.031, "3.1%"), (0.5, "50%"),
                            (1.0, "100%")):
            self.assertEqual(units.show_lost(share), text)

    def test_unknown_is_a_dash_in_every_form(self):
        for form in units.FORMS:
            self.assertEqual(units.show(form, None), "-")

    def test_text_is_safe_for_a_terminal(self):
        self.assertEqual(units.safe("a b\x1b[2J\n\x7f\x9b\u202eé"), "a b\\x1b[2J\\x0a\\x7f\\x9b"
                         "\\u202eé")

    def test_escapes(self):
        for word, text in ((rb"my\040vm", "my vm"), (rb"a\134b", "a\\b"), (rb"\303\251", "é"),
                           (rb"\377x", "\\xffx"), (rb"\9", "\\9")):
            self.assertEqual(parse.unescape(word), text)

    def test_no_module_level_side_effects(self):
        self.assertIs(signal.getsignal(signal.SIGINT), INTERRUPT)


class Names(unittest.TestCase):
    """A VM's name from its VMM's command line."""

    def name(self, *argv):
        """Short for the tests below."""
        return names.name_from(list(argv))

    def test_qemu(self):
        self.assertEqual(self.name("qemu", "-name", "guest=web,debug-threads=on"), "web")
        self.assertEqual(self.name("qemu", "-name", "debug-threads=on,guest=web"), "web")
        self.assertEqual(self.name("qemu", "-m", "1G", "-name", "web,process=x"), "web")
        self.assertEqual(self.name("qemu", "-name", "web"), "web")
        self.assertEqual(self.name("qemu", "-name", "guest=a,,b,x=y"), "a,b")
        self.assertIsNone(self.name("qemu", "-name", "debug-threads=on"))

    def test_others(self):
        self.assertEqual(self.name("lkvm", "run", "--name", "web"), "web")
        self.assertEqual(self.name("vmm", "--name=web"), "web")
        self.assertEqual(self.name("firecracker", "--id", "fc1"), "fc1")
        self.assertEqual(self.name("firecracker", "--id=fc1", "--api-sock", "/s"), "fc1")
        self.assertEqual(self.name("vmm", "--id", "1", "--name", "web"), "web")

    def test_cloud_hypervisor(self):
        self.assertEqual(self.name("cloud-hypervisor", "--api-socket", "/run/ch/web.sock"), "web")
        self.assertEqual(self.name("cloud-hypervisor", "--api-socket=path=/run/db.socket,x=1"),
                         "db")

    def test_uuids(self):
        uuid = "6dd6bda1-1c15-4b17-a76b-5f3c12a10a3e"
        for argv in (["qemu", "-uuid", uuid.upper()], ["ch", "--platform", f"x=1,uuid={uuid}"],
                     ["qemu", "-smbios", f"type=1,uuid={uuid}"]):
            self.assertEqual(names.uuid_from(argv), uuid)
        self.assertIsNone(names.uuid_from(["qemu", "-uuid", "none"]))
        self.assertIsNone(names.uuid_from(["qemu"]))

    def test_none(self):
        self.assertIsNone(self.name("qemu"))
        self.assertIsNone(self.name("qemu", "-name"))
        self.assertIsNone(self.name("qemu", "-name", ""))
        self.assertIsNone(self.name())
