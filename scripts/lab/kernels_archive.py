# SPDX-License-Identifier: GPL-2.0
"""Packages of other Debian releases, without touching this machine's own apt.

A kernel and its headers come from whichever release carries that version, so
apt runs here with a configuration, package lists and a download directory of
its own, and with an empty dpkg database: nothing is ever installed. The host
to ask is the one the machine is configured for; only the suite name changes.
"""

import os
import pathlib
import re
import shlex
import subprocess

KEYRING = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")

# Settings of the machine that say how to reach its archive, as opposed to
# what to fetch from it.
_REACHING = re.compile(r"Acquire::(https?|ftp|socks|tor)::|Acquire::Check-")


class KernelError(Exception):
    """Something the caller can be told in one line."""


def _release_codename():
    for line in pathlib.Path("/etc/os-release").read_text().splitlines():
        key, _, value = line.partition("=")
        if key == "VERSION_CODENAME":
            return value.strip('"')
    raise KernelError("/etc/os-release names no release of Debian")


def _one_line_entries(text):
    """(uri, suite, components) of the entries of a sources.list file."""
    for line in text.splitlines():
        line = re.sub(r"\[[^]]*\]", " ", line.partition("#")[0])
        words = line.split()
        if len(words) >= 3 and words[0] == "deb":
            yield words[1], words[2], words[3:]


def _deb822_entries(text):
    """(uri, suite, components) of the entries of a .sources file."""
    for paragraph in re.split(r"\n[ \t]*\n", text):
        fields, last = {}, None
        for line in paragraph.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace() and last:
                fields[last] += " " + line.strip()
            elif ":" in line:
                last, _, value = line.partition(":")
                last = last.strip().lower()
                fields[last] = value.strip()
        if "deb" not in fields.get("types", "").split():
            continue
        if fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield uri, suite, fields.get("components", "").split()


def _configured_entries(etc):
    files = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]
    for path in files:
        if path.is_file():
            text = path.read_text(errors="replace")
            if path.suffix == ".sources":
                yield from _deb822_entries(text)
            elif path.suffix == ".list":
                yield from _one_line_entries(text)


def machine_mirrors(etc=pathlib.Path("/etc/apt")):
    """URIs of Debian's archive and security archive as configured here.

    Third parties also publish a suite named after the release, hence the
    preference for a URI that also serves `-updates`, then for a path that
    ends in `debian`. Without a security entry the second URI is None.
    """
    release = _release_codename()
    names = (release, "stable", "oldstable")
    entries = [e for e in _configured_entries(etc)
               if "main" in e[2] and not e[0].startswith("cdrom:")]

    def serving(endings):
        suites = [name + ending for name in names for ending in endings]
        return [uri for uri, suite, _ in entries if suite in suites]

    security = serving(["-security", "/updates"])
    updated = serving(["-updates"])
    main = sorted(serving([""]), key=lambda uri: (
        uri not in updated, not uri.rstrip("/").endswith("debian")))
    if not main:
        raise KernelError(f"no apt source of this machine serves Debian {release} main")
    return main[0], security[0] if security else None


def reaching_options():
    """The machine's proxies, timeouts and date checks, as configuration text."""
    dump = subprocess.run(["apt-config", "dump", "Acquire"], text=True,
                          stdout=subprocess.PIPE, check=True).stdout
    return "".join(line + "\n" for line in dump.splitlines() if _REACHING.match(line))


class Archive:
    """The package lists of some suites, downloaded once into `directory`."""

    def __init__(self, directory, suites):
        """Read the lists of `suites`; one that does not answer is left out.

        Old releases lose their extra suites over time, and a package is then
        in the remaining ones: only no answer at all is a failure.
        """
        self.directory = pathlib.Path(directory)
        self.suites = suites
        self._trouble = ""
        self._configure()
        result = self._apt("apt-get", "-q", "update", check=False)
        trouble = re.findall(r"^[EW]: *(.*)$", result.stdout, re.MULTILINE)
        if trouble:
            self._trouble = trouble[0]
        if not any((self.directory / "state/lists").glob("*_Packages*")):
            raise KernelError(f"no package list of {', '.join(suites)}: {self._trouble}")

    def _configure(self):
        where = self.directory
        for sub in ("state/lists/partial", "cache/archives/partial", "none"):
            (where / sub).mkdir(parents=True)
        (where / "status").touch()
        main, security = machine_mirrors()
        lines = []
        for suite in self.suites:
            uri = security if suite.endswith("-security") else main
            if uri:
                lines.append(f"deb [arch=amd64 signed-by={KEYRING}] {uri} {suite} main\n")
        (where / "sources.list").write_text("".join(lines))
        settings = {
            "Dir::State": where / "state",
            "Dir::State::status": where / "status",
            "Dir::Cache": where / "cache",
            "Dir::Etc::sourcelist": where / "sources.list",
            "Dir::Etc::sourceparts": where / "none",
            "Dir::Etc::parts": where / "none",
            "Dir::Etc::main": where / "none/absent",
            "Dir::Etc::preferences": where / "none/absent",
            "Dir::Etc::preferencesparts": where / "none",
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64",
            "APT::Install-Recommends": "false",
            # apt's own user cannot enter a home directory, where the cache is.
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::Retries": "2",
        }
        text = "".join(f'{key} "{value}";\n' for key, value in settings.items())
        (where / "apt.conf").write_text(reaching_options() + text)

    def _apt(self, *argv, cwd=None, check=True):
        env = dict(os.environ, APT_CONFIG=str(self.directory / "apt.conf"), LC_ALL="C")
        try:
            result = subprocess.run(argv, cwd=cwd, env=env, text=True,
                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT)
        except FileNotFoundError as error:
            raise KernelError(f"{argv[0]} is needed and not installed") from error
        if check and result.returncode:
            errors = re.findall(r"^E: *(.*)$", result.stdout, re.MULTILINE)
            raise KernelError(errors[0] if errors else f"failed: {shlex.join(argv)}")
        return result

    def missing(self, what):
        """The error to raise when `what` was looked for in vain."""
        why = f" ({self._trouble})" if self._trouble else ""
        return KernelError(f"no {what} in {', '.join(self.suites)}{why}")

    def names(self, pattern):
        """Names of the packages that match a regular expression entirely."""
        found = self._apt("apt-cache", "pkgnames").stdout.split()
        return [name for name in found if re.fullmatch(pattern, name)]

    def stanzas(self, package):
        """One dictionary of fields for each version of a package, best first."""
        text = self._apt("apt-cache", "show", package, check=False).stdout
        found = []
        for paragraph in text.split("\n\n"):
            fields = dict(re.findall(r"^([A-Z][\w-]*): (.*)$", paragraph, re.MULTILINE))
            if fields.get("Package") == package:
                found.append(fields)
        return found

    def download(self, packages, destination):
        """Fetch exactly `packages` ("name=version") into a directory."""
        destination.mkdir(parents=True, exist_ok=True)
        self._apt("apt-get", "-q", "download", *packages, cwd=destination)
        return sorted(destination.glob("*.deb"))

    def download_with_dependencies(self, packages):
        """Fetch packages and all they depend on; return the .deb files."""
        self._apt("apt-get", "-q", "-y", "--download-only", "install", *packages)
        return sorted((self.directory / "cache/archives").glob("*.deb"))
