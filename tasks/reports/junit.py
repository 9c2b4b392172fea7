"""A run as JUnit XML: one test case an attempt; what is unscored is an error, not a failure."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator, Sequence

from agent.autonomy.visible import visible
from tasks.reports.summary import flags_of
from tasks.runs.results import AttemptResult

MAX_TEXT = 4000


def junit(results: Sequence[AttemptResult], name: str) -> bytes:
    """The document. Texts of the agent's are cut, and characters that XML or a reader cannot take are escaped."""
    counts = Counter(each.status for each in results)
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(root, "testsuite", name=visible(name), tests=str(len(results)))
    seconds = sum(each.seconds for each in results)
    suite.attrib.update(failures=str(counts["fail"]), errors=str(counts["unscored"]), time=f"{seconds:.2f}")
    for each in results:
        _case(suite, each)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _case(suite: ElementTree.Element, result: AttemptResult) -> None:
    name = f"{result.task} {result.number}"
    case = ElementTree.SubElement(
        suite, "testcase", classname=result.category, name=name, time=f"{result.seconds:.2f}"
    )
    properties = {"difficulty": result.difficulty, "split": result.split, "flags": " ".join(flags_of(result))}
    table = ElementTree.SubElement(case, "properties")
    for key, value in properties.items():
        if value:
            ElementTree.SubElement(table, "property", name=key, value=visible(value))
    if result.status == "pass":
        return
    cause = result.failure.primary if result.failure else "unknown"
    message = visible(f"{cause}: {result.detail}")[:500]
    kind = "failure" if result.status == "fail" else "error"
    element = ElementTree.SubElement(case, kind, type=cause, message=message)
    element.text = visible("\n".join(_lines(result)))[:MAX_TEXT]


def _lines(result: AttemptResult) -> Iterator[str]:
    for each in result.failure.evidence if result.failure else ():
        yield f"{f'line {each.line}' if each.line else 'grader'}: {each.text}"
    for test in result.grade.tests if result.grade else ():
        if test.result != "passed":
            yield f"{test.result} {test.id} {test.message}"
