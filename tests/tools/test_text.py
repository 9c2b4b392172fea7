"""Text for models and terminals: no escapes, bounded, honest about what is missing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.diffs import unified
from tools.text import clip, one_line, terminal_text, visible


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b(B\x1b[?25lx", "x"),
        ("\x9b31mred", "red"),
        ("10%\r50%\r100%\nnext", "100%\nnext"),
        ("10%\r50%\r", "50%"),
        ("dos\r\nlines\r\n", "dos\nlines\n"),
        ("a\0b\x07", "a\u2400b\u2407"),
        ("tab\there", "tab\there"),
        ("\x1b]0;never ends\nand more", "0;never ends\nand more"),
        ("if x: \u202e# hidden", "if x: <U+202E># hidden"),
    ],
)
def test_what_a_command_prints_is_shown_as_on_paper(raw: str, shown: str) -> None:
    assert terminal_text(raw) == shown


@given(st.text(max_size=200))
def test_no_control_character_ever_gets_through(raw: str) -> None:
    for text in (visible(raw), terminal_text(raw)):
        assert not any((ord(char) < 32 and char not in "\n\t") or 127 <= ord(char) < 160 for char in text)
        text.encode()
    assert "\n" not in one_line(raw)


@given(st.text(max_size=3000), st.integers(2, 1000))
def test_clipping_keeps_both_ends_and_counts_the_rest(text: str, limit: int) -> None:
    clipped = clip(text, limit)
    if len(text) <= limit:
        assert clipped == text
    else:
        half = limit // 2
        assert clipped.startswith(text[:half])
        assert clipped.endswith(text[-half:])
        assert f"{len(text) - 2 * half} characters left out …]" in clipped


def test_a_diff_is_the_one_git_would_show(tmp_path_factory: pytest.TempPathFactory) -> None:
    old = "".join(f"line {number}\n" for number in range(1, 101))
    new = old.replace("line 50\n", "line fifty\n").replace("line 60\n", "").removesuffix("\n")
    folder = tmp_path_factory.mktemp("diff")
    (folder / "f").write_text(old)
    import subprocess

    (folder / "g").write_text(unified("/workspace/f", old, new))
    subprocess.run(["git", "apply", "--unsafe-paths", f"--directory={folder}", "g"], cwd=folder, check=True)
    assert (folder / "f").read_text() == new


LINES = st.lists(st.sampled_from(["a", "b", "c", "", "long line"]), max_size=30)


@given(LINES, LINES, st.booleans(), st.booleans())
def test_a_diff_says_on_which_lines_it_is(one: list[str], other: list[str], ends: bool, ended: bool) -> None:
    """Applied by hand, it turns the old text into the new one."""
    old = "\n".join(one) + ("\n" if ends else "")
    new = "\n".join(other) + ("\n" if ended else "")
    assert _apply(old, unified("/workspace/f", old, new)) == new


def _apply(old: str, diff: str) -> str:
    import re

    before = re.findall(r"[^\n]*\n|[^\n]+", old)
    after: list[str] = []
    at = 0
    rows = re.findall(r"[^\n]*\n|[^\n]+", diff)[2:]
    for number, row in enumerate(rows):
        bare = number + 1 < len(rows) and rows[number + 1].startswith("\\")
        text = row[1:].removesuffix("\n") if bare else row[1:]
        if row.startswith("@@"):
            start, count = re.match(r"@@ -(\d+)(?:,(\d+))?", row).groups()  # type: ignore[union-attr]
            place = int(start) - (0 if count == "0" else 1)
            after += before[at:place]
            at = place
        elif row[0] in " -":
            assert before[at] == text
            after += [text] if row[0] == " " else []
            at += 1
        elif row[0] == "+":
            after.append(text)
    return "".join(after + before[at:])
