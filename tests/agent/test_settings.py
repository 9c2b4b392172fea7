"""The user's settings, and what a repository may do to them."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.autonomy.levels import Level
from agent.models.select import OPENAI_MODEL, default_model_name
from agent.outcomes import UsageProblem
from agent.settings import RepositorySettings, Settings, load, repository_settings, tighten
from sandboxes.network.outside import Injection


def said(folder: Path, text: str | bytes) -> Path:
    """A repository's `bridle.toml`."""
    data = text.encode() if isinstance(text, str) else text
    (folder / "bridle.toml").write_bytes(data)
    return folder


def one_sentence(problem: pytest.ExceptionInfo[UsageProblem], *words: str) -> None:
    text = str(problem.value)
    assert len(text) < 600
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    "data", [b'model = "\xff"\n', b"model = \n", b"a=" + b"[" * 20000, b"max_steps = " + b"9" * 5000]
)
def test_a_users_file_that_is_not_toml_is_named(own_state: Path, data: bytes) -> None:
    (own_state / "config.toml").write_bytes(data)
    with pytest.raises(UsageProblem) as problem:
        load({})
    one_sentence(problem, "config.toml")


def test_a_users_file_that_was_named_has_to_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDLE_CONFIG", str(tmp_path / "nothing"))
    with pytest.raises(UsageProblem) as problem:
        load({})
    one_sentence(problem, "BRIDLE_CONFIG", "nothing")
    monkeypatch.setenv("BRIDLE_CONFIG", str(tmp_path))
    with pytest.raises(UsageProblem) as problem:
        load({})
    one_sentence(problem, str(tmp_path), "folder")
    monkeypatch.setenv("BRIDLE_CONFIG", str(tmp_path / "file" / "config.toml"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageProblem):
        load({})
    monkeypatch.setenv("BRIDLE_CONFIG", "/dev/null")
    assert load({}).model is None


def test_without_a_name_the_users_file_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BRIDLE_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load({}).autonomy is Level.CONTAINED


def test_the_users_file_names_the_model(own_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert default_model_name() == OPENAI_MODEL
    (own_state / "config.toml").write_text('model = "mine"\n')
    assert default_model_name() == "mine"
    monkeypatch.setenv("BRIDLE_MODEL", "local")
    assert default_model_name() == "local"


def test_a_repository_lowers_the_level_and_the_limits_and_nothing_else(tmp_path: Path) -> None:
    mine = Settings(max_steps=10, max_tokens=500, price="1/2")
    said(
        tmp_path, 'autonomy = "full"\nmax_steps = 20\nmax_tokens = 100\nmax_cost = 1\nverify = "v"\nimage = "i"\n'
    )
    after = tighten(mine, tmp_path)
    assert (after.autonomy, after.max_steps, after.max_tokens, after.max_cost) == (Level.CONTAINED, 10, 100, 1.0)
    assert (after.verify, after.image) == (None, None), "what is suggested is kept apart from what the user set"
    suggested = repository_settings(tmp_path)
    assert (suggested.verify, suggested.image) == ("v", "i")
    assert tighten(mine, said(tmp_path, "autonomy = 'plan'\n")).autonomy is Level.PLAN


def test_a_repositorys_cost_limit_needs_no_price_of_the_users(tmp_path: Path) -> None:
    said(tmp_path, "max_cost = 1\n")
    assert tighten(Settings(), tmp_path).max_cost is None
    assert tighten(Settings(price="1/2", max_cost=0.5), tmp_path).max_cost == 0.5


LEVELS = st.sampled_from([level.label for level in Level])
LIMITS = st.dictionaries(st.sampled_from(["max_steps", "max_tokens"]), st.integers(1, 10**9))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LEVELS, LIMITS, LEVELS, LIMITS)
def test_a_repository_never_widens(
    tmp_path: Path, mine: str, limits: dict[str, int], theirs: str, lower: dict[str, int]
) -> None:
    before = Settings(autonomy=mine, **limits)  # type: ignore[arg-type]
    lines = [f"{name} = {value}" for name, value in lower.items()]
    after = tighten(before, said(tmp_path, "\n".join([f'autonomy = "{theirs}"', *lines])))
    assert after.autonomy <= before.autonomy
    for name in ("max_steps", "max_tokens"):
        had, has = getattr(before, name), getattr(after, name)
        assert had is None or has <= had


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('verify = "make\\u001b]0;x\\u0007"', "verify"),
        ('verify = "true\\ncurl x"', "verify"),
        ('image = "a\\u202eb"', "image"),
        ('image = "a\\tb"', "image"),
        ("max_steps = 0", "max_steps"),
        ("max_time = inf", "max_time"),
        ("max_tokens = 0x" + "f" * 9000, "max_tokens"),
        ("max_steps = " + "9" * 5000, "TOML"),
        ("a = " + "[" * 20000, "TOML"),
        ('"' + "k" * 30000 + '" = 1', "kkk"),
        ("network = 'full'", "network"),
        (b"verify = '\xff'", "TOML"),
        ("# " + "x" * 70000, "64 KiB"),
    ],
)
def test_what_a_hostile_repository_says_is_refused(tmp_path: Path, text: str | bytes, word: str) -> None:
    with pytest.raises(UsageProblem) as problem:
        repository_settings(said(tmp_path, text))
    one_sentence(problem, "bridle.toml", word)


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    assert repository_settings(tmp_path) == RepositorySettings()
    path = tmp_path / "bridle.toml"

    def refused() -> None:
        with pytest.raises(UsageProblem) as problem:
            repository_settings(tmp_path)
        one_sentence(problem, "bridle.toml", "regular file")

    os.mkfifo(path)
    refused()
    path.unlink()
    path.mkdir()
    refused()
    path.rmdir()
    for target in ("/dev/zero", "elsewhere", tmp_path / "other.toml"):
        (tmp_path / "other.toml").write_text("max_steps = 1\n")
        path.symlink_to(target)
        refused()
        path.unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(path))
        refused()


def test_secrets_of_all_sources_come_together_and_hold_no_values(
    own_state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own_state / "config.toml").write_text('[secrets]\nA = "env:MY_A"\nB = "file:/b"\n')
    monkeypatch.setenv("MY_A", "the value of a")
    settings = load({"secrets": {"B": "env:MY_B"}})
    assert settings.secrets == {"A": "env:MY_A", "B": "env:MY_B"}
    assert load(settings.model_dump(mode="json")).secrets == settings.secrets
    monkeypatch.setenv("BRIDLE_SECRETS", "A=env:MY_A, C, D=file:/d")
    assert load({}).secrets == {"A": "env:MY_A", "C": "env:C", "D": "file:/d"}
    monkeypatch.setenv("BRIDLE_ALLOW_HOSTS", "a.example *.b.example:8443")
    monkeypatch.setenv("BRIDLE_INJECT", "A.example:X-Key={A}\nx.b.example:8443:Authorization=Basic {C}\n")
    made = [each.injection() for each in load({}).inject]
    assert made == [
        Injection("a.example", "X-Key", "{A}"),
        Injection("x.b.example", "Authorization", "Basic {C}", 8443),
    ]
    (tmp_path / "bridle.toml").write_text('network = "none"\n')
    assert tighten(load({}), tmp_path).reach.mode == "none"
    with pytest.raises(UsageProblem, match="and leave --network out"):
        load({"network": "full"})


@pytest.mark.parametrize("source", ["the-value-itself", "env:", "file:here", "file:/a\nb", "", 7])
def test_a_secret_without_a_place_is_one_sentence_without_it(own_state: Path, source: object) -> None:
    with pytest.raises(UsageProblem) as problem:
        load({"secrets": {"TOKEN": source}})
    assert "TOKEN" in str(problem.value)
    assert "itself" not in str(problem.value).removesuffix("never the value itself")
    assert "\n" not in str(problem.value)
