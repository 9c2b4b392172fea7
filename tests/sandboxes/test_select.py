"""The choice between an engine and bubblewrap."""

from __future__ import annotations

import pytest

from sandboxes.select import WEAKER, choose, make_backend, other_backends

NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock", "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}


@pytest.mark.docker
@pytest.mark.usefixtures("engine")
def test_an_engine_that_answers_comes_first() -> None:
    chosen = choose("auto")
    assert (chosen.backend.name, chosen.note) == ("docker", "")


@pytest.mark.bubblewrap
@pytest.mark.usefixtures("bubblewrap")
def test_without_one_it_is_bubblewrap_which_is_said() -> None:
    chosen = choose("auto", environ=NO_ENGINE)
    assert chosen.backend.name == "bubblewrap"
    assert "no Docker engine answers" in chosen.note
    assert WEAKER in chosen.note


def test_without_both_it_is_the_engine_that_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandboxes.bubblewrap.backend.SYSTEM_PATH", ())
    monkeypatch.setenv("PATH", "/nonexistent")
    chosen = choose("auto", environ=NO_ENGINE)
    assert chosen.backend.name == "docker"
    assert "bubblewrap" in chosen.note
    assert "apt install" in chosen.note


def test_what_was_named_is_not_replaced() -> None:
    assert choose("docker", environ=NO_ENGINE).backend.name == "docker"
    assert choose("bubblewrap").backend.name == "bubblewrap"
    assert choose("auto", runtime="runsc", environ=NO_ENGINE).backend.name == "docker"


def test_the_other_one_s_leftovers_are_looked_for() -> None:
    docker, bubblewrap = make_backend("docker"), make_backend("bubblewrap")
    assert [each.name for each in other_backends(docker, asked_engine=True)] == ["bubblewrap"]
    assert [each.name for each in other_backends(bubblewrap, asked_engine=False)] == ["docker"]
    assert other_backends(bubblewrap, asked_engine=True) == []
