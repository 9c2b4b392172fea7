"""A program on a real pseudo-terminal, read and typed to as a person would."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence

PROMPT = "\nAllow this?"
ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[()][0-9A-B]|[=>78])")


class OnTerminal:
    """A child on a pseudo-terminal of 24 by 80; `seen` is all it has printed."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        keep = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS", "LINES"}}
        self.child = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**keep, "TERM": "xterm-256color", "PYTHONUTF8": "1", **env},
        )
        os.close(slave)
        self.seen = ""
        self.raw = b""
        self._at = 0

    def expect(self, text: str, seconds: float = 30) -> str:
        """Wait until `text` appears after what was expected last; returns what came up to its end."""
        deadline = time.monotonic() + seconds
        while (found := self.seen.find(text, self._at)) < 0:
            if not self.read(deadline - time.monotonic()):
                raise AssertionError(f"no {text!r} in: {self.seen[self._at :]}")
        start, self._at = self._at, found + len(text)
        return self.seen[start : self._at]

    def read(self, seconds: float) -> bool:
        """Take in what comes within `seconds`; False when nothing does or the child has closed its end."""
        if seconds <= 0 or not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:  # the child has closed its end
            return False
        self.raw += data
        self.seen = ESCAPE.sub("", self.raw.decode("utf-8", "replace"))
        return bool(data)

    def send(self, keys: str) -> None:
        """Type."""
        os.write(self.master, keys.encode())

    def answer(self, keys: str) -> None:
        """Wait for the prompt, then type."""
        self.expect(PROMPT)
        self.send(keys)

    def wait(self, seconds: float = 60) -> int:
        """Read to the end; its exit code."""
        while self.read(seconds):
            pass
        return self.child.wait(timeout=seconds)

    def hang_up(self) -> None:
        """Close the terminal, as when its window is closed."""
        os.close(self.master)
        self.master = -1

    def close(self) -> None:
        """End the child if it is still there."""
        self.child.kill()
        self.child.wait()
        if self.master >= 0:
            os.close(self.master)
