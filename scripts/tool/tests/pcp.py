# SPDX-License-Identifier: GPL-2.0
"""Debian's PCP with its OpenMetrics agent, unpacked, on a socket of its own."""

import os
import pathlib
import re
import subprocess

import prometheus
import programs

AGENT = "usr/lib/pcp/pmdas/openmetrics/pmdaopenmetrics.python"
CONFIG = """\
openmetrics 144 pipe binary notready /usr/bin/python3 {agent} -c {home}/config.d -l {home}/log \
-u root -t 30
[access]
allow "local:*" : all;
"""
# Of what PCP takes from pcp.conf, what it writes to.
OWN = ("PCP_VAR_DIR", "PCP_RUN_DIR", "PCP_LOG_DIR", "PCP_TMP_DIR", "PCP_TMPFILE_DIR")


class Pcp:
    """pmcd and the agent, reading what is in @url, a file for the agent."""

    def __init__(self, home, url):
        self.home, self.root = pathlib.Path(home), programs.root("pcp")
        for name in ("config.d", "lib", *OWN):
            (self.home / name).mkdir(parents=True)
        (self.home / "PCP_VAR_DIR/config/pmda").mkdir(parents=True)
        (self.home / "PCP_LOG_DIR/pmcd").mkdir()
        (self.home / "config.d/kvmmem.url").write_text(url, encoding="utf-8")
        (self.home / "names").write_text("root {\n openmetrics 144:*:*\n}\n", encoding="utf-8")
        (self.home / "pmcd.conf").write_text(
            CONFIG.format(agent=self.root / AGENT, home=self.home), encoding="utf-8")
        self._pcp_conf()
        # The agent looks for libraries as a linker does.
        for path in (self.root / "usr/lib").glob("libpcp*.so.*"):
            for name in (path.name, path.name.partition(".so")[0] + ".so"):
                (self.home / "lib" / name).symlink_to(path)
        self.env = {**os.environ, "PCP_CONF": str(self.home / "pcp.conf"), "PMCD_LOCAL": "1",
                    "LD_LIBRARY_PATH": str(self.home / "lib"), "PCP_DERIVED_CONFIG": "",
                    "PYTHONPATH": str(self.root / "usr/lib/python3/dist-packages"),
                    "PMCD_PORT": str(prometheus.free_port())}
        self.process = subprocess.Popen(    # pylint: disable=consider-using-with
            [self.root / "usr/lib/pcp/bin/pmcd", "-f", "-A", "-Q", "-q", "60", "-t", "60",
             "-c", self.home / "pmcd.conf", "-n", self.home / "names",
             "-l", self.home / "pmcd.log", "-s", self.home / "socket", "-U", "root"], env=self.env)

    def _pcp_conf(self):
        lines = []
        for line in (self.root / "etc/pcp.conf").read_text("utf-8").splitlines():
            name, _, value = line.partition("=")
            if name in OWN:
                value = self.home / name
            elif name in ("PCP_USER", "PCP_GROUP"):
                value = "root"
            elif value.startswith("/"):
                value = f"{self.root}{value}"
            lines.append(f"{name}={value}" if value else line)
        (self.home / "pcp.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def stop(self):
        """The end; the agent ends with it."""
        prometheus.stop(self.process)

    def pminfo(self, *args):
        """What pminfo prints."""
        return subprocess.run([self.root / "usr/bin/pminfo", "-h", f"unix:{self.home}/socket",
                               *args], env=self.env, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False).stdout

    def values(self, name):
        """{name of the instance: value} of a metric."""
        return dict(re.findall(r'(?s)inst \[\d+ or "\d+ (.*?)"\] value (\S+)',
                               self.pminfo("-f", f"openmetrics.kvmmem.{name}")))
