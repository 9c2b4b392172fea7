"""What grading tests import, told from their text: which modules have to be the task's or the image's own, and
whether anything of the workspace is imported into the tests' process at all.

Threat model: where a test imports nothing of the workspace (it reads files, or starts a program), nothing of the
workspace needs to be found by that process, and so nothing of it runs there.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Mapping

from agent.parsing import parse
from tasks.grading.integrity import FRAMEWORK_MODULES

_BY_OTHER_MEANS = re.compile(
    r"\bimportlib\b|\b__import__\b|\brunpy\b|\bimportorskip\b|\bpytest_plugins\b|\bsyspath_prepend\b|"
    r"\bsys\.(?:path|modules|meta_path)\b|\bexec\(|\beval\(|\bpkgutil\b|\bdoctest\b|\bpickle\b"
)
"""Ways to import what no import statement names."""


def imported(sources: Iterable[str]) -> frozenset[str]:
    """The modules that sources import by an absolute name, each by the first part of it."""
    found = set()
    for source in sources:
        try:
            nodes = list(ast.walk(parse(source)))
        except (SyntaxError, ValueError, RecursionError):
            continue
        for node in nodes:
            if isinstance(node, ast.Import):
                found |= {each.name.partition(".")[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.partition(".")[0])
    return frozenset(found)


def brought(tests: Mapping[str, str]) -> frozenset[str]:
    """The modules of the tests' own folder that tests import by name; `tests` are its Python files by path."""
    return imported(tests.values()) & top_level(tests)


def top_level(paths: Iterable[str]) -> frozenset[str]:
    """The modules and packages that Python would find in a folder with these paths, or in its src/."""
    found = set()
    for path in paths:
        for each in (path, path.removeprefix("src/")):
            top, _, rest = each.partition("/")
            found |= {top} if rest else {top.partition(".")[0]} if top.endswith((".py", ".so")) else set()
    return frozenset(found)


def needs_workspace(tests: Mapping[str, str], base: Iterable[str]) -> bool:
    """May tests import something of the workspace? True unless their text says no; `base` are its paths."""
    if any(_BY_OTHER_MEANS.search(text) for text in tests.values()):
        return True
    elsewhere = (sys.stdlib_module_names | FRAMEWORK_MODULES) - top_level(base)
    return not imported(tests.values()) <= elsewhere | brought(tests)


def installed(tests: Mapping[str, str], base: Iterable[str]) -> list[str]:
    """What tests import that comes from the image where it has it: what neither they nor the workspace had."""
    return sorted(imported(tests.values()) - top_level(base) - brought(tests) - sys.stdlib_module_names)
