"""What an attempt is, and what it has at hand: sandboxes to try it in, and the host to look at afterwards."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from conformance.kinds import Outside

from sandboxes.protocol import Backend, Limits, Sandbox

BOTH = ("docker", "bubblewrap")
"""`host` is for attempts on Bridle itself, which open no sandbox."""

SMALL = Limits(memory_bytes=512 << 20, cpus=2.0, pids=128)


@dataclass(frozen=True)
class Attempt:
    """One way out that is tried for real. `tried` and `held` are one sentence each, for the table.

    `act` makes the attempt and fails when it was not contained; it has `seconds` for it.
    """

    id: str
    title: str
    tried: str
    held: str
    act: Callable[[Scene], Awaitable[None]]
    on: tuple[str, ...] = BOTH
    seconds: float = 60.0


@dataclass
class Scene:
    """Where an attempt takes place.

    `backend` makes the backend; `box` is shared by attempts that leave it well; `open` opens further ones.
    `folder` is a folder on the host, of this test alone. `secret` is a text that nobody else knows; where it turns
    up, something has got through.
    """

    backend: Callable[[], Backend]
    box: Sandbox
    open: Callable[..., Awaitable[Sandbox]]
    outside: Outside
    folder: Path
    secret: str
    monkeypatch: pytest.MonkeyPatch

    @classmethod
    def without_sandbox(cls, folder: Path, secret: str, monkeypatch: pytest.MonkeyPatch) -> Scene:
        """For attempts on Bridle itself: there is nothing to open, and opening it is a mistake."""

        async def none(**_: Any) -> Sandbox:
            raise AssertionError("this attempt opens no sandbox")

        def no_backend() -> Backend:
            raise AssertionError("this attempt has no backend")

        return cls(no_backend, cast("Sandbox", None), none, cast("Outside", None), folder, secret, monkeypatch)

    def host_file(self, name: str = "canary") -> Path:
        """A file on the host that holds the secret."""
        path = self.folder / name
        path.write_text(self.secret)
        return path

    async def sh(self, script: str, box: Sandbox | None = None, **options: Any) -> str:
        """What a shell script inside prints, errors too."""
        words = ["sh", "-c", f"exec 2>&1\n{script}"]
        options.setdefault("timeout", 60.0)
        return (await (box or self.box).exec(words, max_output=1 << 20, **options)).output.text()

    async def python(self, code: str, *args: str, box: Sandbox | None = None) -> dict[str, Any]:
        """What Python code inside notes in `said`; see PRELUDE. It proves first that it notes what works."""
        words = ["python3", "-I", "-c", f"{PRELUDE}\n{code}\n{POSTLUDE}", *args]
        result = await (box or self.box).exec(words, max_output=1 << 20, timeout=60.0)
        lines = result.output.text().splitlines()
        assert result.exit_code == 0, result.output.text()
        said: dict[str, Any] = json.loads(lines[-1])
        assert (said.pop("control_open"), said.pop("control_call")) == ("allowed", "allowed")
        return said


def refused(said: Mapping[str, Any], *, also: Iterable[str] = (), at_least: int = 1) -> None:
    """Was every attempt refused, for want of a right rather than for a mistake in the attempt?"""
    fine = {"EPERM", "EACCES", "EROFS", "ENOSYS", *also}
    assert len(said) >= at_least, said
    assert {name: answer for name, answer in said.items() if answer not in fine} == {}


PRELUDE = r"""
import ctypes, errno, json, os, platform, socket, stat, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
x86, zero, text, said = platform.machine() == "x86_64", ctypes.c_void_p(0), ctypes.c_char_p(b"/tmp"), {}

def attempt(name, act, *args, **options):
    try:
        act(*args, **options)
        said[name] = "allowed"
    except OSError as e:
        said[name] = errno.errorcode.get(e.errno, str(e))

def call(name, x, arm, *args):
    '''A system call by its number on x86_64 and on ARM, -1 where there is none.'''
    if (x if x86 else arm) < 0:
        return
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in (x if x86 else arm, *args)]
    said[name] = "allowed" if libc.syscall(*words) >= 0 else errno.errorcode.get(ctypes.get_errno(), "?")

def taste(path):
    '''Open for reading and take a byte: nothing to be had is told as "empty".'''
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not os.read(fd, 1):
            raise OSError(errno.ENODATA, "empty")
    finally:
        os.close(fd)

def open_for_writing(path):
    os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))

attempt("control_open", lambda: open("/tmp/.control", "w").close())
call("control_call", 39, 172)
"""

POSTLUDE = "print(); print(json.dumps(said))"
