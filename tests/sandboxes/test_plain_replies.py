"""What the scripts of a sandbox without Python say of themselves: any bytes mean something harmless."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sandboxes.docker.plain_replies import MAX_CONTROL, NOT_TOLD, Control
from sandboxes.docker.plain_scripts import file_error

WORDS = st.sampled_from([b"pid", b"exit", b"cwd", b"spill", b"", b"x"])
VALUES = st.binary(max_size=8) | st.integers(-9, 300).map(lambda n: b"%d" % n) | st.just("²".encode())
LINES = st.builds(lambda word, values: b" ".join([word, *values]), WORDS, st.lists(VALUES, max_size=5))
SAID = st.lists(st.binary(max_size=30) | LINES.map(lambda line: line + b"\n"), max_size=30)


def control(*pieces: bytes) -> Control:
    made = Control()
    for piece in pieces:
        made.add(piece)
    return made


@given(SAID)
@example(["exit ² 0 0\n".encode()])
@example([b"exit 0 " + b"9" * 5000 + b" 0\n"])
@example([b"pid " + b"9" * 5000 + b"\n"])
@example([b"exit\n", b"exit \n", b"pid\n"])
@example(["exit ٣ 0 0\n".encode()])
@example([b"x" * 10 * MAX_CONTROL] * 3)
def test_any_bytes_mean_something(pieces: list[bytes]) -> None:
    made = control(*pieces)
    code, out_of_memory = made.end()
    assert 0 <= code <= 255
    assert code or not out_of_memory
    assert 0 <= made.script_end() <= 255
    assert 0 <= made.root() < 10**18
    assert len(made.said) <= MAX_CONTROL


@given(st.integers(0, 255), st.integers(0, 10**6), st.integers(0, 10**6), st.binary(max_size=50))
def test_a_commands_end_comes_through(code: int, before: int, after: int, later: bytes) -> None:
    made = control(b"spill 1\npid 17\nexit %d %d %d\n" % (code, before, after), later)
    assert made.end() == (code, bool(code) and after > before)
    assert (made.root(), made.values("spill")) == (17, ["1"])


@pytest.mark.parametrize(
    "said", [b"", b"exit 0 0 0", b"exit 0\n", b"exit 0 0 0 0\n", b"exit -1 0 0\n", b"exit x 0 0\n"]
)
def test_no_whole_line_no_end(said: bytes) -> None:
    assert control(said).end() == (NOT_TOLD, False)


def test_a_name_in_a_complaint_does_not_end_a_script() -> None:
    """Programs print names as they are, line breaks and all; a script's own last word stands after them."""
    assert control(b"head: a\nexit 0\n: No such file or directory\n", b"\nexit 1\n").script_end() == 1
    assert control(b"nothing\n").script_end() == 1


@given(st.integers(0, 255), st.text(max_size=600))
def test_any_complaint_is_a_file_error_with_a_short_text(code: int, said: str) -> None:
    error = file_error("x", code, said)
    assert len(str(error)) < 400
