"""docs/autonomy.md cannot drift from the table, the keys and the shapes it describes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.autonomy.approvers.terminal import HELP, KEYS
from agent.autonomy.levels import DEFAULT_LEVEL, Level, decide
from agent.autonomy.remembered import shape_of
from agent.autonomy.words import EFFECT_WORDS, names
from tools.protocol import EVERY_EFFECT, Effect

PAGE = Path(__file__).parents[3] / "docs" / "autonomy.md"


def effects_table() -> str:
    rows = [f"| `{effect}` | {EFFECT_WORDS[effect]} |" for effect in Effect]
    return "\n".join(["| effect | the call could |", "|---|---|", *rows])


def levels_table() -> str:
    rows = ["| level | name | allowed without asking | asked | refused |", "|---|---|---|---|---|"]
    for level in Level:
        said = {effect: decide(level, frozenset({effect})).verdict for effect in Effect}
        cells = [_cell(said, verdict) for verdict in ("allow", "ask", "deny")]
        default = " (default)" if level is DEFAULT_LEVEL else ""
        rows.append(f"| {int(level)} | `{level.label}`{default} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _cell(said: Mapping[Effect, str], wanted: str) -> str:
    effects = frozenset(effect for effect, verdict in said.items() if verdict == wanted)
    return "–" if not effects else "everything" if effects == EVERY_EFFECT else names(effects)


@pytest.mark.parametrize(("name", "table"), [("effects", effects_table()), ("levels", levels_table())])
def test_the_tables_are_those_of_the_code(name: str, table: str) -> None:
    found = re.search(rf"<!-- {name}: [^>]*-->\n(.*?)<!-- end -->", PAGE.read_text(), re.DOTALL)
    assert found is not None
    assert found[1].strip() == table, f"docs/autonomy.md should hold:\n\n{table}\n"


def test_every_key_of_a_question_is_listed() -> None:
    rows = dict(re.findall(r"^\| `(.)` \| (.+) \|$", PAGE.read_text(), re.MULTILINE))
    offered = [part.split()[0] for part in KEYS.split(" · ")]
    assert list(rows) == offered
    assert [line.split()[0] for line in HELP.split("\n") if re.match(r"  \S  ", line)] == [
        key for key in offered if key != "?"
    ]


def test_the_shapes_are_those_that_are_remembered() -> None:
    here, there = "/workspace", "/workspace/sub"
    command = {"command": "make"}
    assert shape_of("shell", {**command, "timeout": 5}, here).key == shape_of("shell", command, here).key
    assert shape_of("shell", command, here).key != shape_of("shell", command, there).key
    assert shape_of("shell", command, here).key != shape_of("shell", {"command": "make "}, here).key
    assert shape_of("shell", command, here).key != shape_of("shell", {**command, "stdin": "x"}, here).key
    assert shape_of("edit", {"path": "a", "old": "1"}, here).key == shape_of("edit", {"path": "a"}, there).key
    assert shape_of("edit", {"path": "a"}, here).tool != shape_of("write", {"path": "a"}, here).tool
    log, other = {"action": "log", "count": 1}, {"action": "log", "count": 2}
    assert shape_of("git", log, here).key == shape_of("git", other, there).key
    assert shape_of("git", log, here).key != shape_of("git", {"action": "commit"}, here).key
    assert shape_of("search", {"text": "a"}, here).key != shape_of("search", {"text": "b"}, here).key
