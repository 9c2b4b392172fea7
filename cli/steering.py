"""The terminal while the agent works: a typed line is a message or a `/` command, Esc and Ctrl-C interrupt.

While a line is being typed, what there is to show waits, so that neither disturbs the other. A question waits for
the line too: keys that were meant for it never answer the question.

Threat model: what is typed is the person's, what is shown is not: nothing that is printed gets here. The modes of
the terminal are put back on every ending that a process has a say in.
"""

from __future__ import annotations

import asyncio
import atexit
import codecs
import contextlib
import os
import signal
import sys
import termios
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Literal, NamedTuple

from agent.autonomy.levels import Level, parse_level
from agent.autonomy.visible import visible
from agent.journal import AnyEvent
from agent.session import Session
from agent.steering import Steering
from cli.terminal import TerminalWatcher

ESCAPE_SECONDS = 0.05
"""After an escape character, the rest of a key's sequence comes within this time; else it was the Esc key."""
MOST_HELD = 1000
"""Things to show that wait for a line that is typed; then they are shown above it."""
MOST_TYPED = 10_000
HELP = (
    "A line goes to the model after the current call. Esc, or Ctrl-C, interrupts the call; Ctrl-C again ends the "
    "session. /level LEVEL moves the autonomy level, /quit ends the session and keeps the work, // begins a line "
    "with a slash."
)
INTERRUPTED = (
    "interrupted: type what the model should know, then Enter; Enter alone goes on, Ctrl-C ends the session"
)


class Key(NamedTuple):
    """Something that was typed: a whole line, or the Esc key."""

    kind: Literal["line", "escape"]
    text: str = ""


class Typing:
    """Takes the bytes of a terminal and keeps the line that is being typed. Pure but for its own state."""

    def __init__(self) -> None:
        self.draft = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        self._sequence = ""

    @property
    def in_escape(self) -> bool:
        """Is an escape character waiting for what follows it?"""
        return self._sequence == "\x1b"

    def feed(self, data: bytes) -> list[Key]:
        """What these bytes complete."""
        keys: list[Key] = []
        for character in self._decoder.decode(data):
            if self._sequence:
                self._in_sequence(character)
            elif character == "\x1b":
                self._sequence = character
            elif character in "\r\n":
                keys.append(Key("line", self.draft))
                self.draft = ""
            else:
                self._edit(character)
        return keys

    def escape_alone(self) -> Key | None:
        """Nothing followed an escape character: it drops the line, or is the Esc key where there is none."""
        if not self.in_escape:
            return None
        self._sequence = ""
        if self.draft:
            self.draft = ""
            return None
        return Key("escape")

    def _in_sequence(self, character: str) -> None:
        """Arrows and their like are passed over."""
        if self._sequence == "\x1b":
            self._sequence = self._sequence + character if character in "[O" else ""
        elif "@" <= character <= "~" or not character.isascii():
            self._sequence = ""

    def _edit(self, character: str) -> None:
        if character in "\x7f\b":
            self.draft = self.draft[:-1]
        elif character == "\x15":
            self.draft = ""
        elif character == "\x17":
            self.draft = self.draft.rstrip().rpartition(" ")[0]
        elif character.isprintable() and len(self.draft) < MOST_TYPED:
            self.draft += character


class SteeredWatcher:
    """A watcher whose output waits while a line is typed."""

    def __init__(self, watch: TerminalWatcher) -> None:
        self.watch = watch
        self.typing = False
        self.overflow: Callable[[], None] = lambda: None
        self._held: list[Callable[[], None]] = []

    def event(self, event: AnyEvent) -> None:
        """See Watcher."""
        self._show(lambda: self.watch.event(event))

    def text(self, piece: str) -> None:
        """See Watcher."""
        self._show(lambda: self.watch.text(piece))

    def output(self, piece: bytes) -> None:
        """See Watcher."""
        self._show(lambda: self.watch.output(piece))

    def note(self, line: str) -> None:
        """See Watcher."""
        self._show(lambda: self.watch.note(line))

    def release(self) -> None:
        """Show what waited."""
        held, self._held = self._held, []
        for show in held:
            show()

    def _show(self, show: Callable[[], None]) -> None:
        if not self.typing:
            show()
            return
        self._held.append(show)
        if len(self._held) >= MOST_HELD:
            self.overflow()


class TerminalSteering:
    """Reads the terminal while the agent works, for `steering`. Does nothing until `active`."""

    def __init__(self, watch: SteeredWatcher, steering: Steering) -> None:
        self.watch, self.steering = watch, steering
        self.on_level: Callable[[Level], bool] = lambda level: False
        self.on_quit: Callable[[], None] = lambda: None
        self._typing = Typing()
        self._modes: list[int | list[bytes | int]] | None = None
        self._on = self._paused = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._asked: asyncio.Future[str] | None = None
        watch.overflow = self._overflow

    @contextlib.contextmanager
    def steers(self, session: Session) -> Iterator[None]:
        """Read, and steer this session, until this is left."""

        def move(level: Level) -> bool:
            if session.gate is not None:
                session.gate.level = level
            return session.gate is not None

        def leave() -> None:
            session.interrupt.fire()

        self.on_level, self.on_quit = move, leave
        self.steering.ask = lambda: session.approver.patiently(self.ask())
        with self.active():
            yield

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Read until this is left; the terminal is then as it was."""
        loop = asyncio.get_running_loop()
        atexit.register(self.restore)
        self._on = True
        self._begin()
        loop.add_signal_handler(signal.SIGTSTP, self._stopped)
        loop.add_signal_handler(signal.SIGCONT, self._begin)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGTSTP)
            loop.remove_signal_handler(signal.SIGCONT)
            self._on = False
            self._typing.draft = ""
            self._draw()
            self._end()
            atexit.unregister(self.restore)

    @contextlib.asynccontextmanager
    async def pause(self) -> AsyncIterator[None]:
        """Leave the terminal to a question, once the line that is being typed is finished."""
        if self._typing.draft:
            self._above("a question waits: finish your line with Enter, or drop it with Esc")
        await self._idle.wait()
        self._paused = True
        self._end()
        try:
            yield
        finally:
            self._paused = False
            self._begin()

    async def ask(self) -> str:
        """What the model should be told after an interruption; the next line."""
        self._above(INTERRUPTED)
        self._asked = asyncio.get_running_loop().create_future()
        try:
            return await self._asked
        finally:
            self._asked = None

    def restore(self) -> None:
        """Put the terminal's modes back; safe to repeat, and from anywhere."""
        modes, self._modes = self._modes, None
        if modes is not None:
            with contextlib.suppress(termios.error, OSError):  # the terminal may be gone
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, modes)

    def _begin(self) -> None:
        if not self._on or self._paused or self._modes is not None:
            return
        try:
            if _in_background():
                return
            modes = termios.tcgetattr(sys.stdin)
            quiet = [*modes]
            quiet[3] = modes[3] & ~(termios.ICANON | termios.ECHO | termios.IEXTEN)
            quiet[6] = [*modes[6]]
            quiet[6][termios.VMIN], quiet[6][termios.VTIME] = 1, 0
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, quiet)
        except (termios.error, OSError):
            return
        self._modes = modes
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self._read)

    def _end(self) -> None:
        with contextlib.suppress(ValueError, OSError):
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        self.restore()

    def _stopped(self) -> None:
        """Ctrl-Z: stop with the terminal as it was."""
        self._end()
        os.kill(os.getpid(), signal.SIGSTOP)

    def _read(self) -> None:
        try:
            data = os.read(sys.stdin.fileno(), 4096)
        except OSError:
            data = b""
        if not data:  # the terminal is gone
            self._end()
            return
        for key in self._typing.feed(data):
            self._take(key)
        self._draw()
        if self._typing.in_escape:
            asyncio.get_running_loop().call_later(ESCAPE_SECONDS, self._escape)

    def _escape(self) -> None:
        if (key := self._typing.escape_alone()) is not None:
            self._take(key)
        self._draw()

    def _take(self, key: Key) -> None:
        if key.kind == "escape":
            self.steering.interrupt()
            return
        self._clear()
        line = key.text.strip()
        if line.startswith("/") and not line.startswith("//"):
            self._command(line)
        elif self._asked is not None and not self._asked.done():
            self._asked.set_result(line.removeprefix("/") if line.startswith("//") else line)
        elif line:
            line = line.removeprefix("/") if line.startswith("//") else line
            self.steering.say(line)
            self.watch.watch.line(("queued", "magenta"), " ", line)

    def _command(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        note = self.watch.watch.note
        match word:
            case "/level":
                try:
                    level = parse_level(rest)
                except ValueError as error:
                    note(visible(str(error)))
                    return
                if not self.on_level(level):
                    note("the level can be moved once the session has begun")
            case "/quit":
                self.on_quit()
            case "/help":
                note(HELP)
            case _:
                note(f"no such command {visible(word)[:40]}: /level LEVEL, /quit, /help; // begins a line with /")

    def _overflow(self) -> None:
        self._clear()
        self._draw()

    def _above(self, line: str) -> None:
        self._clear()
        self.watch.watch.note(line)
        self._draw()

    def _clear(self) -> None:
        """Take the line off the screen and show what waited for it."""
        if self.watch.typing:
            self.watch.typing = False
            self._print("\r\x1b[2K")
        self.watch.release()

    def _draw(self) -> None:
        """Show the line that is being typed, or that there is none any more."""
        if not self._typing.draft:
            self._clear()
            self._idle.set()
            return
        self._idle.clear()
        if not self.watch.typing:
            self.watch.watch.end_line()
            self.watch.typing = True
        self._print(f"\r\x1b[2K> {self._tail()}")

    def _tail(self) -> str:
        """As much of the end of the line as fits."""
        from rich.cells import cell_len

        text = visible(self._typing.draft)
        room = max(self.watch.watch.out.width - 3, 10)
        text = text[-room:]
        while cell_len(text) > room:
            text = text[1:]
        return text

    def _print(self, text: str) -> None:
        with contextlib.suppress(OSError):  # a screen that is gone ends no session
            self.watch.watch.out.file.write(text)
            self.watch.watch.out.file.flush()


def _in_background() -> bool:
    """Whether the terminal is another's for now. One that controls no session is nobody else's."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) != os.getpgrp()
    except OSError:
        return False


def at_terminal() -> bool:
    """Whether there is a terminal to read from, and one to show on."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr is not None and sys.stderr.isatty()
