# SPDX-License-Identifier: GPL-2.0
"""kvmmem export as a process, on files of our own."""

import shutil
import subprocess
import tempfile

import prometheus
from case import TOOL, Tool, full, row
from test_speed import HEADERS, KINDS

TOTAL = ("vms vms_ended vcpus_ended ept_violations flushes read write exec protection page_walk "
         "mmio shadow entries remote guest nested tag other single range served time_us").split()
ALL = {"kinds": (*KINDS, "total"), "headers": {**HEADERS, "total": TOTAL}}


def of_vms(vms, at, **more):
    """A file with all types of rows for @vms, rows of type vm; counters have come to @at."""
    ids = [vm["id"] for vm in vms]
    rows = {kind: [row(vm, **{**dict.fromkeys(columns[1:], at), "mode": "off", "stuck": 0,
                              "node": 0}) for vm in ids]
            for kind, columns in HEADERS.items()}
    return full(**{
        **ALL, "vm": vms, "host": {"vms": len(vms)},
        "fault": [row(vm, **dict.fromkeys(("ept_violations", "read", "write", "exec", "mmio"), at))
                  for vm in ids],
        "flush": [row(vm, requests=at, remote=at, vcpu=at) for vm in ids],
        "vpid": [row(vm["id"], vcpu=vcpu, vpid=vcpu + 1, remote=at, flushes=at, entries=at * 9)
                 for vm in vms for vcpu in range(vm["vcpus"])],
        "backing": [row(vm, host_4k_kb=at, ept_4k_kb=at, ept_2m_kb=2048) for vm in ids],
        "huge": [row(vm, **dict.fromkeys(("installed", "zapped"), at)) for vm in ids],
        "total": [dict.fromkeys(TOTAL, at)], **rows, **more})


class Export(Tool):
    """The exporter, asked over its port."""

    def start(self, *args, env=None, program=("/usr/bin/python3",)):
        """Start it on a free port; returns (process, its address)."""
        where = f"127.0.0.1:{prometheus.free_port()}"
        log = open(self.proc / "log", "ab")     # pylint: disable=consider-using-with
        self.addCleanup(log.close)
        run = subprocess.Popen(     # pylint: disable=consider-using-with
            [*program, TOOL, "export", "--listen", where, *args],
            env={**self.env, **(env or {})}, stdout=log, stderr=log)
        self.addCleanup(prometheus.stop, run)
        return run, where

    def ready(self, where, **options):
        """Its page, as soon as it answers."""
        return prometheus.wait_for(lambda: prometheus.get(f"http://{where}/metrics", **options))

    def said(self):
        """What it said on stderr."""
        return (self.proc / "log").read_text()


class Scraped(Export):
    """The exporter, and a Prometheus that scrapes it."""

    def setUp(self):
        super().setUp()
        self.store = tempfile.mkdtemp(prefix="kvmmem-test-")
        self.addCleanup(shutil.rmtree, self.store)

    def names(self, *vms):
        """Give each of them a process that is called so."""
        for vm in vms:
            self.command_line(vm["pid"], "qemu", "-name", vm["comm"])

    def prometheus(self, where, **options):
        """A server; it ends with the test."""
        server = prometheus.Server(self.store, where, **options)
        self.addCleanup(server.stop)
        return server
