"""The person at the terminal.

Threat model: the agent wants a yes. It may print what looks like an answer, hide what a call does, flood the
screen, or hope for a keystroke meant for something else. So: what is shown is made harmless first (`screen.py`);
what was typed before the question stood on the screen is thrown away; a lone Enter answers nothing; whatever goes
wrong (end of input, interrupt) never ends in a yes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import termios
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, NoReturn, TextIO

from agent.autonomy.answers import Answer, Edit, No, Quit, SetLevel, Yes
from agent.autonomy.approvers.choosing import choose_always, walk_hunks
from agent.autonomy.approvers.screen import coloured, everything, make_console, show
from agent.autonomy.levels import Level, parse_level
from agent.autonomy.questions import Question
from agent.autonomy.visible import visible
from agent.autonomy.words import explain, level_words

if TYPE_CHECKING:
    from rich.console import Console

Pause = Callable[[], AbstractAsyncContextManager[None]]

KEYS = "y yes · n no · a always · e edit · h hunks · l level · w why · d all · q quit · ? help"
HELP = """\
  y  yes: run it, this once
  n  no: you are asked for a reason, which the model reads
  a  yes, and from now on without asking: {always}, or something wider; you choose for how long
  e  edit the call, then yes
  h  go through the changed places of an edit and accept or reject each; only those are made
  l  move the autonomy level; the call is then judged again
  w  why this is asked
  d  show the whole call and diff, page by page
  q  end the session; the work is kept
  Each followed by Enter. Enter alone answers nothing. Ctrl-C interrupts the session."""


class TerminalApprover:
    """Asks on a terminal: shows on `stream`, reads from standard input. One question at a time."""

    name = "user"

    def __init__(self, stream: TextIO | None = None, pause: Pause = contextlib.nullcontext) -> None:
        """`stream` is a terminal; None means standard error. `pause` keeps others from reading meanwhile."""
        self._pause = pause
        self._stream = stream or sys.stderr
        self._busy = asyncio.Lock()

    async def ask(self, question: Question) -> Answer:
        """Ask until there is an answer. End of input, and a terminal that went away, quit.

        Ctrl-C is raised as SIGINT again, so that whoever handles it outside of questions handles it here too;
        when that does not cancel the caller within a second, KeyboardInterrupt is raised.
        """
        async with self._busy, self._pause():
            console = make_console(self._stream)
            try:
                show(question, console)
                _forget_typed_ahead()
                return await self._answer(question, console)
            except EOFError:
                with contextlib.suppress(OSError):
                    console.print("End of input: the session ends here, and the call is not run.")
                return Quit()
            except OSError:  # the terminal is gone, and the person with it
                return Quit()
            except KeyboardInterrupt:
                await _interrupt()

    async def _answer(self, question: Question, console: Console) -> Answer:
        console.print(KEYS, style="dim")
        while True:
            match (await self.line("Allow this? ")).strip().lower():
                case "y" | "yes":
                    return Yes()
                case "n" | "no":
                    return No((await self.line("Why not (for the model; may be empty)? ")).strip())
                case "a" | "always" if question.always:
                    if (always := await choose_always(question, console, self.line)) is not None:
                        return always
                case "a" | "always":
                    console.print("This is asked every time: y for this once.")
                case "e" | "edit":
                    if (edit := await self._edit(question, console)) is not None:
                        return edit
                case "h" | "hunks":
                    if (walked := await walk_hunks(question, console, self.line)) is not None:
                        return walked
                case "l" | "level":
                    if (level := await self._level(question, console)) is not None:
                        return SetLevel(level)
                case "w" | "why" if question.by != "table":
                    console.print(f"{visible(question.cause)}. This is asked each time, below level 5 or at it.")
                case "w" | "why":
                    console.print(explain(question.level, question.effects, listed=question.listed))
                case "d" | "all":
                    await self._page(question, console)
                case "q" | "quit":
                    return Quit()
                case "?" | "help":
                    console.print(HELP.format(always=visible(question.always) or "nothing, here"))
                case "":
                    console.print("Enter alone answers nothing: y allows it, n refuses it, ? lists the rest.")
                case other:
                    console.print(f"No such answer: {visible(other)[:40]}. {KEYS}")

    async def _edit(self, question: Question, console: Console) -> Edit | None:
        """The call as the person wants it; None to go back to the question."""
        command = question.arguments.get("command")
        if question.tool == "shell" and isinstance(command, str) and visible(command) == command:
            edited = await self._editor("The command", command, console)
            return None if edited is None else Edit({**question.arguments, "command": edited})
        text = json.dumps(question.arguments, indent=2, ensure_ascii=False)
        if visible(text) != text:
            text = json.dumps(question.arguments, indent=2)
        before = text
        while True:
            edited = await self._editor("The arguments, as JSON", text, console, unchanged=before)
            if edited is None:
                return None
            try:
                arguments = json.loads(edited)
            except (ValueError, RecursionError) as error:
                console.print(f"This is not JSON: {visible(str(error))}.")
            else:
                if isinstance(arguments, dict):
                    return Edit(arguments)
                console.print("The arguments have to be a JSON object: {...}.")
            text = edited

    async def _editor(self, what: str, text: str, console: Console, unchanged: str | None = None) -> str | None:
        many = "\n" in text
        keys = "Esc, then Enter, when done" if many else "Enter when done"
        console.print(f"{what} ({keys}; unchanged or empty goes back):")
        edited = await self.line("> ", default=text, multiline=many)
        if not edited.strip() or edited == (text if unchanged is None else unchanged):
            console.print("Nothing was changed; the question stands.")
            return None
        return edited

    async def _level(self, question: Question, console: Console) -> Level | None:
        choices = ", ".join(f"{int(level)} {level.label}" for level in Level)
        console.print(f"Now {level_words(question.level)}. Levels: {choices}.")
        while typed := (await self.line("New level (Enter alone goes back): ")).strip():
            try:
                return parse_level(typed)
            except ValueError as error:
                console.print(visible(str(error)))
        return None

    async def _page(self, question: Question, console: Console) -> None:
        """The whole call and its diff, a screen at a time."""
        lines = coloured(everything(question)).wrap(console, console.width, overflow="fold", tab_size=8)
        step = max(console.height - 2, 5)
        for start in range(0, len(lines), step):
            for line in lines[start : start + step]:
                console.print(line)
            if start + step < len(lines):
                more = len(lines) - start - step
                if (await self.line(f"-- {more} more lines: Enter goes on, q goes back -- ")).strip():
                    return

    async def line(self, message: str, *, default: str = "", multiline: bool = False) -> str:
        """One line, or with `multiline` several, from the person. Raises EOFError, KeyboardInterrupt."""
        from prompt_toolkit import PromptSession
        from prompt_toolkit.input import create_input
        from prompt_toolkit.output import create_output
        from prompt_toolkit.output.vt100 import Vt100_Output

        output = create_output(stdout=self._stream)
        if isinstance(output, Vt100_Output):
            # Without menus the cursor's position is not needed; not asking keeps replies out of the input.
            output.enable_cpr = False
        session: PromptSession[str] = PromptSession(
            input=create_input(sys.stdin), output=output, reserve_space_for_menu=0, multiline=multiline
        )
        # Ctrl-C arrives as a key while the terminal is raw; SIGINT stays with whoever has its handler.
        return await session.prompt_async(
            message, default=default, set_exception_handler=False, handle_sigint=False
        )


def _forget_typed_ahead() -> None:
    """Drop what was typed before now: in the terminal's queue, and what an earlier prompt read too much of."""
    from prompt_toolkit.input import create_input
    from prompt_toolkit.input.typeahead import clear_typeahead

    clear_typeahead(create_input(sys.stdin))
    termios.tcflush(sys.stdin, termios.TCIFLUSH)


async def _interrupt() -> NoReturn:
    signal.raise_signal(signal.SIGINT)
    await asyncio.sleep(1)
    raise KeyboardInterrupt
