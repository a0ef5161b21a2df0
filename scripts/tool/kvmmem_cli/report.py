# SPDX-License-Identifier: GPL-2.0
"""kvmmem report: a recording as one page for a browser, or as text."""

import datetime
import html
import json
import os
import re
import shutil
import sys
import tempfile

from . import VERSION, report_text
from .columns import CAUSES, INITIATORS
from .errors import Failure
from .options import add_source, count
from .replay import Replay
from .series import History
from .units import safe

POINTS = 720            # on a chart, which is no wider
# Where distributions put the library that draws.
LIBRARY = ("/usr/share/javascript/dygraphs", "/usr/share/kvmmem/dygraphs")
PAGES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pages")
HELP = """\
The page is one file that asks nobody for anything: send it, open it anywhere.
A click on a spike shows the VM and what was the cause.

examples:
  kvmmem report host.kvmmem -o night.html --begin 00:00 --end 06:00
  kvmmem report host.kvmmem --text --vm web"""


def add(parser):
    """The options of report."""
    parser.description = "What happened in a recording, in charts."
    parser.epilog = HELP
    parser.add_argument("path", metavar="FILE", nargs="?",
                        help="what 'kvmmem record' wrote; as --from")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("-o", dest="output", metavar="FILE.html",
                      help="the page to write; '-' for standard output")
    form.add_argument("--text", action="store_true", help="for a terminal, without charts")
    parser.add_argument("--points", metavar="N", type=count, default=POINTS,
                        help=f"at most so many points on a chart ({POINTS})")
    add_source(parser, file=False)


def check(args):
    """Do the options go together?"""
    args.recording = args.path or args.recording
    if not args.recording:
        args.error("report wants a recording: kvmmem report FILE")
    if args.file:
        args.error("--file does not go with 'report', which wants a recording")
    if not args.output and not args.text:
        args.error("report wants -o FILE.html, or --text")


def _library(name):
    for place in [os.environ["KVMMEM_DYGRAPHS"]] if "KVMMEM_DYGRAPHS" in os.environ else LIBRARY:
        try:
            with open(f"{place}/{name}", encoding="utf-8") as file:
                text = file.read()
        except OSError:
            continue
        # Nothing that a browser would ask for, nor that ends the script.
        lines = [line for line in text.splitlines() if "sourceMappingURL=" not in line]
        return "\n".join(lines).replace("</script", "<\\/script")
    raise Failure(f"{name} of dygraphs, which draws the charts, is not here; install "
                  "libjs-dygraphs, or use --text")


def _page(name):
    with open(f"{PAGES}/{name}", encoding="utf-8") as file:
        return file.read()


def _json(value):
    """For a script element, which the first "</" would end."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def page(history, wanted):
    """The page, as text."""
    labels = history.labels()
    ids = list(labels)
    vms = [{"label": safe(labels[ident]), "id": safe(ident), "uuid": series.vm.uuid,
            "lost": series.values.get(("", "lost")), "faults": series.values.get(("", "faults"))}
           for ident, series in history.vms.items()]
    data = {
        "version": VERSION, "times": [round(when, 1) for when in history.times],
        "readings": history.readings, "vms": vms,
        "host": history.host, "flush": history.sums("flush", CAUSES),
        "inval": history.sums("inval", INITIATORS),
        "events": [[round(when, 1), ids.index(ident) if ident in ids else -1,
                    safe(f"{labels.get(ident, ident)}: {what}" if ident else what)]
                   for when, ident, what in history.events()],
        "findings": [[safe(labels.get(ident, ident)) if ident else "the host", one.text,
                      one.evidence, one.remedy]
                     for ident, one in report_text.findings(history, wanted)]}
    details = "".join(
        f'<script type="application/json" id="vm-{at}">' + _json({
            group: series.group(group)
            for group in ("fault", "flush", "inval", "host", "ept", "memory")}) + "</script>\n"
        for at, series in enumerate(history.vms.values()))
    begin, end = (datetime.datetime.fromtimestamp(when).isoformat(" ", "minutes")
                  for when in (history.begin, history.end))
    parts = {"title": html.escape(f"kvmmem, {begin} to {end}"), "style": _page("report.css"),
             "library_style": _library("dygraph.min.css"), "library": _library("dygraph.min.js"),
             "synchronizer": _library("extras/synchronizer.js"), "script": _page("report.js"),
             "data": _json(data), "details": details}
    # In one go, so that nothing in a part is taken for the place of another.
    return re.sub(r"@(\w+)@", lambda found: parts[found[1]], _page("report.html"))


def _write(path, text):
    """A page is there as a whole, or not at all."""
    if path == "-":
        sys.stdout.write(text)
        return
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            with open(path, "w", encoding="utf-8") as file:     # a device, a pipe
                file.write(text)
            return
        path = os.path.realpath(path)
        directory = os.path.dirname(path)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=directory,
                                         delete=False) as file:
            try:
                file.write(text)
                file.flush()
                mask = os.umask(0)
                os.umask(mask)
                os.chmod(file.name, 0o666 & ~mask)
                os.rename(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        raise Failure(f"{safe(path)}: {error.strerror.lower()}") from None


def run(args):
    """kvmmem report."""
    source = Replay(args.recording, args.begin, args.end)
    if len(source.there) < 2:
        raise Failure(f"{safe(args.recording)}: one reading does not say what happened")
    for wish in args.vm:
        if not any(source.at(at).select([wish]) for at in (-1, 0)):
            source.read().must_select([wish])
    history = History(source, args.points, args.vm)
    if args.text:
        width = shutil.get_terminal_size((100, 24)).columns
        for line in report_text.lines(history, args.vm, width):
            print(line)
        return
    _write(args.output, page(history, args.vm))
