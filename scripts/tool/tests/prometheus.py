# SPDX-License-Identifier: GPL-2.0
"""Debian's Prometheus on loopback, its promtool, and text in its formats."""

import json
import pathlib
import re
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

SCRIPTS = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(SCRIPTS / "lab"))

import programs     # pylint: disable=wrong-import-position

DASHBOARDS = SCRIPTS / "dashboards"
RULES = DASHBOARDS / "kvmmem.rules.yml"
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: kvmmem
    {more}
    static_configs: [{{targets: ["{target}"]}}]
"""


def program(name):
    """Prometheus, promtool, or the node exporter."""
    return programs.program("prometheus", f"usr/bin/{name}")


def promtool(*args, text=None):
    """What promtool says; empty if it has nothing to say. (status, output)."""
    done = subprocess.run([program("promtool"), *args], input=text, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout


def free_port():
    """A port of loopback that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def get(url, headers=None, **options):
    """The body of a page."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=60,
                                **options) as page:
        return page.read().decode()


def wait_for(what, seconds=90):
    """Until @what returns something true; returns that."""
    end = time.monotonic() + seconds
    while True:
        try:
            found = what()
        except OSError:
            found = None
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"{seconds} s were not enough: {what}")
        time.sleep(0.1)


def stop(process):
    """End a process of ours."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def samples(text):
    """{name{labels}: value} of a page in any of the two formats."""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            series, value = line.rsplit(" ", 1)
            assert series not in found, f"{series} is there twice"
            found[series] = float(value)
    return found


class Server:
    """A Prometheus that scrapes a port every second."""

    def __init__(self, directory, target, more=""):
        directory = pathlib.Path(directory)
        config = directory / "prometheus.yml"
        config.write_text(CONFIG.format(rules=RULES, target=target, more=more),
                          encoding="utf-8")
        self.url = f"http://127.0.0.1:{free_port()}"
        self.log = open(directory / "prometheus.log", "wb")     # pylint: disable=consider-using-with
        self.process = subprocess.Popen(    # pylint: disable=consider-using-with
            [program("prometheus"), f"--config.file={config}",
             f"--storage.tsdb.path={directory / 'tsdb'}",
             f"--web.listen-address={self.url.removeprefix('http://')}"],
            stdout=self.log, stderr=subprocess.STDOUT)
        wait_for(lambda: get(f"{self.url}/-/ready"))

    def stop(self):
        """The end."""
        stop(self.process)
        self.log.close()

    def ask(self, query):
        """[(labels, value)] of an instant query."""
        answer = json.loads(get(f"{self.url}/api/v1/query?query={urllib.parse.quote(query)}"))
        assert answer["status"] == "success", answer
        result = answer["data"]["result"]
        if answer["data"]["resultType"] == "scalar":
            return [({}, float(result[1]))]
        return [(one["metric"], float(one["value"][1])) for one in result]

    def value(self, query):
        """The only value of a query, or None."""
        found = self.ask(query)
        assert len(found) < 2, f"{query}: {found}"
        return found[0][1] if found else None

    def labels(self, name):
        """All values of a label."""
        return json.loads(get(f"{self.url}/api/v1/label/{name}/values"))["data"]


def _quoted(text):
    return "'" + text.replace("'", "''") + "'"


def _on_the_host(series):
    """A series as Prometheus has it, with the label of its target."""
    return series.replace("{", '{instance="host",', 1) if "{" in series else \
        series + '{instance="host"}'


def _values(series, before, after, seconds, minutes):
    """What counts goes on as fast as it grew, all else goes from one to the other."""
    if before is None or after is None or before == after:
        known = before if after is None else after
        return f"{known!r}x{minutes}"
    counts = re.search(r"_(total|sum|count)(\{|$)", series)
    step = (after - before) * 60 / seconds if counts else (after - before) / minutes
    return f"{before!r}{step:+.9g}x{minutes}"


def alerts(before, after, seconds, directory, minutes=60):
    """The names of those that fire in the end, by promtool.

    @before and @after are what was exported, so many @seconds apart; it is as if all had
    gone on like that.
    """
    then, now = samples(before), samples(after)
    lines = ["rule_files: [" + _quoted(str(RULES)) + "]", "evaluation_interval: 1m", "tests:",
             "  - interval: 1m", "    input_series:"]
    lines += [f"      - {{series: {_quoted(_on_the_host(series))}, values: "
              f"{_quoted(_values(series, then.get(series), value, seconds, minutes))}}}"
              for series, value in now.items()]
    # promtool tells what there is where it expected something else.
    lines += ["    promql_expr_test:", "      - expr: 'count by (alertname) "
              "(ALERTS{alertstate=\"firing\"})'", f"        eval_time: {minutes}m",
              "        exp_samples: [{labels: '{alertname=\"none\"}', value: 0}]"]
    path = pathlib.Path(directory) / "series.test.yml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    status, said = promtool("test", "rules", str(path))
    assert status and "got:" in said, said
    return set(re.findall(r'alertname="(\w+)"', said.split("got:", maxsplit=1)[1]))
