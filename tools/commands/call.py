"""One command as it is judged: its words, what is known where it stands, and how its options are told apart."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from tools.commands import places
from tools.commands.scene import Scene
from tools.commands.table import Row
from tools.commands.text import ANY, DASH, Text, lit
from tools.protocol import Effect

if TYPE_CHECKING:
    from tools.commands.walk import Reader

_FILES_ONLY = frozenset(["unlink", "shred", "wipe", "truncate", "dd", "cp", "install", "tee", "ln"])
READ_ONLY = frozenset({Effect.READ})
_REMOTE = re.compile(
    r"(?:\w[\w+.-]*)://(?!(?:localhost|127(?:\.\d+){3}|\[::1\]|0\.0\.0\.0)(?:[:/?#'\"\s]|$))|^[\w.-]+@[\w.-]+:|/dev/(?:tcp|udp)/"
)
_LOCAL = re.compile(
    r"(?:https?://)?(?:localhost|127(?:\.\d+){3}|\[::1\]|0\.0\.0\.0)(?::\d+)?(?:[/?#].*)?", re.DOTALL
)


class Item(NamedTuple):
    """An option with its value, an operand, or (`unsure`) a word that may be either."""

    kind: Literal["option", "operand", "unsure"]
    name: str
    value: Text | None


@dataclass(slots=True)
class Call:
    """A command. `words` begin with its name; `shown` is what people are shown of it."""

    reader: Reader
    scene: Scene
    words: list[Text]
    shown: str

    @property
    def args(self) -> list[Text]:
        return self.words[1:]

    @property
    def name(self) -> str:
        """The name without its folder, "" when it is not known."""
        return (self.words[0].literal or "").rpartition("/")[2]

    def add(self, effects: Iterable[Effect], reason: str, *, general: bool = False) -> None:
        """Note effects of this command. `general`: another reason may say more."""
        self.reader.findings.add(effects, self.shown[:200], reason, general=general)

    def everything(self, reason: str) -> None:
        """Note that what it does cannot be told."""
        self.reader.findings.everything(self.shown[:200], reason)

    def read(self, place: Text) -> None:
        """Note that it reads there."""
        self.add(places.reading(place, self.scene.folders), f"reads {place.shown()[:80]}")

    def write(self, place: Text, reason: str = "") -> None:
        """Note that it writes there."""
        effects = places.writing(place, self.scene.folders)
        self.add(effects, reason or f"writes to {place.shown()[:80] or 'a place that is not known'}")

    def delete(self, place: Text) -> None:
        """Note that it deletes there."""
        beyond = places.writing(place, self.scene.folders) - {Effect.WRITE}
        self.add(beyond | {Effect.DESTROY}, f"deletes {place.shown()[:80] or 'what is not known'}")
        if self._deletes_folders():
            self.empty(place)

    def empty(self, place: Text) -> None:
        """Note that a folder there, or everything in it, may be gone."""
        if not (self.scene.narrow and any(part.kind == "below" for part in place.parts)):
            self.reader.findings.emptied.update(places.emptied(place, self.scene.folders))

    def _deletes_folders(self) -> bool:
        """Without -r, `rm` leaves folders alone; what it deletes in one, it does file by file."""
        return self.name not in _FILES_ONLY and (self.name != "rm" or any(map(_may_recurse, self.args)))


def _may_recurse(word: Text) -> bool:
    """May the word be `-r`? A pattern may match a file of that name."""
    known = word.literal
    if known is not None:
        return re.match(r"--r|-\w*[rR]", known) is not None
    if word.many or any(part.kind not in {"lit", "glob"} for part in word.parts):
        return word.may_be_option()
    return places.may_match(word, ("-r", "-R", "-rf", "-fr"))


def scan(row: Row, args: list[Text]) -> list[Item]:
    """Options and operands, as getopt tells them apart; what cannot be told is `unsure`.

    An option that is short for one of the row has that one's name, so that a name is compared once and for all.
    """
    found: list[Item] = []
    waiting = list(args)
    ended = False
    while waiting:
        word = waiting.pop(0)
        is_dash = word.literal == "-" and "-" not in row.options
        if ended or is_dash or not (word.may_be_option() or _is_number_of(row, word)):
            found.append(Item("operand", "", word))
            ended |= row.stops and not word.many
        elif word.literal == "--":
            ended = True
        elif not word.prefix or (word.prefix in {"-", "--"} and not word.is_literal):
            found.append(Item("unsure", "", word))
        elif word.prefix.startswith("--") or row.single:
            found += _long(row, word, waiting)
        else:
            found += _bundle(row, word, waiting)
    return found


def _is_number_of(row: Row, word: Text) -> bool:
    """Is it a number, which may be negative, of a command that has numbers for options?"""
    return word.parts[:1] == (DASH,) and any(re.fullmatch(r"-(\d|NUM)", option) for option in row.options)


def _long(row: Row, word: Text, waiting: list[Text]) -> list[Item]:
    name, equals, _ = word.prefix.partition("=")
    names = row.matching(name) or [name]
    if equals:
        return [Item("option", each, word.cut(len(name) + 1)) for each in names]
    if not word.is_literal:
        return [Item("unsure", name, word)]
    return _with_next(row, names, waiting, sure=name in row.options)


def _with_next(row: Row, names: list[str], waiting: list[Text], *, sure: bool) -> list[Item]:
    """Options that may take the next word. If not `sure`, it may as well be a word of its own."""
    taking = [name for name in names if row.takes(name)]
    value = waiting.pop(0) if taking and waiting else None
    found = [Item("option", name, value if name in taking else None) for name in names]
    return found if sure or value is None else [*found, Item("unsure", "", value)]


def _bundle(row: Row, word: Text, waiting: list[Text]) -> list[Item]:
    """`-abc`: letters without a value, or one with it."""
    letters = word.prefix[1:]
    if word.literal in row.options:  # find -name, openssl -in, -10
        return _with_next(row, [word.literal or ""], waiting, sure=True)
    if re.fullmatch(r"\d+[A-Za-z]?", letters) and ("-NUM" in row.options or row.any) and word.is_literal:
        return [Item("option", "-NUM", None)]
    found: list[Item] = []
    sure = True
    for at, letter in enumerate(letters):
        option = f"-{letter}"
        rest = word.cut(at + 2)
        if option not in row.options:
            sure = False
            if _begins_value(rest):
                return [*found, Item("option", option, None if _DEFINES.match(word.prefix) else rest)]
        if row.options.get(option, "flag") == "flag":
            found.append(Item("option", option, None))
        elif rest.parts:
            equal = [Item("option", option, rest.cut(1))] if rest.prefix.startswith("=") else []
            return [*found, Item("option", option, rest), *equal]
        else:
            return [*found, *_with_next(row, [option], waiting, sure=sure)]
    return found if word.is_literal else [*found, Item("unsure", "", word)]


_DEFINES = re.compile(r"-D\w+=|-[IL]")
"""What compilers only look up."""


def _begins_value(rest: Text) -> bool:
    """Can this be no letters of further options?"""
    return bool(rest.prefix) and not rest.prefix[0].isalnum()


def is_clear(row: Row, items: list[Item]) -> bool:
    """Are all options in the row, and none of the words anything else than it seems?"""
    return all(item.kind == "operand" or (item.kind == "option" and item.name in row.options) for item in items)


def surely(row: Row, items: list[Item], names: set[str]) -> bool:
    """Is one of these options given, and nothing beside it that could mean it otherwise?

    A command that claims less for the sake of an option asks this: another option may take it back (`--no-x`), or
    have it for its value.
    """
    return is_clear(row, items) and bool(names & options(items))


def operands(items: list[Item]) -> list[Text]:
    """The operands, those included that may be some."""
    return [item.value or ANY for item in items if item.kind != "option"]


def options(items: list[Item]) -> set[str]:
    """The names of the options."""
    return {item.name for item in items if item.kind == "option"}


def remote(text: Text) -> bool:
    """Does the word hold the address of another host, as far as is known?"""
    spelled = "".join(part.text if part.kind in {"lit", "glob"} else "\ue000" for part in text.parts)
    return _REMOTE.search(spelled) is not None


def is_local(text: Text) -> bool:
    """Is it for certain an address of this very machine?"""
    parts = text.parts
    if text.many or not parts or parts[0].kind != "lit":
        return False
    spelled = "".join(part.text if part.kind in {"lit", "glob"} else "\ue000" for part in parts)
    match = re.match(r"(?:https?://)?[\w.\[\]:-]+[/?#]|.*$", spelled, re.DOTALL)
    known = lit(parts[0].text)
    if len(parts) > 1 and not re.match(r"(?:https?://)?[^/?#\s]+[/?#]", known.prefix):
        # A hole in the port could be one only of digits; anything else could change the host.
        if not re.fullmatch(r"(?:https?://)?(?:localhost|127\.0\.0\.1|0\.0\.0\.0):", known.prefix):
            return False
        rest = [part for part in parts[1:] if part != DASH]
        ends = len(rest) < 2 or (rest[1].kind == "lit" and rest[1].text[:1] in {"/", "?", "#"})
        return rest[0].kind in {"name", "maybe"} and ends
    return (
        match is not None
        and "@" not in spelled.partition("//")[2].partition("/")[0]
        and bool(_LOCAL.fullmatch(spelled))
    )


IN_THE_SHELL = frozenset({"command", "builtin", "time", "jobs", "exec"})
"""Commands that run others in the shell itself, so that they can change its folder and its variables."""


def command_of(call: Call, words: list[Text]) -> None:
    """Judge the command in the words of another one."""
    from tools.commands.judge import judge  # it judges this one

    call.reader.step()
    inside = call.scene.copy()
    judge(Call(call.reader, inside, words, call.shown))
    if call.name in {"command", "builtin"}:
        call.scene.become(inside)
    elif call.name in IN_THE_SHELL:
        call.scene.join(inside)
