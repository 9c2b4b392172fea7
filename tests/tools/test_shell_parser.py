"""What would crash the native parser, or keep it for long, is not given to it, and counts as anything."""

from __future__ import annotations

import resource
import subprocess
import sys
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.autonomy.commands.inner import every_command
from agent.autonomy.commands.line import ANYTHING
from tools.commands.grammar import UnreadableError, tree
from tools.protocol import EVERY_EFFECT
from tools.shell_effects import shell_effects

# Each of them made the parser read outside a table, some of them every time.
CRASHING = [
    *("{" + chr(code) for code in range(0x20000, 0x110000, 0x1000)),
    "echo {\U000f17eb",
    "{12\U000bdda9",
    "{1..\U000bdda9",
    "{1..23\U000bdda9}",
    "x; \n {\U000f17eb\U0001d23e(",
    "bash -c '{\U000f17eb'",
    "{" + "\u0100" + "}",
]

LONG = ["a|", "a=(", "<<E\n", "${a#", "<<<", "[[ a =~ ("]


def _nothing_is_taken_for_certain(text: str) -> None:
    assert shell_effects(text, "/workspace") == EVERY_EFFECT
    assert ANYTHING in every_command(text).commands


def test_what_crashed_the_parser_is_not_given_to_it() -> None:
    # In a process of its own: a crash is to fail this test, and nothing else.
    script = (
        "import sys; from tools.shell_effects import shell_effects; from tools.protocol import EVERY_EFFECT\n"
        "from agent.autonomy.commands.inner import every_command\n"
        "for line in sys.stdin.buffer.read().decode().split('\\0'):\n"
        "    assert shell_effects(line, '/w') == EVERY_EFFECT and not every_command(line).whole, ascii(line)\n"
    )
    texts = "\0".join(CRASHING).encode()
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", script],
        input=texts,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-1000:]


@pytest.mark.parametrize(
    "text", ["echo '{é}'", "echo {a,b}", "echo 日本 {1..3}", 'echo "{\\"名\\": 1}"', "echo ${x}é"]
)
def test_what_does_not_crash_it_is_read(text: str) -> None:
    assert not tree(text)[0].has_error


@pytest.mark.parametrize(
    "blank", ["\r", "\v", "\f", "\x1c", "\x85", "\u1680", "\u2003", "\u2028", "\u3000", "\0", "\x7f"]
)
@pytest.mark.parametrize("line", ["echo a{}# ; git push", "x={} git push", "echo{}'; git push #'"])
def test_a_blank_that_is_none_to_bash_hides_no_command(line: str, blank: str) -> None:
    _nothing_is_taken_for_certain(line.format(blank))


@pytest.mark.parametrize("piece", LONG)
def test_a_text_that_would_take_the_parser_long_is_given_up(piece: str) -> None:
    text = piece * (64_000 // len(piece))
    begun, before = time.thread_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _nothing_is_taken_for_certain(text)
    assert time.thread_time() - begun < 6, "unbounded, most of these take 10 to 100 seconds"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 700 << 10, "unbounded: 11 GB"


def test_long_texts_in_a_text_do_not_add_up() -> None:
    begun = time.thread_time()
    _nothing_is_taken_for_certain(f"{'watch ' * 8} {'a=(' * 2500!r} " * 3)
    assert time.thread_time() - begun < 6, "unbounded, it takes minutes"


def test_a_long_script_is_read() -> None:
    lines = "git add -A && git commit -m 'x y' || echo \"$foo\" | sed -e s/a/b/ > out\n" * 850
    assert not tree(lines)[0].has_error
    document = "cat > table.md <<'EOF'\n" + "| a | b | c |\n" * 450 + "EOF\n"
    assert not tree(document)[0].has_error


def test_a_text_is_read_the_same_whatever_was_read_before() -> None:
    text = "cat <<A <<B\nx\nA\ny\nB\ngit push\n"
    alone = str(tree(text)[0])
    for before in ["cat <<'A", "<<A <<B <<C", "cat <<E\n$(", "<<E " * 200]:
        tree(before)
        assert str(tree(text)[0]) == alone


_PIECES = [*"git push;|&(){}$'\"`\\<>\n*.[]!#=~0123é日", "<<E\n", "\nE\n", "$((", "${", "[[ ", " ]]", "case x in "]


@given(st.lists(st.sampled_from(_PIECES) | st.characters(exclude_categories=["Cs"]), max_size=60).map("".join))
@example("{\U000f17eb")
@settings(max_examples=150, deadline=None)
def test_no_text_ends_in_anything_but_a_tree_or_a_refusal(text: str) -> None:
    try:
        root, source = tree(text)
    except UnreadableError:
        _nothing_is_taken_for_certain(text)
        return
    assert source.decode() == text
    assert root.end_byte <= len(source)
