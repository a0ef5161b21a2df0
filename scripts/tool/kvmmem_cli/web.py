# SPDX-License-Identifier: GPL-2.0
"""The port that Prometheus reads."""

import base64
import binascii
import http.server
import ipaddress
import socket
import socketserver
import ssl
import sys
import threading
import time

from . import VERSION
from .errors import Failure
from .exposition import OPENMETRICS, TEXT, library
from .units import safe
from .webconfig import Access, Config

PATIENCE = 10       # seconds for whoever asks, with each step
LONGEST = 20        # seconds for all that he asks, however busily he dribbles
MOST = 32           # of them at a time
PAGE = b"""<!DOCTYPE html><title>kvmmem</title>
<p>Memory virtualization of this host's VMs: <a href="/metrics">metrics</a>
"""


def address(text):
    """(host, port) of [HOST:]PORT; ValueError if it is none."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(text)
    return host, int(port)


def is_loopback(host):
    """Does nobody outside of this host reach it?"""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    timeout = PATIENCE
    server_version, sys_version = f"kvmmem/{VERSION}", ""

    def do_GET(self):       # pylint: disable=invalid-name
        """Metrics, or the way to them."""
        if not self._allowed():
            self._answer(401, b"Unauthorized\n", headers=[("WWW-Authenticate", "Basic")])
            return
        path = self.path.partition("?")[0]
        if path == "/":
            self._answer(200, PAGE, "text/html; charset=utf-8")
        elif path != "/metrics":
            self._answer(404, b"there is nothing but /metrics\n")
        else:
            content = library().choose_encoder(self.headers.get("Accept"))[1]
            form = OPENMETRICS if "openmetrics" in content else TEXT
            self._answer(200, self.server.metrics(form), content)

    def _allowed(self):
        config = self.server.config
        if not config or not config.users:
            return True
        kind, _, word = (self.headers.get("Authorization") or "").partition(" ")
        try:
            user, colon, password = base64.b64decode(word, validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return False
        return kind.lower() == "basic" and bool(colon) and \
            self.server.access.allowed(config, user.decode("utf-8", "replace"), password)

    def _answer(self, status, body, content="text/plain; charset=utf-8", headers=()):
        self.send_response(status)
        for name, value in (("Content-Type", content), ("Content-Length", str(len(body))),
                            *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):   # pylint: disable=redefined-builtin
        """Nothing of that is worth a line."""


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """A thread for each request, but not for any number of them."""

    daemon_threads = True
    request_queue_size = MOST

    def __init__(self, where, metrics, config_path=None):
        self.metrics, self.access = metrics, Access()
        self.config = Config(config_path) if config_path else None
        self.room = threading.BoundedSemaphore(MOST)
        self.begun = {}         # {connection: when it has to be over}
        try:
            found = socket.getaddrinfo(*where, type=socket.SOCK_STREAM)[0]
            self.address_family = found[0]
            super().__init__(found[4], Handler)
        except OSError as error:
            host = f"[{where[0]}]" if ":" in where[0] else where[0]
            raise Failure(f"cannot listen on {safe(host)}:{where[1]}: "
                          f"{(error.strerror or str(error)).lower()}") from None

    def server_bind(self):
        # HTTPServer's asks the name server for a name that nobody wants.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def _renew(self):
        """Certificates are renewed and users change while we run."""
        if not self.config or not self.config.newer():
            return
        try:
            self.config = Config(self.config.path)
        except Failure as error:
            # Not again before something changes again.
            self.config.stamp = self.config.marks()
            print(f"kvmmem: {error}; going on with what it said before", file=sys.stderr)

    def process_request(self, request, client_address):
        if not self.room.acquire(blocking=False):   # pylint: disable=consider-using-with
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:        # no more threads
            self.room.release()
            raise

    def process_request_thread(self, request, client_address):
        try:
            self._renew()
            request.settimeout(PATIENCE)
            over = time.monotonic() + LONGEST
            tls = self.config and self.config.tls
            if tls:
                request = tls.wrap_socket(request, server_side=True,
                                          do_handshake_on_connect=False)
            self.begun[request] = over
            if tls:
                # Here, as a client may take its time for it.
                request.do_handshake()
            super().process_request_thread(request, client_address)
        except OSError:
            self.shutdown_request(request)      # no TLS, or gone already
        finally:
            self.begun.pop(request, None)
            self.room.release()

    def service_actions(self):
        """Twice a second: whose time is over is hung up on, which ends what he waits for."""
        now = time.monotonic()
        for request, over in list(self.begun.items()):
            if now >= over:
                try:
                    # Of an SSL socket, too, the TCP connection.
                    socket.socket.shutdown(request, socket.SHUT_RDWR)
                except OSError:
                    pass        # over already

    def shutdown_request(self, request):
        try:
            super().shutdown_request(request)
        except (OSError, ssl.SSLError):
            pass

    def handle_error(self, request, client_address):
        """Whoever asked went away in the middle, which is no trouble of ours."""
        error = sys.exc_info()[1]
        if not isinstance(error, (OSError, ValueError)):
            print(f"kvmmem: a request failed: {type(error).__name__}: {safe(error)}",
                  file=sys.stderr, flush=True)
