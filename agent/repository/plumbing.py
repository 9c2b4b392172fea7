"""The one way Bridle starts `git` on the host.

Threat model: the repository's own configuration may name commands (hooks, filters, fsmonitor, ssh, external
diff, aliases) and so may the environment. None of them runs here: each is switched off for every call, no
transport is allowed, no lock that is not needed is taken, and nothing foreign is ever an option: revisions and
paths come by hash, after `--`, or on standard input, NUL-terminated and taken literally.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from agent.outcomes import UsageProblem

TIMEOUT = 600.0
"""Seconds after which one git command is given up."""

_KEPT = frozenset(
    {
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_SYSTEM",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_EXEC_PATH",
        "GIT_CEILING_DIRECTORIES",
        "GIT_DISCOVERY_ACROSS_FILESYSTEM",
        "GIT_AUTHOR_NAME",
        "GIT_AUTHOR_EMAIL",
    }
)
"""The user's variables that git may see; the rest of GIT_* would point it elsewhere or make it run things."""

_FORCED = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_FLUSH": "1",
    "LC_ALL": "C",
    "LANGUAGE": "C",
}

# An empty fsmonitor is "none" both for gits that want a command there and for those that want a boolean.
_SETTINGS = {
    "core.fsmonitor": "",
    "core.hooksPath": os.devnull,
    "core.untrackedCache": "false",
    "core.sshCommand": "false",
    "core.gitProxy": "none",
    "core.editor": "false",
    "credential.helper": "",
    "diff.external": "",
    "diff.ignoreSubmodules": "all",
    "commit.gpgSign": "false",
    "i18n.commitEncoding": "UTF-8",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.allow": "never",
}

_COMMAND_KEY = re.compile(
    r"(?P<filter>filter\..+\.(?:clean|smudge|process|required))|(?P<hook>hook\.(?P<name>.+)\.[^.]+)",
    re.DOTALL | re.IGNORECASE,
)


class GitFailed(Exception):
    """A git command failed; `text` is what it wrote to standard error, bounded."""

    def __init__(self, command: str, code: int, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(f"git {command} failed ({code}): {text or 'no message'}")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment every git gets: the user's without whatever would redirect it, plus `extra`."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _KEPT}
    return env | _FORCED | dict(extra or {})


def command(*args: str | bytes) -> list[str | bytes]:
    """The argument list of a git call with everything switched off that could run something."""
    settings = [part for key, value in _SETTINGS.items() for part in ("-c", f"{key}={value}")]
    return [git_program(), "--no-pager", "--no-optional-locks", *settings, *args]


def git_program() -> str:
    """The path of git. Raises UsageProblem when there is none."""
    found = shutil.which("git")
    if found is None:
        raise UsageProblem("git is not installed, and Bridle needs it on the host: install it (apt install git)")
    return found


def run_git(
    *args: str | bytes,
    cwd: Path,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    to: IO[bytes] | None = None,
    source: IO[bytes] | None = None,
) -> bytes:
    """Run git in `cwd` and return its standard output (or write it to the file `to`).

    It reads `stdin`, or the file `source`.

    Raises GitFailed when it exits other than 0 or takes longer than TIMEOUT, UsageProblem without git.
    """
    try:
        done = subprocess.run(
            command(*args),
            cwd=cwd,
            input=stdin if source is None else None,
            stdin=source,
            stdout=subprocess.PIPE if to is None else to,
            stderr=subprocess.PIPE,
            env=environment(env),
            timeout=TIMEOUT,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        raise GitFailed(str(args[0]), -1, f"gave no answer for {TIMEOUT:.0f} s") from error
    if done.returncode:
        text = done.stderr[-2000:].decode("utf-8", "replace").strip()
        raise GitFailed(str(args[0]), done.returncode, text)
    return done.stdout or b""


def disarmed(cwd: Path) -> dict[str, str]:
    """Environment that switches off the filters and hooks which the configuration read in `cwd` defines.

    For commands that could otherwise run them. The names are the repository's, so they travel as variables,
    where no character of theirs means anything.
    """
    names = run_git("config", "--list", "-z", "--name-only", cwd=cwd).split(b"\0")
    settings: dict[str, str] = {}
    for name in names:
        found = _COMMAND_KEY.fullmatch(os.fsdecode(name))
        if found is None:
            continue
        if found["filter"]:
            settings[found["filter"]] = "false" if found["filter"].endswith(".required") else ""
        else:
            settings[f"hook.{found['name']}.enabled"] = "false"
    return overrides(settings)


def overrides(settings: Mapping[str, str]) -> dict[str, str]:
    """`settings` as the environment variables git reads configuration from."""
    env = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return env


def split(output: bytes) -> list[bytes]:
    """The items of NUL-terminated output."""
    return output.split(b"\0")[:-1]
