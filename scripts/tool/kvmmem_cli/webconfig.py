# SPDX-License-Identifier: GPL-2.0
"""Who may read a port, and how it is encrypted: the web configuration file that
Prometheus's own exporters take (https://prometheus.io/docs/prometheus/latest/
configuration/https/).
"""

import hashlib
import hmac
import importlib
import os
import ssl
import threading

from .errors import Failure
from .units import safe

KNOWN = {"tls_server_config": ("cert_file", "key_file", "client_auth_type", "client_ca_file",
                               "min_version", "max_version"),
         "http_server_config": ("http2",),      # this server has HTTP/1 only, which is fine
         "basic_auth_users": None}
CLIENTS = {"": ssl.CERT_NONE, "NoClientCert": ssl.CERT_NONE,
           "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
           "RequireAndVerifyClientCert": ssl.CERT_REQUIRED}
VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}


def _module(name, package):
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Failure(f"--web-config needs the Python library {name}; install "
                      f"{package}") from None


def _section(path, data, name):
    """A section of the file, in which nothing may be that is not obeyed."""
    section = data.get(name) or {}
    if not isinstance(section, dict):
        raise Failure(f"{safe(path)}: {name} is no mapping")
    unknown = [key for key in section if KNOWN[name] is not None and key not in KNOWN[name]]
    if unknown:
        raise Failure(f"{safe(path)}: kvmmem does not know {name}.{safe(unknown[0])}; it knows "
                      f"{', '.join(KNOWN[name])}")
    return section


def _chosen(path, section, name, values, default):
    value = str(section.get(name, default))
    if value not in values:
        raise Failure(f"{safe(path)}: {name} '{safe(value)}' is none of "
                      f"{', '.join(filter(None, values))}")
    return values[value]


class Config:
    """What is in the file."""

    def __init__(self, path):
        self.path = path
        try:
            with open(path, encoding="utf-8") as file:
                data = _module("yaml", "python3-yaml").safe_load(file)
        except OSError as error:
            raise Failure(f"{safe(path)}: {error.strerror.lower()}") from None
        except ValueError as error:
            raise Failure(f"{safe(path)}: {safe(error)}") from None
        except Exception as error:  # pylint: disable=broad-exception-caught
            if type(error).__module__.partition(".")[0] != "yaml":
                raise
            raise Failure(f"{safe(path)}: no YAML: {' '.join(str(error).split())}") from None
        data = {} if data is None else data
        if not isinstance(data, dict):
            raise Failure(f"{safe(path)}: this is no web configuration file")
        for name in data:
            if name not in KNOWN:
                raise Failure(f"{safe(path)}: kvmmem does not know '{safe(name)}'; it knows "
                              f"{', '.join(KNOWN)}")
        _section(path, data, "http_server_config")
        self.files = [path]
        self.tls = self._tls(_section(path, data, "tls_server_config"))
        self.users = {str(user): str(hashed).encode()
                      for user, hashed in _section(path, data, "basic_auth_users").items()}
        if self.users:
            _module("bcrypt", "python3-bcrypt")
        self.stamp = self.marks()

    def _place(self, name):
        """A file that is named in the file: it may be named from there."""
        return os.path.join(os.path.dirname(os.path.abspath(self.path)), name)

    def _tls(self, section):
        if not section:
            return None
        if not (section.get("cert_file") and section.get("key_file")):
            raise Failure(f"{safe(self.path)}: tls_server_config wants cert_file and key_file")
        names = [self._place(str(section[name])) for name in ("cert_file", "key_file",
                                                              "client_ca_file")
                 if section.get(name)]
        self.files += names
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _chosen(self.path, section, "min_version", VERSIONS, "TLS12")
        context.maximum_version = _chosen(self.path, section, "max_version", VERSIONS, "TLS13")
        clients = _chosen(self.path, section, "client_auth_type", CLIENTS, "")
        if (clients != ssl.CERT_NONE) != bool(section.get("client_ca_file")):
            raise Failure(f"{safe(self.path)}: client_ca_file and a client_auth_type that "
                          "verifies go together")
        try:
            # A key with a passphrase is none for a service: it would ask on a terminal.
            context.load_cert_chain(*names[:2], password="")
            if len(names) > 2:
                context.load_verify_locations(names[2])
        except OSError as error:        # of the system, or ssl.SSLError
            what = getattr(error, "reason", None) or error.strerror
            raise Failure(f"{safe(self.path)}: certificate or key: "
                          f"{str(what).lower().replace('_', ' ')}") from None
        context.verify_mode = clients
        return context

    def marks(self):
        """What changes with its files."""
        found = []
        for path in self.files:
            try:
                status = os.stat(path)
                found.append((status.st_mtime_ns, status.st_ino, status.st_size))
            except OSError:
                found.append(None)
        return found

    def newer(self):
        """Has one of its files changed?"""
        return self.marks() != self.stamp


# What a password is compared with whose user there is not: as slow as any other.
NOBODY = b"$2b$10$" + b"." * 22 + b"x" * 31


class Access:
    """Checks passwords."""

    def __init__(self):
        self.salt, self.good, self.lock = os.urandom(16), {}, threading.Lock()

    def allowed(self, config, user, password):
        """Is it this user's password? bcrypt is slow by intent: each one is asked once."""
        hashed = config.users.get(user)
        said = hmac.digest(self.salt, password, hashlib.sha256)
        known = self.good.get((user, hashed))
        if known and hmac.compare_digest(known, said):
            return True
        # One at a time, so that guessing takes no more than one processor.
        with self.lock:
            try:
                right = _module("bcrypt", "python3-bcrypt").checkpw(password, hashed or NOBODY)
            except ValueError:
                right = False           # the hash is none, or a NUL in the password
        if not (right and hashed):
            return False
        self.good = {(user, hashed): said, **{key: value for key, value in self.good.items()
                                              if config.users.get(key[0]) == key[1]}}
        return True
