"""A program of the user's answers: the question as JSON on its standard input, a decision as JSON on its output.

Threat model: the program is the user's and trusted; what it is fed is not, and may try to confuse it. It is
started without a shell, in `/`, with a small environment in which no key is, and gets the agent's text only as
JSON strings. Whatever is not plainly a decision denies: an error, another exit code than 0, output that is
malformed, too long or too late. Its whole process group is ended with it. Its yes counts as that of the person
who chose it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import signal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.autonomy.answers import Always, Answer, Edit, No, Pass, Quit, Yes
from agent.autonomy.gate import Question
from agent.autonomy.pending import digest
from agent.autonomy.words import in_order
from agent.outcomes import UsageProblem
from tools.text import one_line

MAX_OUTPUT = 64 << 10
"""Bytes of a decision."""
SECONDS = 300.0
"""How long a program may take where --approval-timeout says nothing."""
PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")
"""Variables that the program gets, where they are set; and BRIDLE_SESSION."""


class Decision(BaseModel):
    """What the program prints. `arguments` belong to `edit`, which needs them, and to nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    decision: Literal["yes", "no", "always", "edit", "pass", "quit"]
    reason: str = Field(default="", max_length=2000)
    arguments: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Decision:
        if (self.decision == "edit") != (self.arguments is not None):
            raise ValueError("`arguments` has to be there for an edit, and for nothing else")
        return self


class _Failed(Exception):
    """Why there is no decision, in words."""


class ProgramApprover:
    """Asks a program. Passes where the program does."""

    def __init__(self, command: str, session: str, *, timeout: float | None = None) -> None:
        """`command` is split into words, and its first is found, now. Raises UsageProblem."""
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise UsageProblem(f"--approver-cmd {command!r} cannot be split into words: {error}") from error
        found = shutil.which(os.path.expanduser(words[0])) if words else None  # noqa: PTH111 -- also a bare name
        if found is None:
            raise UsageProblem(f"--approver-cmd names {command!r}, which is no program that can be run")
        self._argv = [os.path.abspath(found), *words[1:]]  # noqa: PTH100 -- links are left as they are
        self._session = session
        self._seconds = timeout or SECONDS
        self.name = f"program {os.path.basename(found)}"  # noqa: PTH119

    async def ask(self, question: Question) -> Answer | Pass:
        """The program's decision; a no where there is none."""
        try:
            async with asyncio.timeout(self._seconds):
                output = await self._run(json.dumps(as_json(question, self._session)).encode())
            decision = Decision.model_validate_json(output)
        except TimeoutError:
            return self._no(f"it did not answer within {self._seconds:g} s")
        except ValidationError as error:
            return self._no(f"its output is no decision: {error.errors()[0]['msg']}")
        except (OSError, _Failed) as error:
            return self._no(str(error))
        return self._answer(decision)

    def _answer(self, said: Decision) -> Answer | Pass:
        match said.decision:
            case "yes":
                return Yes(by=self.name)
            case "always":
                return Always(by=self.name)
            case "no":
                return No(said.reason, by=self.name)
            case "edit":
                return Edit(said.arguments or {}, by=self.name)
            case "pass":
                return Pass(one_line(said.reason, 400))
            case "quit":
                return Quit(by=self.name)

    def _no(self, problem: str) -> No:
        return No(f"{self.name} failed ({one_line(problem, 300)})", unattended=True, by=self.name)

    async def _run(self, question: bytes) -> bytes:
        """What the program printed, having ended well. Raises _Failed, OSError."""
        process = await asyncio.create_subprocess_exec(
            *self._argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=self._environment(),
            cwd="/",
            start_new_session=True,
        )
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("both ends were asked for")
        feeding = asyncio.create_task(_feed(process.stdin, question))
        try:
            output = await _read(process.stdout)
            code = await process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            feeding.cancel()
            await asyncio.gather(feeding, process.wait(), return_exceptions=True)
        if code != 0:
            raise _Failed(f"it ended with exit code {code}")
        return output

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return {**kept, "BRIDLE_SESSION": self._session}


def as_json(question: Question, session: str) -> dict[str, Any]:
    """A question as a program reads it; docs/approvals.md describes the fields."""
    return {
        "version": 1,
        "session": session,
        "digest": digest(question),
        "tool": question.tool,
        "arguments": question.arguments,
        "effects": [str(effect) for effect in in_order(question.effects)],
        "because": [str(effect) for effect in in_order(question.because)],
        "cause": question.cause,
        "causes": [
            {"effect": str(cause.effect), "text": cause.text, "reason": cause.reason}
            for cause in question.preview.causes
        ],
        "insist": question.insist,
        "level": int(question.level),
        "title": question.preview.title,
        "detail": question.preview.detail,
        "diff": question.preview.diff,
        "cwd": question.cwd,
        "always": question.always,
        "note": question.note,
        "advice": list(question.advice),
    }


async def _feed(pipe: asyncio.StreamWriter, data: bytes) -> None:
    """Write it all and close; a program that does not read it has its own reasons."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        pipe.write(data)
        await pipe.drain()
        pipe.close()
        await pipe.wait_closed()


async def _read(pipe: asyncio.StreamReader) -> bytes:
    output = b""
    while piece := await pipe.read(MAX_OUTPUT):
        output += piece
        if len(output) > MAX_OUTPUT:
            raise _Failed(f"it printed more than {MAX_OUTPUT >> 10} KiB")
    return output
