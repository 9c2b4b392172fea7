"""JUnit results, judged on the host against the ids that were expected.

Threat model: the file comes from a sandbox where the code under test ran. It is bounded by whoever read it,
refused if it declares entities, and believed only for what it says of expected ids under the run's own name; what
is missing, skipped, there twice or under another name is a failure.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

MAX_MESSAGE = 2000
Result = Literal["passed", "failed", "error", "skipped", "missing", "duplicated"]


class TestResult(BaseModel):
    """What became of one expected id, and the beginning of what was said of it."""

    __test__ = False
    model_config = ConfigDict(frozen=True)

    id: str
    result: Result
    message: str = ""


def judge(data: bytes, expected: Sequence[str], nonce: str) -> tuple[TestResult, ...]:
    """The result of each expected id, in their order; a file that is none counts as one without results."""
    cases = _cases(data, nonce)
    return tuple(
        _of_cut(each, cases) if _is_cut(each) else _one(each, cases.get(_key(each), [])) for each in expected
    )


def _is_cut(test: str) -> bool:
    """Whether an id ends within its parameters: some benchmarks cut ids at the first space."""
    return "[" in test and not test.endswith("]")


def _of_cut(test: str, cases: Mapping[tuple[str, str], list[ElementTree.Element]]) -> TestResult:
    """The worst result of the tests whose ids begin so."""
    owner, start = _key(test)
    found = [_one(test, each) for (name, case), each in cases.items() if name == owner and case.startswith(start)]
    bad = [each for each in found if each.result != "passed"]
    return (bad or found or [TestResult(id=test, result="missing")])[0]


def _one(test: str, found: list[ElementTree.Element]) -> TestResult:
    if not found:
        return TestResult(id=test, result="missing")
    if len(found) > 1:
        return TestResult(id=test, result="duplicated")
    for child in found[0]:
        if child.tag in ("failure", "error", "skipped"):
            result: Result = "failed" if child.tag == "failure" else "error" if child.tag == "error" else "skipped"
            said = f"{child.get('message') or ''}\n{child.text or ''}".strip()
            return TestResult(id=test, result=result, message=said[:MAX_MESSAGE])
    return TestResult(id=test, result="passed")


def _cases(data: bytes, nonce: str) -> dict[tuple[str, str], list[ElementTree.Element]]:
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        return {}
    try:
        root = ElementTree.fromstring(data)  # noqa: S314 -- without a DTD there are no entities to expand
    except ElementTree.ParseError:
        return {}
    suites = list(root.iter("testsuite"))
    if len(suites) != 1 or suites[0].get("name") != nonce:
        return {}
    cases: dict[tuple[str, str], list[ElementTree.Element]] = {}
    for case in suites[0].iter("testcase"):
        cases.setdefault((case.get("classname", ""), case.get("name", "")), []).append(case)
    return cases


def _key(test: str) -> tuple[str, str]:
    """How pytest names an id in JUnit: module and classes with dots, and the test with its parameters."""
    path, *names = test.split("::", 1)
    head, bracket, parameters = names[0].partition("[")
    *classes, name = head.split("::")
    return ".".join([path.removesuffix(".py").replace("/", "."), *classes]), name + bracket + parameters
