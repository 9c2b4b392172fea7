"""The table is the design's, monotonic, and fails closed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.autonomy.levels import ALLOWED, DEFAULT_LEVEL, Level, decide, parse_level
from agent.autonomy.words import EFFECT_WORDS, cause, explain
from tools.protocol import EVERY_EFFECT, Effect

STRICTNESS = {"allow": 0, "ask": 1, "deny": 2}
LEVELS = st.sampled_from(Level)
EFFECTS = st.frozensets(st.sampled_from(Effect))

# level: (allowed, asked, refused), one letter an effect (see LETTERS)
TABLE = {
    Level.PLAN: ("r", "", "wxdhno!s"),
    Level.ASK: ("r", "wxdhno!s", ""),
    Level.EDIT: ("rw", "xdhno!s", ""),
    Level.CONTAINED: ("rwxh", "dno!s", ""),
    Level.TRUSTED: ("rwxhd", "no!s", ""),
    Level.FULL: ("rwxhdno!s", "", ""),
}
LETTERS = {
    "r": Effect.READ,
    "w": Effect.WRITE,
    "x": Effect.RUN,
    "d": Effect.DESTROY,
    "h": Effect.HISTORY,
    "n": Effect.NETWORK,
    "o": Effect.OUTSIDE,
    "!": Effect.DELIVER,
    "s": Effect.SECRET,
}


@pytest.mark.parametrize("level", Level)
def test_every_cell_of_the_table(level: Level) -> None:
    said = {LETTERS[letter]: decide(level, frozenset({LETTERS[letter]})).verdict for letter in "rwxdhno!s"}
    wanted = dict(zip(("allow", "ask", "deny"), TABLE[level], strict=True))
    assert said == {LETTERS[letter]: verdict for verdict, letters in wanted.items() for letter in letters}


@given(EFFECTS, LEVELS, LEVELS)
def test_a_higher_level_is_never_stricter(effects: frozenset[Effect], one: Level, other: Level) -> None:
    lower, higher = sorted((one, other))
    assert STRICTNESS[decide(higher, effects).verdict] <= STRICTNESS[decide(lower, effects).verdict]


@given(EFFECTS.filter(bool), EFFECTS, LEVELS)
def test_more_effects_are_never_judged_more_mildly(
    effects: frozenset[Effect], more: frozenset[Effect], level: Level
) -> None:
    assert STRICTNESS[decide(level, effects | more).verdict] >= STRICTNESS[decide(level, effects).verdict]


@given(EFFECTS.filter(bool), LEVELS)
def test_a_set_is_judged_as_its_strictest_member(effects: frozenset[Effect], level: Level) -> None:
    alone = {effect: decide(level, frozenset({effect})).verdict for effect in effects}
    verdict, because = decide(level, effects)
    assert verdict == max(alone.values(), key=STRICTNESS.__getitem__)
    assert because == {effect for effect, said in alone.items() if said == verdict}


@pytest.mark.parametrize("level", Level)
def test_claiming_no_effect_counts_as_claiming_all(level: Level) -> None:
    assert decide(level, frozenset()).verdict == decide(level, EVERY_EFFECT).verdict


def test_the_default_asks_before_what_leaves_the_sandbox_and_not_before_work_in_it() -> None:
    assert DEFAULT_LEVEL is Level.CONTAINED
    assert decide(DEFAULT_LEVEL, frozenset({Effect.RUN, Effect.WRITE})).verdict == "allow"
    assert decide(DEFAULT_LEVEL, frozenset({Effect.DELIVER})).verdict == "ask"


@pytest.mark.parametrize("level", Level)
def test_levels_are_named_and_numbered(level: Level) -> None:
    assert parse_level(str(int(level))) is parse_level(f" {level.label.upper()} ") is level


@pytest.mark.parametrize("text", ["", "6", "-1", "yolo", "3 contained"])
def test_no_such_level_is_said_with_the_choices(text: str) -> None:
    with pytest.raises(ValueError, match="choose one of 0 plan, 1 ask, 2 edit"):
        parse_level(text)


@given(EFFECTS.filter(bool), LEVELS)
def test_words_name_every_effect_that_stopped_a_call(effects: frozenset[Effect], level: Level) -> None:
    verdict, because = decide(level, effects)
    if verdict == "allow":
        return
    for text in (cause(level, because), explain(level, effects)):
        assert all(EFFECT_WORDS[effect] in text for effect in because)
        assert level.label in text.lower()
    free = next(each for each in Level if effects <= ALLOWED[each])
    assert f"{int(free)} {free.label}" in explain(level, effects)
