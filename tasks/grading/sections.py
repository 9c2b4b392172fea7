"""Configuration files that only in part say how tests run: that part is the task's, the rest is the agent's.

pyproject.toml and setup.cfg hold a project's metadata, too, which an honest solution may change. The sections
that pytest, tox and coverage read are cut out of the agent's file and the task's are put in; the outcome is read
again, and where it does not say exactly that, the whole file is the task's.
"""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Callable
from typing import Any

TOOLS = ("pytest", "tox", "coverage")
_TOML = re.compile(r"\s*\[\[?\s*tool\s*\.\s*[\"']?(?P<tool>[\w-]+)[\"']?\s*[.\]]")
_CFG = re.compile(r"\[(?:tool:)?(?P<tool>[\w-]+)(?::[^\]]*)?\]")


def merged(path: str, text: str, base: str) -> str | None:
    """What to grade of a file whose test sections differ from the task's; None when there is nothing to mend."""
    name = path.rsplit("/", 1)[-1]
    if name == "pyproject.toml":
        return _merged(text, base, _toml, _TOML)
    if name == "setup.cfg":
        return _merged(text, base, _cfg, _CFG)
    return None


Sections = dict[str, Any]
"""Two tables: `tests`, what the tools above read, and `rest`."""


def _merged(text: str, base: str, read: Callable[[str], Sections | None], header: re.Pattern[str]) -> str | None:
    said, wanted = read(text), read(base)
    if text == base or (said is not None and wanted is not None and said["tests"] == wanted["tests"]):
        return None
    if said is None or wanted is None:
        return base
    parts = [*_sections(text, header, tools=False), *_sections(base, header, tools=True)]
    made = "".join(part if part.endswith("\n") else part + "\n" for part in parts)
    if read(made) == {"tests": wanted["tests"], "rest": said["rest"]}:
        return made
    return base


def _sections(text: str, header: re.Pattern[str], *, tools: bool) -> list[str]:
    """The parts of a file from one header to the next: those of the tools, or all others."""
    parts, mine = [], False
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith("["):
            found = header.match(line)
            mine = found is not None and found["tool"] in TOOLS
        if mine == tools:
            parts.append(line)
    return parts


def _toml(text: str) -> Sections | None:
    try:
        said = tomllib.loads(text)
    except (ValueError, RecursionError):
        return None
    tool = said.get("tool", {})
    if not isinstance(tool, dict):
        return None
    tests = {name: tool[name] for name in TOOLS if name in tool}
    others = {name: value for name, value in tool.items() if name not in TOOLS}
    return {"tests": tests, "rest": {**said, "tool": others}}


def _cfg(text: str) -> Sections | None:
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    sections = {name: dict(parser[name]) for name in parser.sections()}
    tests = {
        name: said for name, said in sections.items() if (m := _CFG.match(f"[{name}]")) and m["tool"] in TOOLS
    }
    return {"tests": tests, "rest": {name: said for name, said in sections.items() if name not in tests}}
