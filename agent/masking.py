"""What people see of a session while it runs, without the values of its secrets.

The journal masks what is recorded, and with it what the model is told; this masks what goes past the journal: the
pieces that come while a command or a model is still at work, notes, and questions.
"""

from __future__ import annotations

from dataclasses import replace

from agent.autonomy.answers import Answer
from agent.autonomy.gate import Approver, Question
from agent.journal import AnyEvent, CallFinished, CallStarted, CheckRun, ModelReplied
from agent.work import Watcher
from sandboxes.secrets import Secrets
from tools.protocol import Preview


class MaskedWatcher:
    """A watcher that is shown no values, in whatever pieces they come."""

    def __init__(self, watch: Watcher, secrets: Secrets) -> None:
        self._watch, self._secrets = watch, secrets
        self._output, self._text = secrets.stream(), secrets.stream()

    def event(self, event: AnyEvent) -> None:
        """An event as it was journalled, after what was kept back of the pieces before it."""
        if isinstance(event, CallStarted):
            self._output.end()  # of a call that was interrupted
        elif isinstance(event, CallFinished | CheckRun) and (rest := self._output.end()):
            self._watch.output(rest)
        elif isinstance(event, ModelReplied) and (rest := self._text.end()):
            self._watch.text(rest.decode("utf-8", "replace"))
        self._watch.event(event)

    def text(self, piece: str) -> None:
        """A piece of the model's text."""
        if not self._secrets:
            self._watch.text(piece)
        elif not piece:
            self._text.end()
            self._watch.text("")
        elif ready := self._text.feed(piece.encode("utf-8", "surrogatepass")):
            self._watch.text(ready.decode("utf-8", "replace"))

    def output(self, piece: bytes) -> None:
        """A piece of a command's output."""
        if ready := self._output.feed(piece):
            self._watch.output(ready)

    def note(self, line: str) -> None:
        """A thing to know."""
        self._watch.note(self._secrets.mask(line))


class MaskedApprover:
    """Asks without showing values: what is decided is which secret is used for what, never what it is."""

    def __init__(self, approver: Approver, secrets: Secrets) -> None:
        self._approver, self._secrets = approver, secrets

    @property
    def name(self) -> str:
        """Who answers."""
        return self._approver.name

    async def ask(self, question: Question) -> Answer:
        """Ask with a masked preview."""
        shown = question.preview
        mask = self._secrets.mask
        preview = Preview(
            mask(shown.title),
            diff=mask(shown.diff),
            detail=mask(shown.detail),
            causes=tuple(replace(each, text=mask(each.text), reason=mask(each.reason)) for each in shown.causes),
            # What is made of the file's own text is written: with a value masked, that would be another text.
            before=shown.before if shown.before is None or mask(shown.before) == shown.before else None,
        )
        return await self._approver.ask(replace(question, preview=preview, cwd=mask(question.cwd)))
