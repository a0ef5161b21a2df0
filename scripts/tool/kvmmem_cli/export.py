# SPDX-License-Identifier: GPL-2.0
"""kvmmem export: for Prometheus, and whatever else reads its formats."""

import argparse
import contextlib
import os
import sys
import tempfile
import threading
import time

from . import web
from .errors import Failure
from .exposition import TEXT, Writer
from .options import add_source, count, interval, source_of
from .source import deadlines, hold_ends, wait_until
from .units import safe

HELP = """\
Without --listen and --textfile what there is now goes to standard output; of a
recording all readings, with their times, as "promtool tsdb
create-blocks-from openmetrics" takes them.

examples:
  kvmmem export | promtool check metrics
  kvmmem export --listen 10477
  kvmmem export --listen 0.0.0.0:10477 --web-config /etc/kvmmem/web.yml
  kvmmem export --textfile /var/lib/prometheus/node-exporter/kvmmem.prom
  kvmmem export --from host.kvmmem --begin 02:00 --end 03:00 >night.om"""
INTERVAL = 15.0     # seconds between two files
SHARED = 0.2        # seconds for which a reading serves whoever asks


def where(text):
    """A type of option: an address to listen on."""
    try:
        return web.address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not [HOST:]PORT") from None


def add(parser):
    """The options of export."""
    parser.description = "Give what kvmmem shows to Prometheus."
    parser.epilog = HELP
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--listen", metavar="[HOST:]PORT", type=where,
                     help="serve it at http://HOST:PORT/metrics; on 127.0.0.1 without HOST")
    way.add_argument("--textfile", metavar="FILE",
                     help="keep it in FILE, for the node exporter's textfile collector")
    parser.add_argument("--web-config", metavar="FILE",
                        help="with --listen: TLS and users, as for the node exporter")
    parser.add_argument("--per-vcpu", action="store_true",
                        help="series for each vCPU as well, which are many")
    parser.add_argument("-i", dest="interval", metavar="SECONDS", type=interval,
                        help=f"with --textfile: from one to the next ({INTERVAL:g})")
    parser.add_argument("-n", dest="count", metavar="COUNT", type=count,
                        help="with --textfile: stop after COUNT times (never), and leave FILE")
    add_source(parser)


def check(args):
    """Do the options go together?"""
    if args.web_config and not args.listen:
        args.error("--web-config goes with --listen")
    if (args.interval or args.count) and not args.textfile:
        args.error("-i and -n go with --textfile")
    if args.textfile and not args.textfile.endswith(".prom"):
        args.error("the node exporter reads files whose name ends in .prom; give --textfile one")
    if args.listen and not args.web_config and not web.is_loopback(args.listen[0]):
        args.error(f"--listen: others than this host reach {args.listen[0]}; say by --web-config "
                   "who may read it, or listen on 127.0.0.1 behind a proxy")


class Still:
    """The last reading of a recording; SQLite wants it read by the thread that opened it."""

    detail = None

    def __init__(self, source):
        self.snapshot = source.read()

    def read(self):
        """Always the same."""
        return self.snapshot


class Exporter:
    """Reads when somebody asks; the module may go and come back meanwhile."""

    def __init__(self, source, args):
        self.source, self.wanted = source, args.vm
        self.writer = Writer(args.per_vcpu)
        self.detail = source.detail if args.per_vcpu else None
        self.lock = threading.Lock()
        self.texts, self.due = {}, 0.0
        self.snapshot, self.seconds, self.trouble = None, None, ""

    def select(self, snapshot):
        """The VMs that are exported."""
        vms = snapshot.select(self.wanted)
        if self.detail:
            self.detail.give_vcpus(vms)
        return vms

    def _read(self):
        begin = time.monotonic()
        try:
            self.snapshot, trouble = self.source.read(), ""
        except Failure as error:
            self.snapshot, trouble = None, str(error)
            if "gone; " in trouble:
                trouble = "the module was unloaded; kvmmem_up is 0 until it is loaded again"
        self.seconds = time.monotonic() - begin
        if trouble != self.trouble:
            print(f"kvmmem: {trouble or 'reading again'}", file=sys.stderr, flush=True)
            self.trouble = trouble

    def text(self, form):
        """What there is now. Several who ask at once share one reading."""
        with self.lock:
            if time.monotonic() >= self.due:
                self.texts, self.due = {}, time.monotonic() + SHARED
                self._read()
            if form not in self.texts:
                vms = self.select(self.snapshot) if self.snapshot else []
                self.texts[form] = self.writer.text(form, self.snapshot, vms, self.seconds)
            return self.texts[form]


def write_file(path, data):
    """Put @data in the place of @path: a reader sees the old one or the new one whole."""
    directory, name = os.path.split(os.path.abspath(path))
    new = None
    try:
        descriptor, new = tempfile.mkstemp(prefix=f".{name}.", dir=directory)
        with open(descriptor, "wb") as file:
            # The node exporter is another user.
            os.fchmod(descriptor, 0o644)
            file.write(data)
        os.rename(new, path)
    except OSError as error:
        if new:
            with contextlib.suppress(OSError):
                os.unlink(new)
        raise Failure(f"cannot write {safe(path)}: {error.strerror.lower()}") from None


def _files(exporter, args):
    """Until somebody ends it."""
    begin = time.monotonic()
    write_file(args.textfile, exporter.text(TEXT))
    try:
        for deadline in deadlines(begin, args.interval or INTERVAL,
                                  args.count and args.count - 1):
            wait_until(deadline)
            exporter.due = 0.0
            write_file(args.textfile, exporter.text(TEXT))
    except (KeyboardInterrupt, Failure):
        if not args.count:
            # What nobody keeps up to date would be taken for the truth for ever.
            with contextlib.suppress(OSError):
                os.unlink(args.textfile)
        raise


def _serve(exporter, args):
    """Until somebody ends it."""
    server = web.Server(args.listen, exporter.text, args.web_config)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    if sys.stderr.isatty():
        print(f"kvmmem: listening on port {server.server_port}; Ctrl-C ends it", file=sys.stderr)
    while True:
        wait_until(time.monotonic() + 3600)


def run(args):
    """kvmmem export."""
    source = source_of(args)
    if args.recording and (args.listen or args.textfile):
        source = Still(source)
    exporter = Exporter(source, args)
    if args.listen or args.textfile:
        hold_ends()
        (_serve if args.listen else _files)(exporter, args)
    elif args.recording:
        for text in exporter.writer.history((one, exporter.select(one))
                                            for one in source.steps()):
            sys.stdout.write(text)
    else:
        begin = time.monotonic()
        snapshot = source.read()
        seconds = time.monotonic() - begin
        snapshot.must_select(args.vm)
        sys.stdout.flush()
        sys.stdout.buffer.write(exporter.writer.text(TEXT, snapshot, exporter.select(snapshot),
                                                     seconds))
