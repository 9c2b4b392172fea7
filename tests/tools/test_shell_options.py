"""Options mean what the program takes them for: in full or in short, with a value attached, apart or left out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from corpora.report import CWD

from tools.commands.table import Row, table
from tools.protocol import Effect, Effects
from tools.shell_effects import shell_effects

OF_THEIR_OWN = frozenset({"addresses", "code", "build", "find", "fd", "rest", "editor", "npx", "npm-init", "eval"})
"""Functions that do not read options as getopt does."""


def claimed(line: str) -> Effects:
    return shell_effects(line, CWD) - {Effect.READ}


def rows() -> Iterator[tuple[str, Row]]:
    """Every row, with the words that lead to it."""
    for row in table().command:
        yield row.names[0], row
        for sub in row.sub:
            yield f"{row.names[0]} {sub.names[0]}", sub


ROWS = [(words, row) for words, row in rows() if row.special not in OF_THEIR_OWN and not row.single]


@pytest.mark.parametrize(("words", "row"), ROWS, ids=[words for words, _ in ROWS])
def test_an_option_in_short_is_the_option(words: str, row: Row) -> None:
    for option in row.options:
        short = option[:-1]
        if len(option) > 5 and option.startswith("--") and row.matching(short) == [option]:
            for value in ("=../x", " ../x", ""):
                assert claimed(f"{words} {option}{value} a") <= claimed(f"{words} {short}{value} a") | {
                    Effect.WRITE
                }


@pytest.mark.parametrize(("words", "row"), ROWS, ids=[words for words, _ in ROWS])
def test_a_value_that_is_attached_counts_like_one_that_stands_apart(words: str, row: Row) -> None:
    for option in row.options:
        if len(option) == 2 and option[1].isalpha() and row.takes(option):
            assert claimed(f"{words} {option} ../x") <= claimed(f"{words} {option}../x"), option


@pytest.mark.parametrize(("words", "row"), ROWS, ids=[words for words, _ in ROWS])
def test_an_option_whose_value_may_be_left_out_takes_no_word_for_it(words: str, row: Row) -> None:
    for option in set(row.optional.split()) - {"-n"}:  # which makes `git tag` list, and `dmesg` none
        assert claimed(f"{words} a ../x") <= claimed(f"{words} {option} a ../x"), option


@pytest.mark.parametrize(
    ("line", "less"),
    [
        ("git clean -n", "git clean -n --no-dry-run"),
        ("git rm --cached a", "git rm --cached --no-cached a"),
        ("git restore --staged a", "git restore --staged --no-staged a"),
        ("git config --get user.name", "git config --get --no-get core.pager x"),
        ("git branch --list x", "git branch --list --no-list x"),
    ],
)
def test_what_takes_an_option_back_counts(line: str, less: str) -> None:
    assert claimed(less) - claimed(line)


NAMES = [
    "find src -name '*.py'",
    "grep -rl foo src",
    "rg -l foo src",
    "grep -rln foo src",
    "git grep -l foo",
    "git ls-files src",
    "git diff --name-only",
    "find src -type f | grep -v test | sort | head -5",
]


@pytest.mark.parametrize("names", NAMES)
def test_names_that_are_listed_in_the_workspace_lie_in_it(names: str) -> None:
    contained = {Effect.WRITE, Effect.RUN, Effect.HISTORY}
    assert claimed(f"{names} | xargs sed -i s/a/b/") <= contained
    assert claimed(f"{names} | xargs cat") == frozenset()
    # Blanks in a name would make words of their own, and a dash an option, so that it is not only writing.
    assert Effect.RUN in claimed(f"{names} | xargs touch")
    assert claimed("git ls-files -z | xargs -0 sed -i s/a/b/") <= contained


@pytest.mark.parametrize(
    "names",
    [
        "find .. -name '*.py'",
        "grep -rl foo ..",
        "rg -l foo /home/agent",
        "rg -L foo src",
        "rg foo src",
        "grep -rn foo src",
        "grep -rlo foo src --color=always",
        "git grep -l foo -- ../x",
        "git ls-files :/",
        "git diff --name-only --line-prefix=/home/",
        "grep -l --label=/home/agent/x foo -",
        "find . -printf '/home/agent/%p\\n'",
        "find src | sed s/^/..\\\\/..\\\\//",
        "cat names",
    ],
)
def test_names_that_may_lie_outside_are_outside(names: str) -> None:
    assert Effect.OUTSIDE in claimed(f"{names} | xargs touch")
    assert Effect.OUTSIDE in claimed(f"{names} | xargs -I{{}} cp a {{}}")
