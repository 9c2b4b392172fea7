"""What the rules say of real attempts beside what was said of them by hand; and that stories fit a screen."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from support.labelled import FOLDER, Labelled, agreement, case_of, labelled, report
from support.project import BRIDLE, bridle
from support.terminal import OnTerminal

from tasks.failures.rules import explain
from tasks.failures.stories import LINES, WIDTH, story, told
from tasks.runs.results import AttemptResult, write_result

HERE = ("/root", "/home", "/work", "/usr/local")
"""What no kept journal names: places of the machine that made it."""


@pytest.fixture(scope="module")
def attempts() -> list[Labelled]:
    return labelled()


def test_the_primary_cause_is_what_a_reader_says(attempts: list[Labelled]) -> None:
    assert len(attempts) >= 60
    assert agreement(attempts) >= 0.9, "\n".join(report())
    assert agreement([each for each in attempts if each.held_out]) >= 0.8, "\n".join(report())


def test_hardly_any_attempt_is_without_a_cause(attempts: list[Labelled]) -> None:
    known = [each for each in attempts if each.failure.primary != "unknown"]
    assert len(known) >= 0.95 * len(attempts)
    for each in attempts:
        found = each.failure
        assert len(found.evidence) == 1 + len(found.tags)
        assert all(0 <= shown.line <= len(each.case.events) for shown in found.evidence)


def test_all_kinds_of_sources_and_most_modes_are_there(attempts: list[Labelled]) -> None:
    sources = {name: sum(each.source == name for each in attempts) for name in ("embedded", "typed", "scripted")}
    assert min(sources.values()) >= 8, sources
    assert sum(each.held_out for each in attempts) >= 15
    assert len({each.primary for each in attempts}) >= 25


def test_a_story_fits_a_screen_and_says_why(attempts: list[Labelled], tmp_path: Path) -> None:
    for each in attempts:
        kept, folder = FOLDER / each.name, tmp_path / each.name
        folder.mkdir()
        if (kept / "journal.jsonl.gz").is_file():
            (folder / "journal.jsonl").write_bytes(gzip.decompress((kept / "journal.jsonl.gz").read_bytes()))
        result: AttemptResult = case_of(kept)[0].model_copy(update={"failure": each.failure})
        lines = told(story(result, folder, tmp_path))
        assert len(lines) <= LINES, each.name
        assert max(len(line.text) for line in lines) <= WIDTH, each.name
        assert f"why: {each.failure.primary}" in [line.text for line in lines]
        assert any(line.text.startswith("  bridle suite explain") for line in lines) or not each.case.events


def test_the_command_tells_it_with_colours_on_a_terminal_and_plainly_elsewhere(tmp_path: Path) -> None:
    kept, run = FOLDER / "typed-roman", tmp_path / "run"
    attempt = run / "attempts" / "roman" / "1"
    attempt.mkdir(parents=True)
    (run / "run.json").write_text("{}")
    result, case = case_of(kept)
    write_result(attempt, result.model_copy(update={"failure": explain(case)}))
    (attempt / "journal.jsonl").write_bytes(gzip.decompress((kept / "journal.jsonl.gz").read_bytes()))
    (attempt / "patch.diff").write_bytes((kept / "patch.diff").read_bytes())
    command = ["suite", "explain", str(run), "roman"]
    plain = bridle(*command).out
    assert "why: loop.edit_revert\n" in plain
    assert "roman.py (+1 -1)" in plain
    assert "\x1b" not in plain
    said = json.loads(bridle(*command, "--json").out)
    assert (said["failure"]["primary"], said["passed"], len(said["failing"])) == ("loop.edit_revert", 1, 4)
    assert "submit" not in bridle(*command, "--diff").out
    assert "roman.py" in bridle(*command, "--journal").out
    terminal = OnTerminal([str(BRIDLE), *command], {})
    terminal.expect("roman/1 --diff", seconds=120)
    assert b"\x1b[1mwhy: loop.edit_revert" in terminal.raw
    missing = bridle("suite", "explain", str(run), "roman/2")
    assert (missing.code, "has no attempt roman/2" in missing.err) == (2, True)


def test_what_is_kept_names_no_place_of_the_machine_and_is_small() -> None:
    size = 0
    for path in FOLDER.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            size += len(data)
            text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "replace")
            found = [place for place in HERE if f"{place}/" in text]
            assert not found, (path.parent.name, path.name, found)
            assert path.name != "result.json" or "failure" not in json.loads(text)
    assert size < 3 << 20
