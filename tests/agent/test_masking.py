"""What is shown and logged meanwhile has no values in it either, in whatever pieces it comes."""

from __future__ import annotations

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from support.saying import Saying

from agent import log
from agent.autonomy.gate import Question, Yes
from agent.autonomy.levels import Level
from agent.journal import AnyEvent, CallFinished, CallStarted, ModelReplied
from agent.masking import MaskedApprover, MaskedWatcher
from agent.models.protocol import ToolCall
from sandboxes.secrets import Secrets
from tools.protocol import Preview

VALUE = "tok_0123456789abcdef"
SECRETS = Secrets({"TOKEN": VALUE})


class Seen:
    """A watcher that keeps what it was shown."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.bytes = b""
        self.notes: list[str] = []
        self.events: list[AnyEvent] = []

    def event(self, event: AnyEvent) -> None:
        self.events.append(event)

    def text(self, piece: str) -> None:
        self.words.append(piece)

    def output(self, piece: bytes) -> None:
        self.bytes += piece

    def note(self, line: str) -> None:
        self.notes.append(line)


@settings(deadline=None)
@given(st.lists(st.integers(0, 7), max_size=30))
def test_pieces_are_shown_masked_and_nothing_is_lost_at_the_end(sizes: list[int]) -> None:
    seen = Seen()
    watch = MaskedWatcher(seen, SECRETS)
    text = f"it is {VALUE}, and the beginning of it is {VALUE[:6]}"
    rest = text
    for size in [*sizes, len(text)]:
        watch.text(rest[:size]) if rest[:size] else None
        watch.output(rest[:size].encode())
        rest = rest[size:]
    watch.event(CallFinished(call="1", tool="shell", ok=True, text=""))
    watch.event(ModelReplied(text=""))
    whole = f"it is [secret TOKEN], and the beginning of it is {VALUE[:6]}"
    assert (seen.bytes.decode(), "".join(seen.words)) == (whole, whole)
    assert len(seen.events) == 2


def test_what_an_interrupted_call_or_answer_left_does_not_come_with_the_next() -> None:
    seen = Seen()
    watch = MaskedWatcher(seen, SECRETS)
    watch.output(b"tok_01")
    watch.event(CallStarted(call="2", tool="shell", arguments="{}"))
    watch.output(b"now\n")
    watch.text("tok_01")
    watch.text("")
    watch.text("again")
    watch.note(f"about {VALUE}")
    assert (seen.bytes, seen.words, seen.notes) == (b"now\n", ["", "again"], ["about [secret TOKEN]"])


async def test_a_question_shows_no_value() -> None:
    inner = Saying(Yes())
    shown = Preview(f"$ echo {VALUE}", diff=f"+{VALUE}\n", detail=f"(in /{VALUE})")
    call = ToolCall(id="1", name="shell", arguments="{}")
    none = frozenset[object]()
    question = Question(call, "shell", {}, none, none, "", Level.ASK, shown, f"/{VALUE}")  # type: ignore[arg-type]
    assert await MaskedApprover(inner, SECRETS).ask(question) == Yes()
    [asked] = inner.asked
    assert asked.preview == Preview(
        "$ echo [secret TOKEN]", diff="+[secret TOKEN]\n", detail="(in /[secret TOKEN])"
    )
    assert asked.cwd == "/[secret TOKEN]"


def test_logs_have_no_values(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("BRIDLE_LOG", "debug")
    log.configure(SECRETS)
    try:
        structlog.get_logger("test").info(f"it is {VALUE}", value=VALUE, inner={"a": [VALUE]})
        try:
            {}[VALUE]
        except KeyError:
            structlog.get_logger("test").exception("failed")
    finally:
        structlog.reset_defaults()
    said = capsys.readouterr().err
    assert VALUE not in said
    assert said.count("[secret TOKEN]") >= 4
