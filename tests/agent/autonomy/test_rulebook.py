"""Rules out of files: their examples, their order, and what counts of a file that nobody trusts yet."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agent.autonomy import trust
from agent.autonomy.judging import judge
from agent.autonomy.levels import Level
from agent.autonomy.rulebook import Rulebook, example_call, load_rules
from agent.autonomy.rules import KINDS, Example
from agent.outcomes import UsageProblem
from agent.settings import load, repository_settings, tighten


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's file; the state folder beside it."""
    path = tmp_path / "config.toml"
    path.write_text("")
    monkeypatch.setenv("BRIDLE_CONFIG", str(path))
    monkeypatch.setenv("BRIDLE_STATE_DIR", str(tmp_path / "state"))
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "repository"
    path.mkdir()
    return path


def verdict(book: Rulebook, command: str, level: int = 3) -> str:
    return judge(
        Level(level), example_call(Example(tool="shell", arguments={"command": command})), book.rules
    ).verdict


def test_rules_stand_beside_settings_in_both_files(home: Path, root: Path) -> None:
    home.write_text('autonomy = "edit"\n[[allow]]\ncommands = "pytest *"\n')
    (root / "bridle.toml").write_text('verify = "make test"\n[[deny]]\ncommands = "git push *"\n')
    settings = tighten(load({}), root)
    assert settings.autonomy is Level.EDIT
    assert repository_settings(root).verify == "make test"
    assert "allow" not in settings.model_dump()
    book = load_rules(root)
    assert [placed.label for placed in book.rules] == [f"allow rule 1 of {home}", "deny rule 1 of bridle.toml"]
    assert (verdict(book, "pytest", 2), verdict(book, "git push", 5)) == ("allow", "deny")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '[[deny]]\ncommands = "git push *"\nmatch = "git pull"',
            "deny rule 1 of {file}: match example 1, 'git pull', does not match",
        ),
        ('[[deny]]\ncommands = "git push *"\nmatch = ["git push", "$X push"]', "example 2, '$X push', may match"),
        (
            '[[ask]]\nname = "n"\ncommands = "git *"\nnot_match = "sudo git x"',
            "ask rule 1 (n) of {file}: not_match example 1",
        ),
        ('[[allow]]\ncommands = "ls *"\nmatch = "ls; make"', "allow rule 1 of {file}: match example 1"),
        (
            '[[deny]]\ntool = "write"\nmatch = { tool = "write", arguments = { path = "a" } }',
            "is no call: content",
        ),
        ('[[deny]]\ntool = "x"\nmatch = { tool = "x" }', "there is no tool 'x'"),
        ('[[deny]]\ncommands = "a"\n[[deny]]\ncommand = "b"', "{file}: deny rule 2 is wrong: command: Extra"),
        ("deny = 3", "{file}: deny is a list of rules"),
        ('[[Deny]]\ncommands = "a"', "{file}: write [[deny]] in small letters"),
        ("deny = ", "{file} is not TOML"),
    ],
)
def test_a_wrong_rule_or_example_is_told(home: Path, root: Path, text: str, words: str) -> None:
    home.write_text(text)
    with pytest.raises(UsageProblem) as caught:
        load_rules(root)
    assert words.format(file=home) in str(caught.value)
    home.write_text("")
    (root / "bridle.toml").write_text(text)
    with pytest.raises(UsageProblem) as caught:
        load_rules(root)
    assert words.format(file="bridle.toml") in str(caught.value)


def test_a_repository_widens_nothing_until_its_very_file_is_trusted(home: Path, root: Path) -> None:
    file = root / "bridle.toml"
    file.write_text('[[allow]]\ncommands = "curl *"\n[[ask]]\ncommands = "make *"\n')
    book = load_rules(root)
    assert (verdict(book, "curl https://example.org"), verdict(book, "make")) == ("ask", "ask")
    assert book.notes == ("bridle.toml of the repository has an allow rule, ignored until you say `bridle trust`",)
    trust.trust(root, file.read_bytes())
    book = load_rules(root)
    assert (verdict(book, "curl https://example.org"), book.notes) == ("allow", ())
    file.write_text(file.read_text() + "# a change\n")
    assert verdict(load_rules(root), "curl https://example.org") == "ask"
    assert not trust.is_trusted(root.parent, file.read_bytes())
    trust.trust(root, file.read_bytes())
    assert trust.revoke(root)
    assert not trust.revoke(root)
    assert verdict(load_rules(root), "curl https://example.org") == "ask"


def test_the_record_of_trust_is_the_owners_and_a_damaged_one_trusts_nothing(home: Path, root: Path) -> None:
    (root / "bridle.toml").write_text("max_steps = 3\n")
    trust.trust(root, b"max_steps = 3\n")
    record = home.parent / "state" / "trusted.json"
    assert record.stat().st_mode & 0o077 == 0
    assert list(json.loads(record.read_text())) == [str(root)]
    record.write_text("{")
    with pytest.raises(UsageProblem, match=r"trusted\.json cannot be read"):
        load_rules(root)


def test_an_empty_file_is_never_trusted(home: Path, root: Path) -> None:
    trust.trust(root, b"")
    assert not trust.is_trusted(root, b"")


LINES = [
    "git push",
    "pip install x",
    "ls",
    "rm -rf src",
    "curl https://example.org",
    "make; git push",
    "$X",
    "echo > a",
]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(KINDS),
            st.dictionaries(
                st.sampled_from(["commands", "effects", "paths", "tool"]),
                st.sampled_from(["*", "/*", "git *", "network", "run", "write", "shell"]),
                min_size=1,
            ),
        ),
        max_size=5,
    ),
    st.sampled_from(LINES),
    st.sampled_from(Level),
)
@settings(max_examples=200, deadline=None)
def test_whatever_a_file_says_it_widens_nothing_untrusted(
    rules: list[tuple[str, dict[str, str]]], line: str, level: Level
) -> None:
    blocks = []
    for kind, conditions in rules:
        lines = [f"{name} = {json.dumps(value)}" for name, value in conditions.items()]
        blocks.append("\n".join([f"[[{kind}]]", *lines]))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        config = Path(folder, "config.toml")
        config.write_text("")
        patched.setenv("BRIDLE_CONFIG", str(config))
        patched.setenv("BRIDLE_STATE_DIR", folder)
        Path(folder, "bridle.toml").write_text("\n\n".join(blocks))
        try:
            book = load_rules(Path(folder))
        except UsageProblem:
            assume(False)
    made = example_call(Example(tool="shell", arguments={"command": line}))
    order = ["allow", "ask", "deny"]
    assert order.index(judge(level, made, book.rules).verdict) >= order.index(judge(level, made).verdict)
