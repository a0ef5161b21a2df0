# SPDX-License-Identifier: GPL-2.0
"""What a screen is fed with: readings of now, or of a recording."""

import time

from .errors import Failure


class Now:
    """The running module, a reading after the other."""

    def __init__(self, source, seconds):
        self.source, self.seconds = source, seconds
        self.old = self.new = None
        self.paused, self.trouble, self.due = False, "", 0.0

    def refresh(self, detail):
        """Read if it is time; True if there is something new."""
        if self.paused or time.monotonic() < self.due:
            return False
        self.due = time.monotonic() + self.seconds
        try:
            found = self.source.read()
            if detail in found.vms:
                self.source.detail.give(found, [found.vms[detail]])
            self.old, self.new, self.trouble = self.new, found, ""
        except Failure as error:
            if self.new is None:
                raise
            # The module may come back; until then the last reading stays.
            self.trouble = str(error)
        return True

    def wait_ms(self):
        """How long a key may be waited for."""
        return 60000 if self.paused else max(20, int((self.due - time.monotonic()) * 1000))

    def key(self, key):
        """Keys of its own; True if it was one."""
        if key == " ":
            self.paused, self.due = not self.paused, 0.0
        elif key in ("+", "-"):
            self.seconds = min(3600, max(0.1, self.seconds * (0.5 if key == "+" else 2)))
        return key in (" ", "+", "-")

    def status(self):
        """Words for the first line."""
        return time.strftime("%H:%M:%S", time.localtime(self.new.wall)) + \
            (" paused" if self.paused else f" every {self.seconds:g} s")


class Then(Now):
    """A recording, that goes on by itself until somebody pauses it."""

    def __init__(self, source, seconds):
        super().__init__(source, seconds)
        self.at = 0
        self.stale = True

    def refresh(self, detail):
        playing = not self.paused and time.monotonic() >= self.due
        if playing and not self.stale and self.at < len(self.source.there) - 1:
            self.at, self.stale = self.at + 1, True
        if playing:
            self.due = time.monotonic() + self.seconds
        if not self.stale:
            return False
        self.old = self.source.at(self.at - 1) if self.at else None
        self.new, self.stale = self.source.at(self.at), False
        return True

    def _jump(self, seconds):
        wall = self.source.there[self.at][1] + seconds
        places = [at for at, one in enumerate(self.source.there)
                  if (one[1] <= wall if seconds < 0 else one[1] >= wall)]
        self.at = (places[-1] if seconds < 0 else places[0]) if places else \
            (0 if seconds < 0 else len(self.source.there) - 1)

    def key(self, key):
        last = len(self.source.there) - 1
        if key in ("KEY_LEFT", "KEY_RIGHT"):
            self.at = min(last, max(0, self.at + (1 if key == "KEY_RIGHT" else -1)))
        elif key in ("[", "]"):
            self._jump(600 if key == "]" else -600)
        elif key in ("KEY_HOME", "KEY_END"):
            self.at = last if key == "KEY_END" else 0
        else:
            return super().key(key)
        self.paused = self.stale = True
        return True

    def status(self):
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.new.wall)) + \
            f" {self.at + 1}/{len(self.source.there)}" + (" paused" if self.paused else "")
