"""`bridle` run in a process forked from one that has imported it: a second of processor time saved each run.

Everything else is as in a start of its own: arguments, environment, folder, pid, output, exit code. What a start
itself is about (a terminal, a kill, the time of `--help`, the interpreter's own settings) starts the real command.
"""

from __future__ import annotations

import atexit
import importlib
import multiprocessing
import os
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    # A name that cannot be imported there is passed over without a word, so they are those of installed packages.
    [
        found.name
        for package in ("agent", "cli", "sandboxes", "tasks", "tools")
        for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
        if not {"inside", "bundled", "cheats"} & {*found.name.split(".")}
    ]
)
OF_THE_INTERPRETER = ("PYTHON", "LC_", "LANG", "TMPDIR")
"""Variables that are read when Python starts, or once and for all."""


def can_fork(env: Mapping[str, str]) -> bool:
    """Whether a process forked from the one that was started first can have this environment."""
    return _interpreters(env) == _AT_START


def _interpreters(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(OF_THE_INTERPRETER)}


_AT_START = _interpreters(os.environ)


def run_forked(args: Sequence[str], env: Mapping[str, str], seconds: float) -> tuple[int | None, str, str]:
    """The exit code (None: it took longer than `seconds`, and was killed), standard output and standard error."""
    with TemporaryDirectory(prefix="forked-") as name:
        out, err = Path(name) / "out", Path(name) / "err"
        process = _FORKS.Process(target=_main, args=(list(args), dict(env), str(Path.cwd()), str(out), str(err)))
        process.start()
        process.join(seconds)
        code = process.exitcode
        if code is None:
            process.kill()
            process.join()
        process.close()
        return code, *((each.read_text() if each.exists() else "") for each in (out, err))


def _main(args: list[str], env: dict[str, str], folder: str, out: str, err: str) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    for number, (path, flags) in enumerate(
        [(os.devnull, os.O_RDONLY), (out, os.O_WRONLY | os.O_CREAT), (err, os.O_WRONLY | os.O_CREAT)]
    ):
        opened = os.open(path, flags | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = sys.__stdin__ = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.argv = ["bridle", *args]
    from cli.main import main

    try:
        main()
    finally:
        atexit._run_exitfuncs()  # a process of `multiprocessing` leaves them out
