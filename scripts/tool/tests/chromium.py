# SPDX-License-Identifier: GPL-2.0
"""A headless Chromium, told what to do over a pipe; nothing listens on a port."""

import base64
import json
import os
import shlex
import shutil
import subprocess
import tempfile
import time


class Browser:
    """One page in it."""

    OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
               "--no-first-run", "--disable-background-networking", "--disable-extensions",
               "--disable-component-update", "--window-size=1280,1000", "--remote-debugging-pipe")

    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="kvmmem-chromium-")
        theirs, self.write = os.pipe()
        self.read, answers = os.pipe()
        words = " ".join(map(shlex.quote, ["chromium", *self.OPTIONS,
                                           f"--user-data-dir={self.home}"]))
        self.process = subprocess.Popen(
            ["bash", "-c", f"exec {words} 3<&{theirs} 4>&{answers}"],
            pass_fds=(theirs, answers), env={**os.environ, "HOME": self.home},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(theirs)
        os.close(answers)
        os.set_blocking(self.read, False)
        self.data, self.number, self.session = b"", 0, None
        self.events = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target,
                                 flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        """A command, and its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + 60
        while time.monotonic() < end:
            for answer in self._messages():
                if answer.get("id") == self.number:
                    if "error" in answer:
                        raise AssertionError(f"{method}: {answer['error']}")
                    return answer["result"]
                self.events.append(answer)
        raise AssertionError(f"{method}: no answer")

    def _messages(self):
        try:
            more = os.read(self.read, 1 << 20)
        except BlockingIOError:
            time.sleep(0.02)
            return []
        if not more:
            raise AssertionError("Chromium has ended")
        *found, self.data = (self.data + more).split(b"\0")
        return [json.loads(one) for one in found]

    def value(self, expression):
        """What an expression is in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise AssertionError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def open(self, path):
        """Open a file, and wait until the page says that it is ready."""
        self.events.clear()
        self.call("Page.navigate", url=f"file://{path}")
        for _ in range(600):
            ready = self.value("document.body && document.body.dataset.ready")
            if ready:
                return int(ready)
            time.sleep(0.05)
        raise AssertionError(f"the page does not get ready: {self.troubles()}")

    def troubles(self):
        """Errors of the console, and exceptions."""
        return [event["params"] for event in self.events
                if event["method"] == "Runtime.exceptionThrown" or
                event["method"] == "Runtime.consoleAPICalled" and
                event["params"]["type"] in ("error", "warning", "assert") or
                event["method"] == "Log.entryAdded" and
                event["params"]["entry"]["level"] in ("error", "warning")]

    def requests(self):
        """All that was asked for."""
        return [event["params"]["request"]["url"] for event in self.events
                if event["method"] == "Network.requestWillBeSent"]

    def click(self, x, y):
        """As a mouse does."""
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, clickCount=1,
                      button="none" if kind == "mouseMoved" else "left")
            time.sleep(0.05)

    def picture(self, path):
        """What is to be seen, as a PNG."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def close(self):
        """The end of it."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.read)
        os.close(self.write)
        shutil.rmtree(self.home, ignore_errors=True)
