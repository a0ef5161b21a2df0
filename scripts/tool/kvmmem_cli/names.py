# SPDX-License-Identifier: GPL-2.0
"""What people call a VM.

libvirt knows best, if it is there: by its Python bindings, or by the files that it
keeps of running domains. Without it the command line of the VM's process tells.
"""

import importlib
import os
import re
import threading
import time

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I)
PATIENCE = 1.0      # seconds to wait for libvirt's daemon, which may hang
# A process may make its command line as long as it likes.
MOST_BYTES, LONGEST = 1 << 16, 255
# Seconds until one looks again at who has no name; twice as long each time.
AGAIN, RARELY = 1.0, 60.0


def _options(argv):
    """The options of a command line with their values."""
    for option, value in zip(argv, argv[1:] + [""]):
        if option.startswith("--") and "=" in option:
            yield tuple(option.split("=", 1))
        else:
            yield option, value


def name_from(argv):
    """The VM's name in the command line of its VMM, or None."""
    found = {}
    for option, value in _options(argv):
        if option in ("-name", "--name"):
            # QEMU's [guest=]NAME[,option=value...], a comma in NAME being doubled.
            parts = [part.replace("\0", ",") for part in value.replace(",,", "\0").split(",")]
            named = [part[6:] for part in parts if part.startswith("guest=")]
            found.setdefault("name", (named + [p for p in parts[:1] if "=" not in p] + [""])[0])
        elif option == "--id":
            # Firecracker's.
            found.setdefault("id", value)
        elif option == "--api-socket":
            # Cloud Hypervisor has no name for itself but that of its socket.
            path = re.sub(r"^path=|,.*", "", value)
            found.setdefault("socket", re.sub(r"\.sock(et)?$", "", os.path.basename(path)))
    name = found.get("name") or found.get("id") or found.get("socket") or ""
    return name[:LONGEST] or None


def uuid_from(argv):
    """The VM's UUID in the command line of its VMM, or None."""
    for option, value in _options(argv):
        if option in ("-uuid", "--uuid") and UUID.fullmatch(value):
            return value.lower()
        if option in ("--platform", "-smbios"):
            # Cloud Hypervisor's, and QEMU's second way.
            found = re.search(r"\buuid=([0-9a-fA-F-]+)", value)
            if found and UUID.fullmatch(found[1]):
                return found[1].lower()
    return None


class Libvirt:
    """The domains of this host, from libvirt."""

    def __init__(self, run):
        self.run = run
        self.asking = None      # the thread that waits for the daemon

    def _text(self, name):
        try:
            with open(f"{self.run}/{name}", encoding="utf-8", errors="replace") as file:
                return file.read(1 << 20)
        except OSError:
            return ""

    def by_pid(self):
        """{pid: (name, uuid)} of what runs, from libvirt's run files."""
        try:
            files = os.listdir(self.run)
        except OSError:
            return {}
        found = {}
        for name in files:
            if not name.endswith(".xml"):
                continue
            text = self._text(name)
            # Only the beginning of each counts; a whole XML parser costs more than
            # all else that the tool does.
            pid = re.search(r"<domstatus\b[^>]*\bpid=['\"](\d+)['\"]", text)
            uuid = re.search(r"<uuid>([^<]+)</uuid>", text)
            pid = pid[1] if pid else self._text(name[:-4] + ".pid").strip()
            if pid.isdigit():
                found[int(pid)] = (name[:-4], uuid[1].lower() if uuid else None)
        return found

    def by_uuid(self):
        """{uuid: name} of what runs, from the bindings; empty without them."""
        if not os.path.isdir(self.run) or self.asking and self.asking.is_alive():
            return {}
        found = {}

        def ask():
            try:
                libvirt = importlib.import_module("libvirt")
                libvirt.registerErrorHandler(lambda _context, _error: None, None)
                connection = libvirt.openReadOnly("qemu:///system")
                for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
                    found[domain.UUIDString().lower()] = domain.name()
            except Exception:   # pylint: disable=broad-exception-caught
                pass            # whatever it is, there are other ways to a name

        # A thread of its own, since there is no other way out of a call that hangs.
        self.asking = threading.Thread(target=ask, daemon=True)
        try:
            self.asking.start()
        except RuntimeError:    # no more threads
            self.asking = None
            return {}
        self.asking.join(PATIENCE)
        return dict(found)


class Names:
    """Gives VMs their names; each process is looked at once."""

    def __init__(self, proc, run):
        self.proc, self.libvirt = proc, Libvirt(run)
        self.known = {}
        self.nameless = {}      # (when to look again, how long that was)

    def give(self, vms):
        """Set the name and UUID of each of @vms."""
        before, self.known = self.known, {}
        nameless, self.nameless = self.nameless, {}
        now, domains = time.monotonic(), None
        for vm in vms:
            key = (vm.id, vm.pid, vm.name)
            found = before.get(key)
            due, wait = nameless.get(key, (now, AGAIN))
            if not found and now >= due:
                if domains is None:
                    domains = self.libvirt.by_pid(), self.libvirt.by_uuid()
                found = self._found(vm.pid, *domains)
                due, wait = now + wait, min(2 * wait, RARELY)
            # A process that has no name yet may be about to get one.
            if found and any(found):
                self.known[key] = found
                vm.name, vm.uuid = found[0] or vm.name, found[1]
            else:
                self.nameless[key] = due, wait

    def _found(self, pid, files, domains):
        """(name, UUID) of a process, each None where it has none."""
        argv = self._command_line(pid)
        if pid in files:
            name, uuid = files[pid]
            uuid = uuid or uuid_from(argv)
        else:
            name, uuid = None, uuid_from(argv)
            # Everybody may claim in a command line to be a domain of libvirt's.
            if any(uuid == theirs for _name, theirs in files.values()):
                uuid = None
        return domains.get(uuid) or name or name_from(argv), uuid

    def _command_line(self, pid):
        try:
            with open(f"{self.proc}/{pid}/cmdline", "rb") as file:
                argv = file.read(MOST_BYTES).rstrip(b"\0").split(b"\0")
        except OSError:
            return []
        return [word.decode("utf-8", "backslashreplace") for word in argv]
