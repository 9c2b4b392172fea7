"""The examples of docs/secrets.md work as they stand there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from support.project import bridle, make_project
from support.service import Script, Service, submit

from agent.settings import load

PAGE = (Path(__file__).parents[2] / "docs" / "secrets.md").read_text()
COMMANDS = [
    shlex.split(line.replace("\\\n", ""))
    for block in re.findall(r"<!-- examples: [^>]*-->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
    for line in re.findall(r"^    (bridle (?:.*\\\n)*.*)$", block, re.MULTILINE)
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder as the examples have it."""
    folder = tmp_path / "home"
    (folder / ".config/example").mkdir(parents=True)
    for name in ("token", "key"):
        (folder / ".config/example" / name).write_text("tok_0123456789abcdef\n")
    return folder


def test_there_are_examples() -> None:
    assert len(COMMANDS) == 4


@pytest.mark.docker
@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[3:])[:50])
def test_an_example_runs(
    words: list[str], home: Path, tmp_path: Path, service: Callable[[Script], Service]
) -> None:
    project = make_project(tmp_path / "project")
    (project / "issue.md").write_text("mean() is wrong")
    model = service([submit("the plan")])
    words = [word.replace("~", str(home)).replace("issue.md", str(project / "issue.md")) for word in words[1:]]
    more = ["--repo", str(project), "--model", "m", "--base-url", model.url, "-a", "plan", "--json"]
    done = bridle(*words, *more, env={"API_TOKEN": "tok_0123456789abcdef"})
    assert done.code == 0, done.err
    told = str(model.requests[0]["messages"][0]["content"])
    assert "[secret NAME]" in told or "get their Authorization header on the way" in told


def test_the_settings_are_taken(home: Path, own_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = re.search(r"<!-- settings: [^>]*-->\n+```toml\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    (own_state / "config.toml").write_text(found[1])
    monkeypatch.setenv("HOME", str(home))
    settings = load({})
    assert list(settings.secrets) == ["TOKEN", "KEY"]
    assert [(each.host, each.header, each.value) for each in settings.inject] == [
        ("api.example.org", "Authorization", "Bearer {KEY}")
    ]
