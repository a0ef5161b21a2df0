# SPDX-License-Identifier: GPL-2.0
"""Where snapshots come from."""

import os
import time

from .errors import Failure
from .names import name_from
from .snapshot import Snapshot
from .units import safe


class Source:
    """Where snapshots come from: the running module, or a saved copy."""

    def __init__(self, saved):
        # The tests put a directory in the place of /proc with KVMMEM_PROC.
        self.proc = os.environ.get("KVMMEM_PROC", "/proc")
        self.saved = saved
        self.path = saved or f"{self.proc}/kvmmem"
        self.names = {}
        self.seen = False

    def read_bytes(self):
        """The file as it is."""
        try:
            with open(self.path, "rb") as file:
                data = file.read()
        except OSError as error:
            raise Failure(f"{safe(self.path)}: {self._advice(error)}") from None
        self.seen = True
        return data

    def _advice(self, error):
        """What went wrong, and what to do next."""
        if isinstance(error, FileNotFoundError):
            if self.saved:
                return "no such file; --file wants a saved copy of /proc/kvmmem"
            if self.seen:
                return "gone; the module was unloaded, load it and start again"
            return "not there; load the module: insmod kvmmem.ko or modprobe kvmmem"
        if isinstance(error, PermissionError) and not self.saved:
            return ("permission denied; be root, or load the module with proc_mode=0444 "
                    "(see modinfo -p kvmmem)")
        return (error.strerror or str(error)).lower()

    def read(self):
        """A snapshot of now."""
        clock, wall = time.monotonic(), time.time()
        try:
            snapshot = Snapshot(self.read_bytes(), clock, wall)
        except ValueError as error:
            raise Failure(f"{safe(self.path)}: {error}") from None
        # The pids of a saved copy belong to another host or another time.
        if not self.saved:
            self._find_names(snapshot)
        return snapshot

    def _find_names(self, snapshot):
        """Give the VMs their names; a VM's command line is read once."""
        before, self.names = self.names, {}
        for vm in snapshot.vms.values():
            key = (vm.id, vm.pid, vm.name)
            self.names[key] = before.get(key) or self._command_line_name(vm.pid)
            vm.name = self.names[key] or vm.name

    def _command_line_name(self, pid):
        try:
            with open(f"{self.proc}/{pid}/cmdline", "rb") as file:
                argv = file.read().rstrip(b"\0").split(b"\0")
        except OSError:
            return None
        return name_from([word.decode("utf-8", "backslashreplace") for word in argv])
