"""One command as it is judged: its words, what is known where it stands, and how its options are told apart."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from tools.commands import places
from tools.commands.scene import Scene
from tools.commands.table import Row
from tools.commands.text import ANY, Text, lit
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
    """Options and operands, as getopt tells them apart; what cannot be told is `unsure`."""
    found: list[Item] = []
    waiting = list(args)
    ended = False
    while waiting:
        word = waiting.pop(0)
        if ended or not word.may_be_option() or (word.literal == "-" and "-" not in row.options):
            found.append(Item("operand", "", word))
            ended |= row.stops and not word.many
        elif word.literal == "--":
            ended = True
        elif not word.prefix or (word.prefix in {"-", "--"} and not word.is_literal):
            found.append(Item("unsure", "", word))
        elif word.prefix.startswith("--") or row.single:
            found.append(_long(row, word, waiting))
        else:
            found += _bundle(row, word, waiting)
    return found


def _long(row: Row, word: Text, waiting: list[Text]) -> Item:
    name, equals, _ = word.prefix.partition("=")
    if equals:
        return Item("option", name, word.cut(len(name) + 1))
    if not word.is_literal:
        return Item("unsure", name, word)
    kinds = {row.options[option] for option in row.matching(name)}
    takes = bool(kinds) and not kinds & {"flag", "optional"}
    return Item("option", name, waiting.pop(0) if takes and waiting else None)


def _bundle(row: Row, word: Text, waiting: list[Text]) -> list[Item]:
    """`-abc`: letters without a value, or one with it."""
    letters = word.prefix[1:]
    if word.literal in row.options:  # find -name, openssl -in, -10
        kind = row.options[word.literal or ""]
        takes = kind not in {"flag", "optional"} and bool(waiting)
        return [Item("option", word.literal or "", waiting.pop(0) if takes else None)]
    if re.fullmatch(r"\d+[A-Za-z]?", letters) and ("-NUM" in row.options or row.any) and word.is_literal:
        return [Item("option", "-NUM", None)]
    found: list[Item] = []
    for at, letter in enumerate(letters):
        option = f"-{letter}"
        kind = row.options.get(option, "flag")
        if kind == "flag":
            found.append(Item("option", option, None))
            continue
        rest = word.cut(at + 2)
        if rest.parts or kind == "optional":
            value = rest if rest.parts else None
        else:
            value = waiting.pop(0) if waiting else None
        return [*found, Item("option", option, value)]
    return found if word.is_literal else [*found, Item("unsure", "", word)]


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
        return parts[1].kind == "name"
    return (
        match is not None
        and "@" not in spelled.partition("//")[2].partition("/")[0]
        and bool(_LOCAL.fullmatch(spelled))
    )


def command_of(call: Call, words: list[Text]) -> None:
    """Judge the command in the words of another one."""
    from tools.commands.judge import judge  # it judges this one

    call.reader.step()
    judge(Call(call.reader, call.scene, words, call.shown))
