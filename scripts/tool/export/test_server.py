# SPDX-License-Identifier: GPL-2.0
"""The port and the file: who may read, and what goes wrong."""

import base64
import os
import pathlib
import re
import signal
import socket
import ssl
import stat
import subprocess
import threading
import time
import urllib.error
from unittest import mock

import bcrypt

import prometheus
from case import DB, TOOL, WEB, full, vm_row
from exporting import Export, of_vms
from kvmmem_cli import web

OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0,text/plain;q=0.5"}


def certificate(directory, name="localhost"):
    """(certificate, key) that are new."""
    paths = [str(pathlib.Path(directory) / f"{name}.{end}") for end in ("crt", "key")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", f"subjectAltName=DNS:{name}", "-out", paths[0], "-keyout",
                    paths[1]], check=True, capture_output=True)
    return paths


def hashed(password):
    """As htpasswd -B makes it."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


def basic(user, password):
    """A header."""
    word = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {word}"}


class Port(Export):
    """--listen."""

    def test_formats_and_paths(self):
        self.put(full())
        _run, where = self.start()
        page = self.ready(where)
        self.assertNotIn("# EOF", page)
        page = prometheus.get(f"http://{where}/metrics", OPENMETRICS)
        self.assertTrue(page.endswith("# EOF\n"))
        self.assertIn("# UNIT kvmmem_vm_size_bytes bytes\n", page)
        self.assertIn("/metrics", prometheus.get(f"http://{where}/"))
        with self.assertRaisesRegex(urllib.error.HTTPError, "404"):
            prometheus.get(f"http://{where}/etc/passwd")

    def test_a_recording(self):
        """Its last reading, by a port and in a file."""
        for at in (5, 6):
            self.put(of_vms([WEB, DB], at))
            self.output("record", "-o", str(self.proc / "recording"), "-n", "1")
        (self.proc / "kvmmem").unlink()
        series = 'kvmmem_vm_entries_total{domain="qemu-system-x86 (4121-11)",uuid=""} '
        _run, where = self.start("--from", str(self.proc / "recording"))
        page = self.ready(where)
        self.assertIn(f"{series}{6 * 9 * 4}\n", page)
        path = self.proc / "kvmmem.prom"
        self.output("export", "--from", str(self.proc / "recording"), "--textfile", str(path), "-n",
                    "1")
        self.assertEqual(set(prometheus.samples(path.read_text())), set(prometheus.samples(page)))
        self.assertEqual(self.said(), "")

    def test_usage(self):
        self.put(full())
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        port = str(taken.getsockname()[1])
        self.fails(1, r"cannot listen on 127\.0\.0\.1:\d+: address already in use", "export",
                   "--listen", port)
        for pattern, *args in (
                ("others than this host reach 0.0.0.0", "--listen", "0.0.0.0:1"),
                ("others than this host reach ::;", "--listen", "[::]:1"),
                (r"'web' is not \[HOST:\]PORT", "--listen", "web"),
                (r"'1:99999' is not", "--listen", "1:99999"),
                ("not allowed with argument", "--listen", "1", "--textfile", "a.prom"),
                ("--web-config goes with --listen", "--web-config", "x"),
                ("-i and -n go with --textfile", "-i", "5"),
                (r"ends in \.prom", "--textfile", "kvmmem.txt")):
            self.fails(2, pattern, "export", *args)
        self.fails(1, "not there; load the module", "export", env={"KVMMEM_PROC": "/nowhere"})
        self.fails(1, "no VM has the id", "export", "--vm", "web")

    def test_without_the_library(self):
        self.put(full())
        self.put("raise ImportError", "prometheus_client.py")
        self.fails(1, "install python3-prometheus-client", "export",
                   env={"PYTHONPATH": str(self.proc)})

    def test_it_ends_at_once(self):
        self.put(full())
        for number in (signal.SIGTERM, signal.SIGINT):
            run, where = self.start()
            self.ready(where)
            run.send_signal(number)
            self.assertEqual(run.wait(5), 0)
        self.assertEqual(self.said(), "")

    def test_it_may_begin_before_the_module(self):
        _run, where = self.start()
        self.assertIn("kvmmem_up 0\n", self.ready(where))
        self.assertRegex(self.said(), r"\Akvmmem: [^\n]*not there; load the module[^\n]*\n\Z")
        self.put(full())
        time.sleep(0.3)
        self.assertIn("kvmmem_up 1\n", self.ready(where))

    def test_a_file_that_is_none(self):
        self.put("# kvmmem 1\nvm 1\n")
        _run, where = self.start()
        self.assertIn("kvmmem_up 0\n", self.ready(where))
        self.assertIn("line 2 is malformed", self.said())

    def test_who_goes_away_in_the_middle(self):
        self.put(of_vms([vm_row(f"{at}-1", f"vm{at}") for at in range(1, 400)], 5))
        run, where = self.start()
        self.ready(where)
        host, port = where.split(":")
        for ask in (b"GET /metrics HTTP/1.0\r\n\r\n", b"GET /met", b"", b"\0\xff\r\n\r\n",
                    b"POST /metrics HTTP/1.0\r\n\r\n", b"A" * 70000):
            for _ in range(5):
                with socket.create_connection((host, int(port)), 5) as one:
                    one.sendall(ask)
                    one.settimeout(5)
                    if ask.startswith(b"GET /metrics"):
                        one.recv(100)
                    # The rest is not wanted: the other side is told by a reset.
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   b"\1\0\0\0\0\0\0\0")
        self.assertIn("kvmmem_up 1\n", self.ready(where))
        self.assertEqual(self.said(), "")
        self.assertIsNone(run.poll())

    def test_who_asks_and_says_nothing(self):
        """Neither do they hold up others, nor are there any number of them."""
        self.put(full())
        run, where = self.start()
        self.ready(where)
        host, port = where.split(":")
        idle = [socket.create_connection((host, int(port)), 5) for _ in range(20)]
        self.assertIn("kvmmem_up 1\n", self.ready(where))
        idle += [socket.create_connection((host, int(port)), 5) for _ in range(60)]
        time.sleep(0.5)
        threads = len(os.listdir(f"/proc/{run.pid}/task"))
        self.assertLess(threads, 40)
        for one in idle:
            one.close()
        self.assertIn("kvmmem_up 1\n", self.ready(where))
        self.assertEqual(self.said(), "")

    def test_who_says_a_byte_now_and_then(self):
        """All that he asks has a time, in plain text as in TLS."""
        cert, key = certificate(self.proc)
        self.put(f"tls_server_config:\n  cert_file: {cert}\n  key_file: {key}\n", "web.yml")
        trust = ssl.create_default_context(cafile=cert)
        for config in (None, str(self.proc / "web.yml")):
            with mock.patch.object(web, "LONGEST", 1):
                server = web.Server(("127.0.0.1", 0), lambda form: b"", config)
                threading.Thread(target=server.serve_forever, daemon=True).start()
                one = socket.create_connection(server.server_address, 5)
                if config:
                    one = trust.wrap_socket(one, server_hostname="localhost")
                begun = time.monotonic()
                with self.assertRaises(OSError), one:
                    for byte in b"GET /metrics HTTP/1.0\r\nX: " + b"x" * 100:
                        one.sendall(bytes((byte,)))
                        time.sleep(0.1)
                self.assertLess(time.monotonic() - begun, 5)
                server.shutdown()
                server.server_close()
                self.assertEqual(server.begun, {})


class Access(Export):
    """--web-config."""

    def config(self, text):
        """A file."""
        return self.put(text, "web.yml")

    def test_users_over_tls(self):
        self.put(full())
        cert, key = certificate(self.proc)
        trust = ssl.create_default_context(cafile=cert)
        config = self.config(f"tls_server_config:\n  cert_file: localhost.crt\n"
                             f"  key_file: {key}\n  min_version: TLS13\n"
                             f"basic_auth_users:\n  prom: {hashed('secret')}\n  other: nonsense\n")
        _run, where = self.start("--web-config", config)
        url = f"https://localhost:{where.split(':')[1]}/metrics"
        page = prometheus.wait_for(
            lambda: prometheus.get(url, basic("prom", "secret"), context=trust))
        self.assertIn("kvmmem_up 1\n", page)
        for headers in ({}, basic("prom", "Secret"), basic("nobody", "secret"),
                        basic("other", "nonsense"), basic("prom", ""), basic("prom", "a\0b"),
                        {"Authorization": "Basic ?"}, {"Authorization": "Bearer secret"}):
            with self.assertRaisesRegex(urllib.error.HTTPError, "401", msg=headers):
                prometheus.get(url, headers, context=trust)
        with self.assertRaises(OSError):
            prometheus.get(f"http://{where}/metrics", basic("prom", "secret"))
        # Prometheus itself, by its own configuration.
        server = prometheus.Server(self.proc, f"localhost:{where.split(':')[1]}", f"""scheme: https
    tls_config: {{ca_file: {cert}}}
    basic_auth: {{username: prom, password: secret}}""")
        self.addCleanup(server.stop)
        prometheus.wait_for(lambda: server.value("kvmmem_up") == 1)
        # A new password holds from now on, and a file that is none changes nothing.
        config = self.config(f"tls_server_config: {{cert_file: {cert}, key_file: {key}}}\n"
                             f"basic_auth_users: {{prom: {hashed('new')}}}\n")
        self.assertIn("kvmmem_up 1\n",
                      prometheus.get(url, basic("prom", "new"), context=trust))
        with self.assertRaisesRegex(urllib.error.HTTPError, "401"):
            prometheus.get(url, basic("prom", "secret"), context=trust)
        self.config("tls_server_config: [")
        self.assertIn("kvmmem_up 1\n",
                      prometheus.get(url, basic("prom", "new"), context=trust))
        self.assertRegex(self.said(), r"\Akvmmem: [^\n]*no YAML[^\n]*; going on with what it said "
                                      r"before\n\Z")

    def test_certificates_of_clients(self):
        self.put(full())
        cert, key = certificate(self.proc)
        client = certificate(self.proc, "client")
        config = self.config(f"tls_server_config:\n  cert_file: {cert}\n  key_file: {key}\n"
                             f"  client_auth_type: RequireAndVerifyClientCert\n"
                             f"  client_ca_file: {client[0]}\n")
        _run, where = self.start("--web-config", config)
        url = f"https://localhost:{where.split(':')[1]}/metrics"
        trust = ssl.create_default_context(cafile=cert)
        trust.load_cert_chain(*client)
        self.assertIn("kvmmem_up 1\n", prometheus.wait_for(
            lambda: prometheus.get(url, context=trust)))
        with self.assertRaises(OSError):
            prometheus.get(url, context=ssl.create_default_context(cafile=cert))

    def test_files_that_are_wrong(self):
        self.put(full())
        cert, key = certificate(self.proc)
        tls = f"tls_server_config:\n  cert_file: {cert}\n  key_file: {key}\n  "
        for pattern, text in (
                ("this is no web configuration file", "- a\n"), ("no YAML", "a: ["),
                ("does not know 'tls'", "tls: {}\n"),
                ("does not know tls_server_config.cipher_suites", tls + "cipher_suites: []\n"),
                ("basic_auth_users is no mapping", "basic_auth_users: [a]\n"),
                ("wants cert_file and key_file", "tls_server_config: {cert_file: a}\n"),
                ("certificate or key: no such file", tls.replace(".crt", ".none") + "\n"),
                ("certificate or key: ", f"tls_server_config: {{cert_file: {key}, "
                                         f"key_file: {cert}}}\n"),
                ("go together", tls + "client_auth_type: RequireAndVerifyClientCert\n"),
                ("'SSL3' is none of TLS12, TLS13", tls + "min_version: SSL3\n"),
                ("'RequestClientCert' is none of", tls + "client_auth_type: RequestClientCert\n")):
            self.fails(1, pattern, "export", "--listen", "127.0.0.1:0", "--web-config",
                       self.config(text))
        self.fails(1, "no such file", "export", "--listen", "127.0.0.1:0", "--web-config",
                   "/nowhere.yml")


class File(Export):
    """--textfile."""

    def test_once(self):
        self.put(full())
        path = self.proc / "kvmmem.prom"
        self.output("export", "--textfile", str(path), "-n", "1")
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o644)
        self.assertEqual(prometheus.promtool("check", "metrics", text=path.read_text()), (0, ""))
        self.assertEqual([one.name for one in self.proc.glob("*prom*")] +
                         list(self.proc.glob(".*")), ["kvmmem.prom"])

    def test_the_node_exporter_reads_it(self):
        self.put(of_vms([WEB, DB], 7))
        directory = self.proc / "textfile"
        directory.mkdir()
        run = subprocess.Popen(     # pylint: disable=consider-using-with
            ["/usr/bin/python3", TOOL, "export", "--textfile", directory / "kvmmem.prom", "-i",
             "0.05"], env=self.env)
        self.addCleanup(prometheus.stop, run)
        where = f"127.0.0.1:{prometheus.free_port()}"
        node = subprocess.Popen(    # pylint: disable=consider-using-with
            [prometheus.program("prometheus-node-exporter"), f"--web.listen-address={where}",
             "--collector.disable-defaults", "--collector.textfile",
             f"--collector.textfile.directory={directory}"], stderr=subprocess.DEVNULL)
        self.addCleanup(prometheus.stop, node)
        prometheus.wait_for(lambda: "kvmmem_up 1" in prometheus.get(f"http://{where}/metrics"))
        # However often it is replaced meanwhile, it is whole.
        for _ in range(30):
            page = prometheus.samples(prometheus.get(f"http://{where}/metrics"))
            self.assertEqual(page["node_textfile_scrape_error"], 0)
            self.assertEqual(
                page['kvmmem_vm_mmio_accesses_total{domain="qemu-system-x86 (4121-11)",uuid=""}'],
                7)
        # The module goes, and so do the series of VMs.
        (self.proc / "kvmmem").rename(self.proc / "away")
        prometheus.wait_for(lambda: "kvmmem_up 0" in prometheus.get(f"http://{where}/metrics"))
        self.assertNotIn("kvmmem_vm", prometheus.get(f"http://{where}/metrics"))
        # Nobody takes the last words of an exporter that has ended for the truth.
        prometheus.stop(run)
        self.assertEqual((run.returncode, os.listdir(directory)), (0, []))

    def test_a_file_that_cannot_be_written_any_more(self):
        """The last file that could be written is not left there for ever."""
        self.put(of_vms([WEB], 1))
        directory = self.proc / "small"
        directory.mkdir()
        run = subprocess.Popen(     # pylint: disable=consider-using-with
            ["prlimit", "--fsize=65536", "/usr/bin/python3", TOOL, "export", "--textfile",
             directory / "kvmmem.prom", "-i", "0.05"], env=self.env, text=True,
            stderr=subprocess.PIPE)
        self.addCleanup(prometheus.stop, run)
        self.addCleanup(run.stderr.close)
        prometheus.wait_for((directory / "kvmmem.prom").exists)
        self.put(of_vms([vm_row(f"{at}-1", f"vm{at}") for at in range(1, 99)], 1))
        self.assertEqual(run.wait(30), 1)
        self.assertRegex(run.stderr.read(), r"\Akvmmem: cannot write [^\n]*: file too large\n\Z")
        self.assertEqual(os.listdir(directory), [])

    def test_directories_that_are_wrong(self):
        self.put(full())
        self.fails(1, r"cannot write /nowhere/a\.prom: no such file", "export", "--textfile",
                   "/nowhere/a.prom")
        self.fails(1, "not a directory", "export", "--textfile", str(self.proc / "kvmmem/a.prom"))
        (self.proc / "b.prom").mkdir()
        self.fails(1, "is a directory", "export", "--textfile", str(self.proc / "b.prom"))
        # As one who may not write there.
        closed = self.proc / "closed"
        closed.mkdir(0o500)
        (self.proc / "kvmmem").chmod(0o444)
        user = {"user": 65534} if os.geteuid() == 0 else {}
        self.fails(1, "permission denied", "export", "--textfile", str(closed / "a.prom"),
                   **user)
        self.assertEqual(sorted(one.name for one in self.proc.iterdir()),
                         ["b.prom", "closed", "kvmmem"])


class Service(Export):
    """The unit that comes with the packages."""

    UNIT = (prometheus.SCRIPTS / "package/tools/kvmmem-export.service").read_text("utf-8")

    def words(self, name):
        """What the unit says after NAME=."""
        return re.search(rf"(?m)^{name}=(.*)$", self.UNIT)[1].split()

    def test_it_may_read_what_it_must(self):
        """As another user, with the capabilities of the unit and no others."""
        self.put(full())
        (self.proc / "kvmmem").chmod(0o400)
        caps = ",".join("+" + cap.lower().removeprefix("cap_")
                        for cap in self.words("AmbientCapabilities"))
        self.assertEqual(self.words("AmbientCapabilities"), self.words("CapabilityBoundingSet"))
        command = self.words("ExecStart")
        self.assertEqual(command, ["/usr/bin/kvmmem", "export", "--listen", "127.0.0.1:10477"])
        where = f"127.0.0.1:{prometheus.free_port()}"
        run = subprocess.Popen(     # pylint: disable=consider-using-with
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", f"--inh-caps={caps}",
             f"--bounding-set=-all,{caps}", f"--ambient-caps={caps}", TOOL, "export", "--listen",
             where], env=self.env)
        self.addCleanup(prometheus.stop, run)
        self.assertIn("kvmmem_up 1\n", self.ready(where))
        status = pathlib.Path(f"/proc/{run.pid}/status").read_text("utf-8")
        self.assertRegex(status, r"Uid:\s+65534")

    def test_all_say_the_same_port(self):
        self.assertEqual(self.words("SocketBindAllow"), ["tcp:10477"])
        for path in (prometheus.DASHBOARDS / "kvmmem.url",
                     prometheus.SCRIPTS.parent / "Documentation/prometheus.rst"):
            self.assertIn("127.0.0.1:10477", path.read_text("utf-8"))

    def test_the_example_of_a_web_configuration(self):
        """It is read, up to certificates that are not there; and nobody knows its password."""
        self.put(full())
        text = (prometheus.DASHBOARDS / "web.yml").read_text("utf-8")
        self.fails(1, "certificate or key: no such file", "export", "--listen", "127.0.0.1:0",
                   "--web-config", self.put(text, "web.yml"))
        cert, key = certificate(self.proc)
        text = text.replace("kvmmem.crt", cert).replace("kvmmem.key", key)
        _run, where = self.start("--web-config", self.put(text, "web.yml"))
        url = f"https://localhost:{where.split(':')[1]}/metrics"
        trust = ssl.create_default_context(cafile=cert)

        def refused():
            try:
                prometheus.get(url, basic("prometheus", "test"), context=trust)
            except urllib.error.HTTPError as error:
                return error.code
            return None
        self.assertEqual(prometheus.wait_for(refused), 401)
