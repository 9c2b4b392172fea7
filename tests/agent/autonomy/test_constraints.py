"""What the user said becomes rules; what they did not mean as an order does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.autonomy.calls import Call
from agent.autonomy.constraints import INSTALLS, extract, placed
from agent.autonomy.judging import judge
from agent.autonomy.levels import Level
from agent.autonomy.rulebook import example_call
from agent.autonomy.rules import Example

STRICTNESS = {"allow": 0, "ask": 1, "deny": 2}
ORDERS = {
    "Fix mean(). Don't touch tests/.": "Don't touch tests/",
    "mean() is wrong; please do not modify the tests.": "do not modify the tests",
    "Fix it, but don’t install anything": "don't install anything",
    "Fix it without installing any packages.": "without installing any packages",
    "Fix the crash (no network access)": "no network access",
    "So:\n- no new dependencies\n* do not commit\n1. never push": "no new dependencies|do not commit|never push",
    "Only change src/": "Only change src/",
    "You must not edit `pyproject.toml` or setup.cfg.": "must not edit `pyproject.toml` or setup.cfg",
    "Don't change anything outside src/": "Don't change anything outside src/",
    "Leave the docs folder alone and work offline.": "Leave the docs folder alone|work offline",
    "Keep your changes in src/calc": "Keep your changes in src/calc",
    "Please, don't use the\ninternet.": "don't use the internet",
    "No changes to src/legacy/, please": "No changes to src/legacy/",
    "Never force-push!": "Never force-push",
    "do not delete any files": "do not delete any files",
    "Avoid touching *.lock files": "Avoid touching *.lock files",
}
NO_ORDERS = [
    "It crashes when there is no network",
    "It crashes with no network access, and mean() is wrong",
    "If I don't install anything, it fails",
    "Why don't you install anything?",
    "Users don't commit here",
    "don't install anything unless you have to",
    "only change the parser",
    "only change src/ and the parser",
    "Don't change mean()",
    "do not change the public API",
    "The function should not change the list in utils.py",
    "mean() should only change src/",
    "```\ndon't touch tests/\n```",
    "> don't touch tests/",
    'It prints "don\'t touch tests/"',
    "Do not touch version 3.11",
    "don't touch ../other/",
    "no commits are shown by the log view",
    "No installation is needed to reproduce this",
    "",
]


@pytest.mark.parametrize("text", ORDERS)
def test_orders_are_heard(text: str) -> None:
    assert "|".join(each.said for each in extract(text)) == ORDERS[text]


@pytest.mark.parametrize("text", NO_ORDERS)
def test_what_is_no_order_is_left_alone(text: str) -> None:
    assert extract(text) == []


def shell(command: str) -> Call:
    return example_call(Example(tool="shell", arguments={"command": command}))


def write(path: str) -> Call:
    return example_call(Example(tool="write", arguments={"path": path, "content": ""}))


@pytest.mark.parametrize(
    ("said", "refused", "left"),
    [
        ("Don't touch tests/", write("tests/a.py"), write("src/a.py")),
        ("Don't touch tests/", shell("rm -r tests/data"), shell("pytest tests/")),
        ("Do not change the tests", write("src/test_a.py"), write("src/a.py")),
        ("Don't touch the docs folder", write("web/docs/a.md"), write("docs.md")),
        ("Don't edit docs/guide.md", write("docs/guide.md"), write("web/docs/guide.md")),
        ("Only change src/", write("setup.py"), write("src/a/b.py")),
        ("Only change src/", write("web/src/a.py"), write("/tmp/x")),
        ("Only change src/ and docs/a.md", write("docs/b.md"), write("docs/a.md")),
        ("Don't change anything except calc.py", write("a.py"), write("calc.py")),
        ("Don't install anything", shell("cd x && python3 -m pip install y"), shell("pip list")),
        ("Don't install anything", shell("sudo apt-get -y install x"), shell("make install")),
        ("No new dependencies", shell("npm i x"), shell("npm test")),
        ("No network", shell("curl https://example.org"), shell("make")),
        ("Don't commit", shell("git -C . commit -m x"), shell("git diff")),
        (
            "Don't commit",
            example_call(Example(tool="git", arguments={"action": "commit", "message": "x"})),
            shell("ls"),
        ),
        ("Never push", shell("git push"), shell("git commit -m push")),
        ("Don't delete any files", shell("rm a"), write("a")),
        ("Don't touch anything", write("a"), shell("cat a")),
    ],
)
def test_the_rules_refuse_what_was_said_and_nothing_else(said: str, refused: Call, left: Call) -> None:
    rules = placed(extract(said))
    assert rules
    found = judge(Level.FULL, refused, rules)
    assert found.verdict == "deny"
    assert f"you said: {said}" in found.cause
    assert judge(Level.FULL, left, rules).verdict == "allow"


def test_everything_that_installs_is_a_shape() -> None:
    assert len(INSTALLS) == len(set(INSTALLS))


VOCABULARY = (
    "don't do not never please only no without and , . ; : change touch installing install anything src/ tests/ "
    "the network access commit push outside files `a.py` folder offline leave alone keep \n - * > ``` ' ( ) if"
)
WORDS = st.lists(st.sampled_from(VOCABULARY.split(" ")), max_size=30).map(" ".join)
CALLS = st.sampled_from(
    [
        shell("pip install x"),
        shell("git push; ls"),
        shell("rm -rf ."),
        shell("ls"),
        write("src/a.py"),
        write("tests/a"),
    ]
)


@given(WORDS | st.text(max_size=200), CALLS, st.sampled_from(Level))
@settings(max_examples=300, deadline=None)
def test_what_is_heard_never_allows_anything(text: str, made: Call, level: Level) -> None:
    rules: Any = placed(extract(text))
    assert {each.kind for each in rules} <= {"deny"}
    assert STRICTNESS[judge(level, made, rules).verdict] >= STRICTNESS[judge(level, made).verdict]


def test_a_hostile_text_takes_no_time() -> None:
    for text in (
        "no " * 30_000,
        "don't touch a/" * 5_000,
        "without installing " * 4_000,
        "only change " + "a/" * 30_000,
    ):
        extract(text)
